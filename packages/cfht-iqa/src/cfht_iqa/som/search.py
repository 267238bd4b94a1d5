"""Nearest nodes of many sources, in bounded memory and on several threads."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from cfht_iqa.som.kernels import nearest_kernel, two_nearest_kernel

__all__ = ["Assignment", "Search"]

Floats32 = npt.NDArray[np.float32]

# Sources of one task. Sums of tasks are added in their order, so that the number of threads does
# not change a bit of the result.
_TASK_ROWS: Final = 65_536


@dataclass(frozen=True, eq=False)
class Assignment:
    """Two nearest nodes of sources.

    Attributes
    ----------
    first, second : ndarray of int32, shape (n,)
        Nearest and second nearest node.
    distance : ndarray of float64, shape (n,)
        Euclidean distance to the nearest.
    """

    first: npt.NDArray[np.int32]
    second: npt.NDArray[np.int32]
    distance: npt.NDArray[np.float64]


class Search:
    """Finds nearest nodes.

    Parameters
    ----------
    threads : int
        That work side by side.
    """

    def __init__(self, threads: int = 1) -> None:
        self._threads = threads

    def nearest(self, data: Floats32, weights: Floats32) -> npt.NDArray[np.int32]:
        """Find the nearest node of each source.

        Parameters
        ----------
        data : ndarray of float32, shape (n, n_features)
            Finite, C-contiguous.
        weights : ndarray of float32, shape (n_nodes, n_features)
            The nodes.

        Returns
        -------
        ndarray of int32, shape (n,)
        """
        return self._run(data, weights, accumulate=False)[0]

    def sums(
        self, data: Floats32, weights: Floats32
    ) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
        """Add up the sources by their nearest node.

        Parameters
        ----------
        data, weights
            As of `nearest`.

        Returns
        -------
        ndarray of float64, shape (n_nodes, n_features)
            Sums.
        ndarray of int64, shape (n_nodes,)
            Counts.
        """
        _, sums, counts = self._run(data, weights, accumulate=True)
        return sums, counts

    def two_nearest(self, data: Floats32, weights: Floats32) -> Assignment:
        """Find the two nearest nodes of each source, and the distance of the nearest.

        Parameters
        ----------
        data, weights
            As of `nearest`.

        Returns
        -------
        Assignment
        """
        kernel = two_nearest_kernel()
        count = len(data)
        first, second = np.empty(count, np.int32), np.empty(count, np.int32)
        distance = np.empty(count, np.float64)

        def task(rows: slice) -> None:
            kernel(data[rows], weights, first[rows], second[rows], distance[rows])

        self._map(task, count)
        return Assignment(first, second, distance)

    def _run(
        self, data: Floats32, weights: Floats32, *, accumulate: bool
    ) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.float64], npt.NDArray[np.int64]]:
        kernel = nearest_kernel(weights.shape[1])
        # Differences stay exact where features have large means, since these are taken off.
        offset = weights.mean(axis=0, dtype=np.float64).astype(np.float32)
        nodes = np.ascontiguousarray(weights - offset)
        half_norms = (0.5 * (nodes.astype(np.float64) ** 2).sum(axis=1)).astype(np.float32)
        nearest = np.empty(len(data), np.int32)
        tasks = _slices(len(data))
        parts = [
            (np.zeros(weights.shape, np.float64), np.zeros(len(weights), np.int64))
            for _ in (tasks if accumulate else tasks[:1])
        ]

        def task(number: int) -> None:
            rows = tasks[number]
            sums, counts = parts[number if accumulate else 0]
            kernel(data[rows], offset, nodes, half_norms, nearest[rows], sums, counts, accumulate)

        self._map_numbers(task, len(tasks))
        total = np.zeros(weights.shape, np.float64)
        hits = np.zeros(len(weights), np.int64)
        if accumulate:
            for sums, counts in parts:
                total += sums
                hits += counts
            total += hits[:, None] * offset.astype(np.float64)
        return nearest, total, hits

    def _map(self, task: Callable[[Any], None], count: int) -> None:
        slices = _slices(count)
        self._map_numbers(lambda number: task(slices[number]), len(slices))

    def _map_numbers(self, task: Callable[[Any], None], count: int) -> None:
        if self._threads == 1 or count < 2:
            for number in range(count):
                task(number)
            return
        with ThreadPoolExecutor(self._threads) as pool:
            for _ in pool.map(task, range(count)):
                pass


def _slices(count: int) -> list[slice]:
    return [slice(start, start + _TASK_ROWS) for start in range(0, count, _TASK_ROWS)]
