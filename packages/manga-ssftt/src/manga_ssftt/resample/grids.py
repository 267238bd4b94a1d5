"""Wavelength grids: centres and edges of pixels."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["channel_range", "log_edges", "log_grid"]

Floats = npt.NDArray[np.floating]


def log_grid(low: float, high: float, n_pixels: int) -> npt.NDArray[np.float64]:
    """Pixel centres that are equidistant in log10 wavelength.

    Parameters
    ----------
    low, high : float
        Wavelength of the first and of the last centre, angstrom.
    n_pixels : int
        At least 2.

    Returns
    -------
    ndarray of float64, shape (n_pixels,)
        Angstrom.

    Raises
    ------
    ValueError
        If the window is empty or the number of pixels too small.
    """
    if not 0 < low < high < np.inf or n_pixels < 2:
        raise ValueError(f"a window of {low} to {high} angstrom with {n_pixels} pixels")
    return np.asarray(10.0 ** np.linspace(np.log10(low), np.log10(high), n_pixels))


def log_edges(wavelength: Floats) -> npt.NDArray[np.float64]:
    """Edges of pixels: geometric means of neighbouring centres, the outer ones mirrored.

    Parameters
    ----------
    wavelength : ndarray, shape (n,)
        Pixel centres, positive and increasing; n is at least 2.

    Returns
    -------
    ndarray of float64, shape (n + 1,)

    Raises
    ------
    ValueError
        If the centres are not such.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        log = np.log(np.asarray(wavelength, dtype=np.float64))
    if log.ndim != 1 or len(log) < 2 or not np.all(np.isfinite(log)) or np.any(np.diff(log) <= 0):
        raise ValueError("pixel centres that are not positive and increasing")
    middle = (log[1:] + log[:-1]) / 2
    first, last = 2 * log[0] - middle[0], 2 * log[-1] - middle[-1]
    return np.asarray(np.exp(np.concatenate([[first], middle, [last]])))


def channel_range(edges_in: Floats, edges_out: Floats) -> slice:
    """The input pixels that overlap any output pixel, as one range; at least one pixel."""
    first = int(np.searchsorted(edges_in, edges_out[0], side="right")) - 1
    last = int(np.searchsorted(edges_in, edges_out[-1], side="left"))
    n_in = len(edges_in) - 1
    start = min(max(first, 0), n_in - 1)
    return slice(start, max(start + 1, min(last, n_in)))
