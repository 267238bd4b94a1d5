"""Spectra of galaxies: old and young stars, dust, and emission lines of ionised gas."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from splus_hypercube.mock.extinction import extinction_curve
from splus_hypercube.mock.grid import LIGHT_KM_S, LogGrid
from splus_hypercube.mock.stars import star_spectra

__all__ = ["CONTINUA", "EMISSION", "galaxy_spectra"]

Float = NDArray[np.float64]

_STELLAR_DISPERSION_KM_S = 160.0
_GAS_DISPERSION_KM_S = 110.0
_REFERENCE_ANGSTROM = 5500.0
_HALPHA_ANGSTROM = 6564.61

CONTINUA = ("old_rich", "old_poor", "intermediate", "young")
"""Stellar populations, each normalised to one at 5500 angstrom."""

# Fractions of the light at 5500 angstrom of stars of (teff, logg, feh) in each population.
_POPULATIONS = {
    "old_rich": ((0.16, 3900.0, 1.5, 0.2), (0.50, 4700.0, 2.6, 0.2), (0.34, 5600.0, 4.3, 0.2)),
    "old_poor": ((0.45, 4900.0, 2.4, -0.9), (0.55, 6000.0, 4.3, -0.9)),
    "intermediate": ((0.35, 4800.0, 2.6, -0.2), (0.30, 6800.0, 4.1, -0.2), (0.35, 8600.0, 4.1, 0)),
    "young": ((0.10, 4000.0, 1.0, 0.0), (0.35, 9800.0, 4.0, 0.0), (0.55, 19000.0, 4.0, 0.0)),
}

# Lines of each emission group: wavelength, flux relative to H-alpha.
_LINES = {
    "balmer": ((6564.61, 1.0), (4862.68, 0.350), (4341.68, 0.164), (4102.89, 0.0907)),
    "oxygen2": ((3727.09, 0.43), (3729.88, 0.57)),
    "oxygen3": ((4960.30, 0.25), (5008.24, 0.75)),
    "nitrogen2": ((6549.86, 0.25), (6585.27, 0.75)),
    "sulphur2": ((6718.29, 0.57), (6732.67, 0.43)),
}
EMISSION = tuple(_LINES)
"""Groups of emission lines; H-alpha of ``balmer`` and the sum of the others have unit flux."""


def galaxy_spectra(
    grid: LogGrid,
    light: Float,
    halpha_width: Float,
    line_ratios: Float,
    dust_av: Float,
) -> Float:
    """Rest-frame spectra of galaxies.

    Parameters
    ----------
    grid : LogGrid
        Rest-frame vacuum wavelengths.
    light : ndarray of float64, shape (n, 4)
        Fractions of the light at 5500 angstrom of the populations of `CONTINUA`.
    halpha_width : ndarray of float64, shape (n,)
        Equivalent width of H-alpha, angstrom.
    line_ratios : ndarray of float64, shape (n, 5)
        Flux of each group of `EMISSION` relative to H-alpha.
    dust_av : ndarray of float64, shape (n,)
        Extinction within the galaxy in V, mag, of stars and gas alike.

    Returns
    -------
    ndarray of float64, shape (n, grid.size)
        Flux density per angstrom, one at 5500 angstrom before dust.

    Notes
    -----
    Balmer decrement of case B at 10,000 K: Osterbrock and Ferland 2006, table 4.4.
    """
    continua, emission, dust = _templates(grid)
    at_halpha = light @ _continua_at(_HALPHA_ANGSTROM)
    weights = (halpha_width * at_halpha)[:, None] * line_ratios
    spectra = light @ continua + weights @ emission
    spectra *= np.exp(-0.4 * np.log(10.0) * dust_av[:, None] * dust)
    return np.asarray(spectra)


@lru_cache(maxsize=16)
def _templates(grid: LogGrid) -> tuple[Float, Float, Float]:
    wavelength = grid.wavelength
    emission = np.zeros((len(EMISSION), grid.size))
    for row, name in enumerate(EMISSION):
        for centre, flux in _LINES[name]:
            sigma = centre * _GAS_DISPERSION_KM_S / LIGHT_KM_S
            shape = np.exp(-0.5 * ((wavelength - centre) / sigma) ** 2)
            emission[row] += flux * shape / (sigma * np.sqrt(2.0 * np.pi))
    return _continua(grid), emission, extinction_curve(wavelength)


def _continua(grid: LogGrid) -> Float:
    return np.stack([_population(name, grid) for name in CONTINUA])


@lru_cache(maxsize=4)
def _continua_at(wavelength: float) -> Float:
    return _continua(LogGrid(wavelength, 1e-4, 1))[:, 0]


def _population(name: str, grid: LogGrid) -> Float:
    fraction, teff, logg, feh = np.array(_POPULATIONS[name], dtype=np.float64).T
    alpha = np.where(feh < -0.5, 0.3, 0.1)
    reference = LogGrid(_REFERENCE_ANGSTROM, 1e-4, 1)
    stars = star_spectra(grid, teff, logg, feh, alpha, _STELLAR_DISPERSION_KM_S)
    at_reference = star_spectra(reference, teff, logg, feh, alpha, _STELLAR_DISPERSION_KM_S)
    return np.asarray((fraction[:, None] * stars / at_reference).sum(axis=0))
