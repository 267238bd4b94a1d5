"""The loop over output pixels and spectra, compiled.

It works on blocks of spectra whose sums stay in the processor's first cache. The innermost loops
run over the spectra of a block, which lie side by side in a cube, and fill the vector registers;
each writes one array, since the compiler vectorises no loop of which it cannot tell whether its
arrays overlap. Results are turned (spectrum first) tile by tile.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import numba
import numpy as np

__all__ = ["weighted_means"]

# Spectra of a block, and output pixels of a tile. Rows of a tile are a little longer than a block,
# since rows a power of two apart would share few lines of the cache.
_BLOCK: Final = 128
_TILE: Final = 16
_ROW: Final = _BLOCK + 16
# Coverage below this is rounding, not an overlap.
_LEAST_COVERAGE: Final = 1e-9


def _compiled(function: Callable[..., None]) -> Callable[..., None]:
    compiled: Callable[..., None]
    try:
        compiled = numba.njit(nogil=True, error_model="numpy", cache=True)(function)
    except RuntimeError:  # no folder can be written in which compiled code could be kept
        compiled = numba.njit(nogil=True, error_model="numpy")(function)
    return compiled


@_compiled
def weighted_means(
    flux: Any,
    ivar: Any,
    bad: Any,
    begin: int,
    end: int,
    first: Any,
    bounds: Any,
    width: Any,
    pixel_width: Any,
    flux_out: Any,
    ivar_out: Any,
    mask_out: Any,
    coverage_out: Any,
) -> None:
    """Average the good input pixels of every output pixel.

    Parameters
    ----------
    flux, ivar : ndarray of float32 or float64, shape (n_in, n_spectra), C-contiguous
    bad : ndarray of bool, same shape, C-contiguous
    begin, end : int
        Which spectra.
    first, bounds, width, pixel_width : ndarray
        Of an `Overlap`.
    flux_out, ivar_out, coverage_out : ndarray of float32, shape (n_spectra, n_out)
    mask_out : ndarray of bool, same shape
        Filled for these spectra.
    """
    n_out = first.size
    good, value, variance = np.empty(_BLOCK), np.empty(_BLOCK), np.empty(_BLOCK)
    covered, total, spread = np.empty(_BLOCK), np.empty(_BLOCK), np.empty(_BLOCK)
    means = np.empty((_TILE, _ROW), np.float32)
    weights = np.empty((_TILE, _ROW), np.float32)
    shares = np.empty((_TILE, _ROW), np.float32)
    for start in range(begin, end, _BLOCK):
        count = min(_BLOCK, end - start)
        current = -1
        for low in range(0, n_out, _TILE):
            high = min(low + _TILE, n_out)
            for j in range(low, high):
                covered[:count], total[:count], spread[:count] = 0.0, 0.0, 0.0
                for k in range(bounds[j], bounds[j + 1]):
                    i = first[j] + k - bounds[j]
                    # Neighbouring output pixels share input pixels, which are prepared once.
                    if i != current:
                        current = i
                        f = flux[i, start : start + count]
                        w = ivar[i, start : start + count]
                        b = bad[i, start : start + count]
                        for s in range(count):
                            usable = (abs(f[s]) < np.inf) & (w[s] > 0.0) & (w[s] < np.inf)
                            good[s] = 1.0 if usable & (not b[s]) else 0.0
                        for s in range(count):
                            value[s] = f[s] if good[s] > 0.0 else 0.0
                        for s in range(count):
                            variance[s] = good[s] / (w[s] if good[s] > 0.0 else 1.0)
                    common = width[k]
                    square = common * common
                    for s in range(count):
                        covered[s] += common * good[s]
                    for s in range(count):
                        total[s] += common * value[s]
                    # Each input pixel enters the mean with weight common / covered.
                    for s in range(count):
                        spread[s] += square * variance[s]
                least = _LEAST_COVERAGE * pixel_width[j]
                scale = 1.0 / pixel_width[j]
                mean, weight, share = means[j - low], weights[j - low], shares[j - low]
                for s in range(count):
                    mean[s] = total[s] / (covered[s] if covered[s] > least else np.inf)
                for s in range(count):
                    divisor = spread[s] if covered[s] > least else np.inf
                    weight[s] = covered[s] * covered[s] / divisor
                for s in range(count):
                    share[s] = min(covered[s] * scale, 1.0) if covered[s] > least else 0.0
            if high - low == _TILE:  # a constant number of turns, which is twice as fast
                for s in range(count):
                    flux_row = flux_out[start + s, low:high]
                    ivar_row = ivar_out[start + s, low:high]
                    coverage_row = coverage_out[start + s, low:high]
                    mask_row = mask_out[start + s, low:high]
                    for j in range(_TILE):
                        flux_row[j] = means[j, s]
                    for j in range(_TILE):
                        ivar_row[j] = weights[j, s]
                    for j in range(_TILE):
                        coverage_row[j] = shares[j, s]
                    for j in range(_TILE):
                        mask_row[j] = shares[j, s] == 0.0
            else:
                for s in range(count):
                    for j in range(high - low):
                        flux_out[start + s, low + j] = means[j, s]
                        ivar_out[start + s, low + j] = weights[j, s]
                        coverage_out[start + s, low + j] = shares[j, s]
                        mask_out[start + s, low + j] = shares[j, s] == 0.0
