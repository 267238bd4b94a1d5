"""What baselines see of a spectrum: its lines, or its lines on the shape of its continuum."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from sdss_spectra.model.inputs import InputSettings, channels
from sdss_spectra.model.templates import log_flux
from sdss_spectra.preprocessing.resample import LogGrid

__all__ = ["FEATURES", "Doubles", "Masks", "features"]

Doubles = npt.NDArray[np.float64]
Masks = npt.NDArray[np.bool_]

# Names of the kinds that `features` knows.
FEATURES: Final = ("lines", "whole")


def features(kind: str, flux: npt.NDArray[Any], mask: Masks, grid: LogGrid) -> Doubles:
    """Make the features of spectra.

    Parameters
    ----------
    kind : str
        ``lines``: ln(flux) less its running mean, as the network gets it. ``whole``: ln(flux) less
        its median, the continuum with it.
    flux : ndarray of float, shape (n, n_pixels)
        Cleaned spectra, not normalised.
    mask : ndarray of bool, shape (n, n_pixels)
        True where there are no data.
    grid : LogGrid
        The grid.

    Returns
    -------
    ndarray of float64, shape (n, n_pixels)
        Gaps of lines are 0; those of whole spectra are filled along straight lines.
    """
    if kind == "lines":
        alone = InputSettings(with_mask=False)
        return np.asarray(channels(flux, flux, mask, grid.loglam_step, alone)[..., 0], np.float64)
    values, known = log_flux(flux, mask)
    pixel = np.arange(flux.shape[1])
    found = np.zeros(flux.shape)
    for row, there in enumerate(known):
        if there.any():
            place = np.flatnonzero(there)
            found[row] = np.interp(pixel, place, values[row, place])
    return found
