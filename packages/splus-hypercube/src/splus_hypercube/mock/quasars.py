"""Spectra of quasars: a broken power law, broad and narrow lines, and the Lyman-alpha forest."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from splus_hypercube.mock.grid import LIGHT_KM_S, LogGrid

__all__ = ["QUASAR_LINES", "quasar_spectra"]

Float = NDArray[np.float64]

_LYMAN_ALPHA = 1215.67
_LYMAN_LIMIT = 911.75

# Wavelength, equivalent width and dispersion (km/s) of each line, in groups of common scaling.
# Widths follow the composite of Vanden Berk et al. 2001, AJ 122, 549, table 2.
_LINES = {
    "high_ionisation": (
        (1033.0, 9.0, 2600.0),
        (1215.67, 75.0, 2400.0),
        (1240.1, 18.0, 2600.0),
        (1399.8, 8.0, 2600.0),
        (1549.5, 24.0, 2200.0),
        (1640.4, 5.0, 2800.0),
    ),
    "low_ionisation": (
        (1905.0, 20.0, 3000.0),
        (2798.8, 30.0, 1800.0),
        (4341.7, 13.0, 1900.0),
        (4862.7, 44.0, 1900.0),
        (6564.6, 185.0, 1900.0),
    ),
    "iron": ((2350.0, 20.0, 7000.0), (2500.0, 28.0, 6000.0), (4570.0, 22.0, 4500.0)),
    "narrow": ((3729.0, 2.0, 250.0), (4960.3, 4.0, 250.0), (5008.2, 13.0, 250.0)),
}
QUASAR_LINES = tuple(_LINES)


def quasar_spectra(grid: LogGrid, slope: Float, line_scale: Float, redshift: Float) -> Float:
    """Rest-frame spectra of quasars.

    Parameters
    ----------
    grid : LogGrid
        Rest-frame vacuum wavelengths.
    slope : ndarray of float64, shape (n,)
        Exponent of the flux per angstrom between 1300 and 5000 angstrom, about -1.5.
    line_scale : ndarray of float64, shape (n, 4)
        Factor on the equivalent widths of each group of `QUASAR_LINES`.
    redshift : ndarray of float64, shape (n,)
        Sets the depth of the Lyman-alpha forest.

    Returns
    -------
    ndarray of float64, shape (n, grid.size)
        Flux density per angstrom, about one at 3000 angstrom.

    Notes
    -----
    The forest is the mean transmission of Madau 1995, ApJ 441, 18, equation 12, for Lyman-alpha,
    used down to the Lyman limit, below which no light is left.
    """
    profiles, log_wavelength, bends = _templates(grid)
    log_flux = slope[:, None] * log_wavelength + bends
    observed = grid.wavelength * (1.0 + redshift[:, None])
    forest = 0.0036 * (observed / _LYMAN_ALPHA) ** 3.46
    transmission = np.where(grid.wavelength < _LYMAN_ALPHA, np.exp(-forest), 1.0)
    transmission *= grid.wavelength >= _LYMAN_LIMIT
    return np.asarray(np.exp(log_flux) * (1.0 + line_scale @ profiles) * transmission)


@lru_cache(maxsize=16)
def _templates(grid: LogGrid) -> tuple[Float, Float, Float]:
    wavelength = grid.wavelength
    profiles = np.zeros((len(_LINES), grid.size))
    for row, name in enumerate(QUASAR_LINES):
        for centre, width, dispersion in _LINES[name]:
            sigma = centre * dispersion / LIGHT_KM_S
            shape = np.exp(-0.5 * ((wavelength - centre) / sigma) ** 2)
            profiles[row] += width * shape / (sigma * np.sqrt(2.0 * np.pi))
    log_wavelength = np.log(wavelength / 3000.0)
    # Host light and hot dust flatten the slope redwards; the ultraviolet turns over.
    bends = 1.1 * np.maximum(np.log(wavelength / 5000.0), 0.0)
    bends -= 0.8 * np.maximum(np.log(1300.0 / wavelength), 0.0)
    return profiles, log_wavelength, bends
