"""What is read off a heatmap: light curve, spectrum, the normalisation that SCONE trains with."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from scone_io.grid import GridSpec

__all__ = [
    "SPECTRUM_DAYS",
    "light_curve",
    "light_curve_error",
    "normalised",
    "observed",
    "spectrum",
    "spectrum_bins",
    "spectrum_error",
]

Floats = npt.NDArray[np.floating]

# The days over which a spectrum is averaged, relative to the reference; the last bin is left out.
SPECTRUM_DAYS = (-10.0, 20.0)

# Bins whose uncertainty is below this share of the largest one have observations near them.
_OBSERVED = 0.5


def light_curve(flux: Floats) -> Floats:
    """Sum of the flux over the wavelength bins.

    Parameters
    ----------
    flux : ndarray of float, shape (..., n_wavelength, n_time)

    Returns
    -------
    ndarray of float, shape (..., n_time)
        A plain sum: the bins are not weighted by their width.
    """
    result: Floats = flux.sum(axis=-2)
    return result


def light_curve_error(error: Floats) -> Floats:
    """Root of the summed squares of the uncertainties over wavelength.

    Neighbouring bins of a Gaussian process are strongly correlated, so this is smaller than the
    true uncertainty of the sum.
    """
    result: Floats = np.sqrt((error**2).sum(axis=-2))
    return result


def spectrum_bins(grid: GridSpec) -> slice:
    """The time bins from -10 d up to, not including, +20 d; at least one."""
    first, last = (grid.time_index(day) for day in SPECTRUM_DAYS)
    return slice(first, max(last, first + 1))


def spectrum(flux: Floats, grid: GridSpec) -> Floats:
    """Mean of the flux from -10 to +20 d.

    Parameters
    ----------
    flux : ndarray of float, shape (..., n_wavelength, n_time)
    grid : GridSpec

    Returns
    -------
    ndarray of float, shape (..., n_wavelength)
    """
    result: Floats = flux[..., spectrum_bins(grid)].mean(axis=-1)
    return result


def spectrum_error(error: Floats, grid: GridSpec) -> Floats:
    """Root mean square of the uncertainty from -10 to +20 d; not the uncertainty of the mean."""
    result: Floats = np.sqrt((error[..., spectrum_bins(grid)] ** 2).mean(axis=-1))
    return result


def observed(error: Floats) -> npt.NDArray[np.bool_]:
    """Bins that observations support: their uncertainty is below half of the largest.

    Parameters
    ----------
    error : ndarray of float, shape (..., n_wavelength, n_time)

    Returns
    -------
    ndarray of bool
        The Gaussian process fills every bin, so that the flux says nothing about coverage; far
        from observations the uncertainty returns to that of the prior. NaN is not observed.
    """
    largest = np.fmax.reduce(error, axis=(-2, -1), keepdims=True)
    supported: npt.NDArray[np.bool_] = error < _OBSERVED * largest
    return supported


def normalised(image: Floats) -> Floats:
    """Scale heatmaps as SCONE does for training: both channels over the largest flux.

    Parameters
    ----------
    image : ndarray of float, shape (..., n_wavelength, n_time, 2)

    Returns
    -------
    ndarray of float
        Of the same shape and type. An image whose largest flux is not positive and finite, by which
        nothing can be divided, becomes zero, as do values that are NaN.
    """
    largest = np.fmax.reduce(image[..., 0], axis=(-2, -1))[..., None, None, None]
    usable = np.isfinite(largest) & (largest > 0.0)
    scaled = np.divide(image, largest, out=np.zeros_like(image), where=usable)
    result: Floats = np.nan_to_num(scaled, nan=0.0, posinf=0.0, neginf=0.0)
    return result
