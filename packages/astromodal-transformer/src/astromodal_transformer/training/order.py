"""The order in which sources are seen, a function of the seed and the number of the batch alone."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import DataLoader, Dataset

from astromodal_transformer.batches import Batch, Batcher

__all__ = ["BatchLoader", "Order"]

# Batches whose sequences are sorted by length together.
_WINDOW = 8


class Order:
    """Which rows stand in which batch.

    Rows are shuffled within blocks and the blocks among each other, so that a pass reads every part
    of a file once.

    Parameters
    ----------
    rows : ndarray of int64
        Of the training part.
    batch_size, block_rows, seed : int
    """

    def __init__(
        self, rows: NDArray[np.int64], batch_size: int, block_rows: int, seed: int
    ) -> None:
        self.rows = rows
        self.batch_size = min(batch_size, len(rows))
        self.block_rows = block_rows
        self.seed = seed
        self._pass: tuple[int, NDArray[np.int64]] = (-1, rows)

    @property
    def batches_per_pass(self) -> int:
        """Whole batches of a pass over the rows (int)."""
        return len(self.rows) // self.batch_size

    @property
    def windows_per_pass(self) -> int:
        """Windows of a pass (int)."""
        return -(-self.batches_per_pass // _WINDOW)

    def window_of(self, batch: int) -> tuple[int, int]:
        """Window in which a batch stands, counted through all passes, and its place there."""
        turn, inside = divmod(batch, self.batches_per_pass)
        window, place = divmod(inside, _WINDOW)
        return turn * self.windows_per_pass + window, place

    def window(self, number: int) -> tuple[int, NDArray[np.int64]]:
        """The pass and the rows of a window (ndarray of int64, whole batches)."""
        turn, inside = divmod(number, self.windows_per_pass)
        if self._pass[0] != turn:
            self._pass = (turn, self._shuffled(turn))
        start = inside * _WINDOW
        stop = min(start + _WINDOW, self.batches_per_pass)
        return turn, self._pass[1][start * self.batch_size : stop * self.batch_size]

    def _shuffled(self, turn: int) -> NDArray[np.int64]:
        random = np.random.default_rng([self.seed, turn])
        blocks = [
            random.permutation(self.rows[start : start + self.block_rows])
            for start in range(0, len(self.rows), self.block_rows)
        ]
        return np.concatenate([blocks[place] for place in random.permutation(len(blocks))])


class _Windows(Dataset[list[Batch]]):
    """The batches of a window, of one of the processes that train together."""

    def __init__(self, batcher: Batcher, order: Order, start: int, rank: int, world: int) -> None:
        self.batcher = batcher
        self.order = order
        self.start = start
        self.rank = rank
        self.world = world

    def __len__(self) -> int:
        return 2**40

    def __getitem__(self, index: int) -> list[Batch]:
        turn, rows = self.order.window(self.start + index)
        random = np.random.default_rng([self.order.seed, self.start + index, 1])
        drawn = self.batcher.drawn(rows, turn)
        # Sequences of like length stand together, so that hardly anything is filled up.
        batches = np.split(
            np.argsort(drawn.visible.lengths, kind="stable"), len(rows) // self.order.batch_size
        )
        return [
            self.batcher.assembled(drawn, batches[place][self.rank :: self.world])
            for place in random.permutation(len(batches))
        ]


class BatchLoader:
    """Batches without end, from a given one on.

    Parameters
    ----------
    batcher : Batcher
    order : Order
    first : int
        Number of the first batch.
    workers : int
        Processes that prepare batches; 0 uses a thread.
    rank, world : int
        Which of how many processes this is; each gets an equal share of every batch.

    Attributes
    ----------
    waited : float
        Seconds that training has waited for batches.
    """

    def __init__(
        self,
        batcher: Batcher,
        order: Order,
        first: int = 0,
        *,
        workers: int = 0,
        rank: int = 0,
        world: int = 1,
    ) -> None:
        window, self._skip = order.window_of(first)
        self._windows = _Windows(batcher, order, window, rank, world)
        self._workers = workers
        self.waited = 0.0

    def __iter__(self) -> Iterator[Batch]:
        skip = self._skip
        windows = self._read()
        while True:
            before = time.perf_counter()
            window = next(windows)
            self.waited += time.perf_counter() - before
            yield from window[skip:]
            skip = 0

    def _read(self) -> Iterator[list[Batch]]:
        if self._workers:
            loader: Any = DataLoader(
                self._windows,
                batch_size=None,
                sampler=range(len(self._windows)),
                num_workers=self._workers,
                pin_memory=torch.cuda.is_available(),
                # A fork of a process with threads of BLAS may hang.
                multiprocessing_context="forkserver",
            )
            yield from loader
            return
        with ThreadPoolExecutor(1) as thread:
            index = 0
            ahead = thread.submit(self._windows.__getitem__, index)
            while True:
                window = ahead.result()
                index += 1
                ahead = thread.submit(self._windows.__getitem__, index)
                yield window
