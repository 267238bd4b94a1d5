"""Transmission curves, synthetic magnitudes and measured magnitudes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from splus_hypercube.bands import BANDS
from splus_hypercube.mock.grid import NEAR_INFRARED, OPTICAL, LogGrid

__all__ = [
    "LIGHT_ANGSTROM_S",
    "PASSBANDS",
    "VEGA_OFFSETS",
    "Passband",
    "band_matrix",
    "magnitude",
    "noisy_magnitudes",
]

Float = NDArray[np.float64]

LIGHT_ANGSTROM_S = 2.99792458e18
"""Speed of light, angstrom/s."""

_AB_ZERO = -48.60
_EDGE_SHARPNESS = 0.035


@dataclass(frozen=True, slots=True)
class Passband:
    """A smooth transmission curve with half-power wavelengths ``blue`` and ``red``.

    Attributes
    ----------
    blue_angstrom, red_angstrom : float
        Wavelengths where the transmission is one half.
    blue_edge_angstrom, red_edge_angstrom : float
        Scales over which it falls there.
    grid : LogGrid
        Grid that covers the band.
    """

    blue_angstrom: float
    red_angstrom: float
    blue_edge_angstrom: float
    red_edge_angstrom: float
    grid: LogGrid

    @classmethod
    def around(cls, centre_angstrom: float, width_angstrom: float, grid: LogGrid) -> Passband:
        """A nearly rectangular band of a central wavelength and a full width at half maximum."""
        half, edge = 0.5 * width_angstrom, _EDGE_SHARPNESS * width_angstrom
        return cls(centre_angstrom - half, centre_angstrom + half, edge, edge, grid)

    def transmission(self, wavelength_angstrom: Float) -> Float:
        """Photons that arrive, relative to the middle of the band."""
        blue = np.clip(
            (self.blue_angstrom - wavelength_angstrom) / self.blue_edge_angstrom, -60, 60
        )
        red = np.clip((wavelength_angstrom - self.red_angstrom) / self.red_edge_angstrom, -60, 60)
        return np.asarray(1.0 / ((1.0 + np.exp(blue)) * (1.0 + np.exp(red))))


# Gaia: half-power points after Riello et al. 2021, A&A 649, A3, figure 3. ZTF: Dekany et al. 2020,
# PASP 132, 038001. DECam: Flaugher et al. 2015, AJ 150, 150. VISTA: Sutherland et al. 2015,
# A&A 575, A25.
PASSBANDS: Mapping[str, Passband] = {
    **{
        item.catalogue_name: Passband.around(item.wavelength_angstrom, item.width_angstrom, OPTICAL)
        for item in BANDS
    },
    "gaia_g": Passband(4050.0, 8800.0, 250.0, 480.0, OPTICAL),
    "gaia_bp": Passband(3800.0, 6620.0, 180.0, 50.0, OPTICAL),
    "gaia_rp": Passband(6320.0, 9600.0, 50.0, 280.0, OPTICAL),
    "ztf_g": Passband.around(4770.0, 1310.0, OPTICAL),
    "ztf_r": Passband.around(6430.0, 1540.0, OPTICAL),
    "ztf_i": Passband.around(7970.0, 1520.0, OPTICAL),
    "decam_g": Passband.around(4770.0, 1450.0, OPTICAL),
    "decam_r": Passband.around(6410.0, 1480.0, OPTICAL),
    "decam_z": Passband.around(9190.0, 1500.0, OPTICAL),
    "vista_y": Passband.around(10_200.0, 930.0, NEAR_INFRARED),
    "vista_j": Passband.around(12_540.0, 1720.0, NEAR_INFRARED),
    "vista_h": Passband.around(16_460.0, 2910.0, NEAR_INFRARED),
    "vista_ks": Passband.around(21_490.0, 3090.0, NEAR_INFRARED),
}
"""All bands of the mock by name; those of S-PLUS by their catalogue name."""

# AB minus Vega. Gaia: Riello et al. 2021, tables 5 and 6; VISTA: Gonzalez-Fernandez et al. 2018,
# MNRAS 474, 5459, table D1.
VEGA_OFFSETS: Mapping[str, float] = {
    "gaia_g": 0.1136,
    "gaia_bp": 0.0155,
    "gaia_rp": 0.3561,
    "vista_y": 0.600,
    "vista_j": 0.916,
    "vista_h": 1.366,
    "vista_ks": 1.827,
}


@lru_cache(maxsize=16)
def band_matrix(grid: LogGrid, names: tuple[str, ...]) -> Float:
    """Weights that turn flux densities per angstrom into flux densities per hertz of bands.

    Parameters
    ----------
    grid : LogGrid
        Grid of the spectra.
    names : tuple of str
        Keys of `PASSBANDS`.

    Returns
    -------
    ndarray of float64, shape (grid.size, number of bands)

    Notes
    -----
    Photon-weighted AB fluxes: Fukugita et al. 1996, AJ 111, 1748, equation 7.
    """
    wavelength = grid.wavelength
    columns = []
    for name in names:
        # On a logarithmic grid the element of wavelength is proportional to the wavelength.
        photons = PASSBANDS[name].transmission(wavelength) * wavelength**2
        reference = (PASSBANDS[name].transmission(wavelength) * LIGHT_ANGSTROM_S).sum()
        columns.append(photons / reference)
    matrix = np.stack(columns, axis=1)
    matrix.setflags(write=False)
    return matrix


def magnitude(flux_per_hertz: Float) -> Float:
    """AB magnitudes of flux densities in erg/s/cm2/Hz."""
    return np.asarray(-2.5 * np.log10(flux_per_hertz) + _AB_ZERO)


def noisy_magnitudes(
    true_mag: Float, error_flux_fraction: Float, rng: np.random.Generator
) -> tuple[Float, Float]:
    """Magnitudes measured with Gaussian noise in flux.

    Parameters
    ----------
    true_mag : ndarray of float64
    error_flux_fraction : ndarray of float64, same shape
        Standard deviation of the flux over the true flux.
    rng : numpy.random.Generator

    Returns
    -------
    mag, error : ndarray of float64, same shape
        NaN where the measured flux is not positive. The error is that of the measured flux.
    """
    ratio = 1.0 + error_flux_fraction * rng.standard_normal(np.shape(true_mag))
    detected = ratio > 0
    safe = np.where(detected, ratio, 1.0)
    mag = np.where(detected, true_mag - 2.5 * np.log10(safe), np.nan)
    error = np.where(detected, 2.5 / np.log(10.0) * error_flux_fraction / safe, np.nan)
    return mag, error
