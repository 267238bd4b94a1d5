"""Divide work on a processor among threads, so that its result does not depend on their number.

A library that divides one matrix product among threads rounds differently for each number of them,
and its threads wait for each other at every product. Here each thread takes whole parts of fixed
size instead, and works through them alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import torch

__all__ = ["each_part", "one_thread_each"]


@contextmanager
def one_thread_each() -> Iterator[int]:
    """Let every operation of PyTorch run in the thread that calls it.

    Yields
    ------
    int
        Number of threads that operations were allowed before, and are again afterwards.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield before
    finally:
        torch.set_num_threads(before)


def each_part(function: Callable[[slice], None], count: int, rows: int) -> None:
    """Call a function for parts of rows, side by side in as many threads as PyTorch may use.

    Parameters
    ----------
    function : callable
        Takes the slice of its rows and stores its result itself.
    count : int
        Rows.
    rows : int
        Rows of a part; the last may have fewer.
    """
    parts = [slice(start, min(start + rows, count)) for start in range(0, count, rows)]
    with one_thread_each() as threads:
        if threads == 1 or len(parts) < 2:
            for part in parts:
                function(part)
            return
        with ThreadPoolExecutor(min(threads, len(parts))) as pool:
            for future in [pool.submit(function, part) for part in parts]:
                future.result()
