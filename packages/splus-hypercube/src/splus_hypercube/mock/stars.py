"""Spectra of stars from effective temperature, surface gravity, metallicity and alpha enhancement.

A star shines as a black body seen through optical depths that depend on its parameters as they do
in real atmospheres: hydrogen lines and jumps peak near 9500 K, and their wings and jumps depend on
gravity; metal lines grow with metallicity, towards the blue and in cool stars; magnesium, sodium,
calcium hydride and magnesium hydride grow with gravity in cool stars, the calcium triplet and
cyanogen weaken with it; titanium oxide appears below 4000 K. The strengths are simple functions,
not those of an atmosphere code: what counts is that every parameter has a smooth effect of its own.
See Gray and Corbally 2009, Stellar Spectral Classification, for the trends.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from splus_hypercube.mock.absorption import GROUPS, absorption_profiles
from splus_hypercube.mock.grid import LogGrid

__all__ = ["planck", "star_spectra"]

Float = NDArray[np.float64]

# First and second radiation constants for wavelengths in angstrom, erg/s/cm2/angstrom and K.
_C1 = 3.741771852e27
_C2 = 1.438776877e8


def planck(wavelength_angstrom: Float, temperature_k: Float) -> Float:
    """Flux through the surface of a black body.

    Parameters
    ----------
    wavelength_angstrom : ndarray of float64, shape (n_wavelength,)
    temperature_k : ndarray of float64, shape (n,)

    Returns
    -------
    ndarray of float64, shape (n, n_wavelength)
        erg/s/cm2/angstrom.
    """
    exponent = _C2 / (wavelength_angstrom * temperature_k[:, None])
    return np.asarray(_C1 / wavelength_angstrom**5 / np.expm1(np.minimum(exponent, 600.0)))


def star_spectra(
    grid: LogGrid,
    teff: Float,
    logg: Float,
    feh: Float,
    alpha_fe: Float,
    blur_km_s: float = 0.0,
) -> Float:
    """Flux through the surface of stars.

    Parameters
    ----------
    grid : LogGrid
        Rest-frame vacuum wavelengths.
    teff : ndarray of float64, shape (n,)
        Effective temperature, K.
    logg : ndarray of float64, shape (n,)
        Logarithm of the surface gravity in cm/s2.
    feh, alpha_fe : ndarray of float64, shape (n,)
        [Fe/H] and [alpha/Fe], dex.
    blur_km_s : float, optional
        Velocity dispersion by which lines are broadened.

    Returns
    -------
    ndarray of float64, shape (n, grid.size)
        erg/s/cm2/angstrom.
    """
    strengths = _strengths(teff, logg, feh, alpha_fe)
    depth = strengths @ _profiles(grid, blur_km_s)
    np.negative(depth, out=depth)
    np.exp(depth, out=depth)
    depth *= planck(grid.wavelength, teff)
    return depth


@lru_cache(maxsize=16)
def _profiles(grid: LogGrid, blur_km_s: float) -> Float:
    profiles = absorption_profiles(grid.wavelength, blur_km_s)
    profiles.setflags(write=False)
    return profiles


def _rise(value: Float, middle: float, width: float) -> Float:
    """Smooth step from 0 to 1."""
    return np.asarray(1.0 / (1.0 + np.exp(-np.clip((value - middle) / width, -60.0, 60.0))))


def _strengths(teff: Float, logg: Float, feh: Float, alpha_fe: Float) -> Float:
    """Peak optical depth of each group, shape (n, number of groups)."""
    gravity = logg - 4.0
    alpha = feh + alpha_fe
    hotness = np.log(teff / 9300.0)
    hydrogen = np.exp(-0.5 * (hotness / np.where(hotness > 0, 0.62, 0.33)) ** 2)
    jump = np.exp(-0.5 * (hotness / np.where(hotness > 0, 0.45, 0.26)) ** 2)
    hot = _rise(teff, 6200.0, 500.0)
    cool = np.exp(-(teff - 4500.0) / 1500.0)
    cool = np.minimum(cool, 1.0 + 0.15 * (cool - 1.0))
    dwarf_cool = _rise(-teff, -4700.0, 350.0)
    molecules = _rise(-teff, -3750.0, 170.0)
    late = _rise(-teff, -3150.0, 150.0)
    strength = {
        "balmer_core": 1.05 * hydrogen + 0.12,
        "balmer_wing": 0.75 * hydrogen * (0.3 + 0.7 * hot) * 10.0 ** (0.20 * gravity),
        "balmer_jump": 0.95 * jump * np.clip(1.0 - 0.20 * gravity, 0.3, 1.8),
        "paschen": 0.30 * hydrogen * hot * 10.0 ** (0.1 * gravity),
        "paschen_jump": 0.18 * jump * hot * np.clip(1.0 - 0.20 * gravity, 0.3, 1.8),
        "calcium_hk": 2.0 * 10.0 ** (0.24 * alpha) * _rise(-teff, -7600.0, 800.0),
        "calcium_hk_wing": 0.60 * 10.0 ** (0.45 * alpha) * _rise(-teff, -5900.0, 600.0),
        "calcium_4228": 0.75 * 10.0 ** (0.40 * alpha + 0.14 * gravity) * dwarf_cool,
        "calcium_triplet": 0.95
        * 10.0 ** (0.25 * alpha - 0.085 * gravity)
        * _rise(-teff, -6900.0, 900.0),
        "g_band": 0.55
        * 10.0 ** (0.35 * feh)
        * np.exp(-0.5 * ((teff - 4900.0) / 850.0) ** 2)
        * np.clip(1.0 - 0.06 * gravity, 0.5, 1.3),
        "cyanogen": 0.40
        * 10.0 ** (0.55 * feh - 0.16 * gravity)
        * cool
        * _rise(teff, 3700.0, 250.0),
        "magnesium_b": 0.62 * 10.0 ** (0.32 * alpha + 0.11 * gravity) * cool,
        "magnesium_hydride": 0.26 * 10.0 ** (0.40 * alpha + 0.20 * gravity) * dwarf_cool,
        "sodium": 0.50 * 10.0 ** (0.30 * feh + 0.13 * gravity) * cool,
        "potassium": 0.60 * 10.0 ** (0.25 * feh + 0.16 * gravity) * molecules,
        "iron": 0.42 * 10.0 ** (0.42 * feh - 0.02 * gravity) * cool,
        "metals_blue": 1.15 * 10.0 ** (0.42 * feh - 0.035 * gravity) * cool,
        "metals_red": 0.22 * 10.0 ** (0.38 * feh + 0.02 * gravity) * cool,
        "titanium_oxide": 1.05 * 10.0 ** (0.30 * alpha - 0.02 * gravity) * molecules,
        "calcium_hydride": 0.55 * 10.0 ** (0.10 * alpha + 0.17 * gravity) * molecules,
        "vanadium_oxide": 0.70 * 10.0 ** (0.30 * feh) * late,
        "hydrogen_minus": 0.28 * _rise(-teff, -5200.0, 700.0),
        "water": 0.35 * 10.0 ** (0.1 * gravity) * late + 0.12 * molecules,
    }
    return np.stack([strength[name] for name in GROUPS], axis=1)
