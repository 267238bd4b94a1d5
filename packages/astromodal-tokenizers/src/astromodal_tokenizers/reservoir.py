"""A random sample of a stream, each item with the same chance, in bounded memory."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Reservoir"]


class Reservoir:
    """Keeps the items whose random keys are smallest.

    Parameters
    ----------
    capacity : int
        Items to keep.
    seed : int or sequence of int
    """

    def __init__(self, capacity: int, seed: int | list[int]) -> None:
        self.capacity = capacity
        self.seen = 0
        self._random = np.random.default_rng(seed)
        self._keys: list[NDArray[np.float64]] = []
        self._items: list[NDArray[Any]] = []
        self._held = 0
        self._limit = np.inf

    def add(self, items: NDArray[Any]) -> None:
        """Offer items (ndarray, shape (n,) or (n, d))."""
        self.seen += len(items)
        keys = self._random.uniform(size=len(items))
        chosen = keys < self._limit
        self._keys.append(keys[chosen])
        self._items.append(items[chosen])
        self._held += int(chosen.sum())
        if self._held > 2 * self.capacity:
            self._shrink()

    def items(self) -> NDArray[Any]:
        """The sample (ndarray, shape (m,) or (m, d)), m the capacity or the number offered."""
        self._shrink()
        return self._items[0] if self._items else np.empty(0)

    def _shrink(self) -> None:
        if not self._items:
            return
        keys, items = np.concatenate(self._keys), np.concatenate(self._items)
        if len(keys) > self.capacity:
            # Sorting keeps the result independent of how the stream was cut into parts.
            kept = np.sort(np.argpartition(keys, self.capacity)[: self.capacity])
            keys, items = keys[kept], items[kept]
            self._limit = float(keys.max())
        self._keys, self._items, self._held = [keys], [items], len(keys)
