"""Robust continuum of a stellar spectrum.

A low-order Legendre series in log wavelength is fitted with weights from ivar. Points far below it
(absorption lines) or far above it (emission, cosmic rays) are rejected, and the fit is repeated.
The lower limit is the tighter one, as continuum fits of stellar spectra have it since Tonry & Davis
1979 (AJ 84, 1511) and IRAF's `continuum` task.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numpy.polynomial import legendre

__all__ = ["ORDER", "continuum"]

Floats = npt.NDArray[np.float64]

ORDER = 6
LOW_SIGMA = 1.0
HIGH_SIGMA = 3.0
ROUNDS = 8
_BIN_PIXELS = 8
# At least this fraction of the points is kept at each end of the spectrum; an end is this wide on
# the range from -1 to 1.
_LEAST_KEPT = 0.15
_END = 0.15


def continuum(
    flux: Floats,
    ivar: Floats,
    *,
    order: int = ORDER,
    low_sigma: float = LOW_SIGMA,
    high_sigma: float = HIGH_SIGMA,
    rounds: int = ROUNDS,
) -> Floats | None:
    """Fit the continuum of a spectrum on a log-wavelength grid.

    Parameters
    ----------
    flux, ivar : ndarray of float64, shape (n_pixel,)
        Flux and inverse variance; pixels with ivar 0 do not count.
    order : int, optional
        Highest degree of the Legendre series.
    low_sigma, high_sigma : float, optional
        Points this many robust standard deviations below or above the fit are rejected.
    rounds : int, optional
        Largest number of fits.

    Returns
    -------
    ndarray of float64, shape (n_pixel,), or None
        The continuum; None if there are too few good pixels or it would not be positive.
    """
    good = ivar > 0
    if np.count_nonzero(good) < 4 * (order + 2):
        return None
    pixels = np.flatnonzero(good)
    low, high = pixels[0], pixels[-1]
    place: Floats = 2.0 * (np.arange(len(flux)) - low) / max(high - low, 1) - 1.0
    # Errors span orders of magnitude between the ends and the middle of a detector. Bounded
    # weights keep the best pixels from deciding the fit alone.
    weight = np.zeros(len(flux))
    weight[good] = np.minimum(ivar[good], 4.0 * np.median(ivar[good]))
    x, y, w = _binned(place, flux, weight)
    if len(x) < 2 * (order + 1):
        return None
    basis = legendre.legvander(x, order)
    kept = np.ones(len(x), bool)
    scale = float(np.median(np.abs(y))) or 1.0
    coefficients: Floats = np.zeros(order + 1)
    for _ in range(rounds):
        root = np.sqrt(w[kept])
        solved = np.linalg.lstsq(basis[kept] * root[:, None], y[kept] * root, rcond=None)[0]
        coefficients = np.asarray(solved, np.float64)
        residual = y - basis @ coefficients
        spread = 1.4826 * float(np.median(np.abs(residual[kept] - np.median(residual[kept]))))
        if spread <= 1e-12 * scale:
            break
        now = (residual > -low_sigma * spread) & (residual < high_sigma * spread)
        _anchor(now, residual, x)
        if np.count_nonzero(now) < 2 * (order + 1) or np.array_equal(now, kept):
            break
        kept = now
    # Outside the good pixels the series is not extrapolated: the end values hold.
    fitted = legendre.legval(np.clip(place, -1.0, 1.0), coefficients)
    inside = fitted[low : high + 1]
    floor = 0.01 * float(np.median(np.abs(inside)))
    if not np.isfinite(fitted).all() or np.median(inside) <= 0:
        return None
    return np.asarray(np.maximum(fitted, floor))


def _anchor(kept: npt.NDArray[np.bool_], residual: Floats, x: Floats) -> None:
    """Keep the highest points at both ends, in place.

    Where Balmer lines crowd towards their limit, every point lies below the fit; without any, the
    series would be extrapolated there, and fall to nothing or below.
    """
    for end in (x < x[0] + _END, x > x[-1] - _END):
        inside = np.flatnonzero(end)
        if np.count_nonzero(kept[inside]) < len(inside) * _LEAST_KEPT:
            count = max(1, int(np.ceil(len(inside) * _LEAST_KEPT)))
            kept[inside[np.argsort(residual[inside])[-count:]]] = True


def _binned(place: Floats, flux: Floats, weight: Floats) -> tuple[Floats, Floats, Floats]:
    """Weighted means of a few pixels: an eighth of the points gives the same continuum."""
    count = -(-len(flux) // _BIN_PIXELS)
    number = np.arange(len(flux)) // _BIN_PIXELS
    total = np.bincount(number, weight, count)
    filled = total > 0
    sums = (np.bincount(number, weight * v, count)[filled] for v in (place, flux))
    x, y = (np.asarray(values / total[filled], np.float64) for values in sums)
    return x, y, np.asarray(total[filled], np.float64)
