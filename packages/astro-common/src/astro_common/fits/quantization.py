"""Floating-point pixels that were stored as integers, with or without subtractive dithering.

The FITS Standard 4.0, sections 10.2 and appendix I; W. D. Pence, R. L. White and R. Seaman (2010),
PASP 122, 1065.
"""

from __future__ import annotations

from functools import cache
from typing import Final

import numpy as np
import numpy.typing as npt

__all__ = ["dequantize"]

_N_RANDOM: Final = 10000

# SUBTRACTIVE_DITHER_2 stores an exact zero as this integer.
_EXACT_ZERO: Final = -2147483646


def dequantize(
    quantized: npt.NDArray[np.generic],
    scale: float,
    zero: float,
    *,
    dither: int,
    seed: int,
    blank: int | None,
) -> npt.NDArray[np.float64]:
    """Turn the integers of one tile back into numbers.

    Parameters
    ----------
    quantized : ndarray of integers, shape (n,)
    scale, zero : float
        ZSCALE and ZZERO of the tile.
    dither : int
        0 for none, 1 or 2 for the two subtractive ditherings.
    seed : int
        The number of the tile, counted from 0, plus ZDITHER0.
    blank : int or None
        ZBLANK, which stands for NaN.

    Returns
    -------
    ndarray of float64, shape (n,)
        ``quantized * scale + zero``, or with the random number r of each pixel
        ``(quantized - r + 0.5) * scale + zero``. Overflow gives infinity, with a warning that the
        caller silences.
    """
    values = quantized.astype(np.float64)
    if dither:
        _subtract_random(values, seed)
        values += 0.5
    values *= scale
    values += zero
    if dither == 2:
        values[quantized == _EXACT_ZERO] = 0.0
    if blank is not None:
        values[quantized == blank] = np.nan
    return values


@cache
def _random_numbers() -> npt.NDArray[np.float64]:
    # The "minimal standard" generator of S. K. Park and K. W. Miller (1988), CACM 31, 1192, which
    # the Standard prescribes; CFITSIO keeps its numbers in single precision.
    numbers = np.empty(_N_RANDOM, np.float32)
    seed = 1
    for place in range(_N_RANDOM):
        seed = seed * 16807 % 2147483647
        numbers[place] = seed / 2147483647
    return numbers.astype(np.float64)


def _subtract_random(values: npt.NDArray[np.float64], seed: int) -> None:
    numbers = _random_numbers()
    row = (seed - 1) % _N_RANDOM
    done = 0
    while done < len(values):
        # Each pass through the list begins at a place that the list itself gives.
        start = int(np.float32(numbers[row]) * 500)
        count = min(len(values) - done, _N_RANDOM - start)
        values[done : done + count] -= numbers[start : start + count]
        done += count
        row = (row + 1) % _N_RANDOM
