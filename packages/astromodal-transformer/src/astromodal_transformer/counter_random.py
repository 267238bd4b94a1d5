"""Random numbers that follow from what they are for, not from how many were drawn before.

The numbers of a source depend on the seed, the pass over the data and the source alone. A run that
is resumed, split among processes or read by other workers therefore hides the same tokens.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["uniform"]

Bits = NDArray[np.uint64]

_STEP = np.uint64(0x9E3779B97F4A7C15)
_LARGEST = np.nextafter(np.float32(1.0), np.float32(0.0))


def _mixed(bits: Bits) -> Bits:
    """Finaliser of SplitMix64 (Steele, Lea & Flood 2014, Proc. OOPSLA, 453)."""
    with np.errstate(over="ignore"):
        bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(bits ^ (bits >> np.uint64(31)))


def uniform(
    seed: int, stream: int, turn: int, rows: NDArray[np.integer[Any]], count: int
) -> NDArray[np.float32]:
    """Numbers in (0, 1) for sources.

    Parameters
    ----------
    seed : int
    stream : int
        What the numbers are for; other streams have other numbers.
    turn : int
        The pass over the data.
    rows : ndarray of int, shape (n,)
        Number of each source.
    count : int
        Numbers per source.

    Returns
    -------
    ndarray of float32, shape (n, count)
    """
    with np.errstate(over="ignore"):
        key = np.array([seed & (2**64 - 1)], dtype=np.uint64)
        for part in (stream, turn):
            key = _mixed(key + _STEP * np.array([(part + 1) & (2**64 - 1)], dtype=np.uint64))
        own = _mixed(key + _STEP * (np.asarray(rows).astype(np.uint64) + np.uint64(1)))
        bits = _mixed(own[:, None] + _STEP * np.arange(1, count + 1, dtype=np.uint64))
    numbers = ((bits >> np.uint64(40)).astype(np.float32) + np.float32(0.5)) * np.float32(2.0**-24)
    # The half keeps them above 0, but the largest of all is rounded up to 1 with it.
    return np.asarray(np.minimum(numbers, _LARGEST))
