"""Shapes of the absorption features of cool and hot stars.

Each group of features has one profile of optical depth, normalised to a peak near one; `stars` says
how strong it is in a given star. Wavelengths are in angstrom, in vacuum, from the NIST Atomic
Spectra Database; band heads of molecules are those of Pearse and Gaydon 1976, The Identification of
Molecular Spectra. Two fixed forests of lines that thicken towards the blue stand for the thousands
of weak metal lines of cool stars.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from splus_hypercube.mock.grid import LIGHT_KM_S

__all__ = ["GROUPS", "absorption_profiles"]

Float = NDArray[np.float64]
_Shape = Callable[[Float], Float]

_NARROW_KM_S = 75.0
_FOREST_SEED = 20190605
_FOREST_LINES = 420

_BALMER = (
    (6564.61, 1.0),
    (4862.68, 1.0),
    (4341.68, 1.0),
    (4102.89, 1.0),
    (3971.20, 0.95),
    (3890.15, 0.9),
    (3836.47, 0.85),
    (3798.98, 0.75),
    (3771.70, 0.65),
    (3751.22, 0.55),
)
_PASCHEN = ((8504.8, 0.5), (8547.7, 0.6), (8600.8, 0.7), (8667.4, 0.8), (8752.9, 0.9), (9017.8, 1))
_CALCIUM_HK = ((3934.78, 1.0), (3969.59, 0.85))
_CALCIUM_TRIPLET = ((8500.36, 0.55), (8544.44, 1.0), (8664.52, 0.85))
_MAGNESIUM_B = ((5168.76, 0.65), (5174.13, 0.85), (5185.05, 1.0))
_SODIUM = ((5891.58, 1.0), (5897.56, 0.8), (8185.5, 0.35), (8197.1, 0.5))
_POTASSIUM = ((7667.0, 1.0), (7701.1, 0.8))
_IRON = (
    (4384.8, 0.9),
    (4405.9, 0.6),
    (4532.4, 0.7),
    (4921.9, 0.5),
    (5015.5, 0.5),
    (5271.0, 1.0),
    (5329.5, 0.8),
    (5407.3, 0.5),
    (6138.3, 0.4),
    (6496.7, 0.6),
    (8690.9, 0.4),
    (8826.6, 0.3),
)
_TITANIUM_OXIDE = (
    (4761.0, 0.45, 110.0),
    (4955.0, 0.6, 130.0),
    (5168.0, 0.55, 130.0),
    (5449.0, 0.6, 150.0),
    (5849.0, 0.7, 110.0),
    (6160.0, 0.85, 150.0),
    (6653.0, 0.9, 150.0),
    (7055.0, 1.1, 170.0),
    (7591.0, 0.7, 120.0),
    (8434.0, 0.75, 130.0),
    (8861.0, 0.8, 150.0),
)
_CALCIUM_HYDRIDE = ((6346.0, 0.6, 45.0), (6750.0, 0.9, 90.0), (6908.0, 1.0, 90.0))
_VANADIUM_OXIDE = ((7334.0, 0.7, 160.0), (7851.0, 1.0, 180.0), (8521.0, 0.5, 160.0))


def _lines(lines: tuple[tuple[float, float], ...], sigma_km_s: float, blur_km_s: float) -> _Shape:
    sigma = float(np.hypot(sigma_km_s, blur_km_s))

    def profile(wavelength: Float) -> Float:
        total = np.zeros_like(wavelength)
        for centre, weight in lines:
            velocity = (wavelength / centre - 1.0) * LIGHT_KM_S / sigma
            # Blurring spreads a line without changing its equivalent width.
            total += weight * sigma_km_s / sigma * np.exp(-0.5 * velocity**2)
        return total

    return profile


def _bands(heads: tuple[tuple[float, float, float], ...], edge_angstrom: float) -> _Shape:
    def profile(wavelength: Float) -> Float:
        total = np.zeros_like(wavelength)
        for head, weight, length in heads:
            beyond = wavelength - head
            rise = 1.0 / (1.0 + np.exp(-np.clip(beyond / edge_angstrom, -60.0, 60.0)))
            total += weight * rise * np.exp(-np.maximum(beyond, 0.0) / length)
        return total

    return profile


def _bump(centre: float, sigma_angstrom: float) -> _Shape:
    def profile(wavelength: Float) -> Float:
        return np.asarray(np.exp(-0.5 * ((wavelength - centre) / sigma_angstrom) ** 2))

    return profile


def _edge(limit: float, width: float, slope: float) -> _Shape:
    def profile(wavelength: Float) -> Float:
        below = 1.0 / (1.0 + np.exp(np.clip((wavelength - limit) / width, -60.0, 60.0)))
        return np.asarray(below * np.minimum(wavelength / limit, 1.0) ** slope)

    return profile


def _forest(number: int, length_angstrom: float, blur_km_s: float) -> _Shape:
    """A fixed crowd of weak lines over a smooth haze of still weaker ones."""
    rng = np.random.default_rng([_FOREST_SEED, number])
    centres = 2900.0 - length_angstrom * np.log(rng.uniform(0.005, 1.0, _FOREST_LINES))
    weights = rng.exponential(1.0, _FOREST_LINES)
    lines = tuple(zip(centres.tolist(), (0.55 * weights).tolist(), strict=True))
    resolved = _lines(lines, _NARROW_KM_S, blur_km_s)

    def profile(wavelength: Float) -> Float:
        haze = np.exp(-np.maximum(wavelength - 2900.0, 0.0) / length_angstrom)
        return np.asarray(haze + 0.45 * resolved(wavelength))

    return profile


GROUPS = (
    "balmer_core",
    "balmer_wing",
    "balmer_jump",
    "paschen",
    "paschen_jump",
    "calcium_hk",
    "calcium_hk_wing",
    "calcium_4228",
    "calcium_triplet",
    "g_band",
    "cyanogen",
    "magnesium_b",
    "magnesium_hydride",
    "sodium",
    "potassium",
    "iron",
    "metals_blue",
    "metals_red",
    "titanium_oxide",
    "calcium_hydride",
    "vanadium_oxide",
    "hydrogen_minus",
    "water",
)
"""Names of the groups, in the order of the columns of strengths and rows of profiles."""


def absorption_profiles(wavelength: Float, blur_km_s: float = 0.0) -> Float:
    """Optical-depth profiles of all groups.

    Parameters
    ----------
    wavelength : ndarray of float64, shape (n,)
        Rest-frame vacuum wavelengths, angstrom.
    blur_km_s : float, optional
        Velocity dispersion by which narrow lines are broadened at constant equivalent width, for
        the integrated light of galaxies.

    Returns
    -------
    ndarray of float64, shape (number of groups, n)
    """
    shapes: dict[str, _Shape] = {
        "balmer_core": _lines(_BALMER, 190.0, blur_km_s),
        "balmer_wing": _lines(_BALMER, 900.0, blur_km_s),
        "balmer_jump": _edge(3690.0, 28.0, 1.6),
        "paschen": _lines(_PASCHEN, 300.0, blur_km_s),
        "paschen_jump": _edge(8260.0, 60.0, 1.2),
        "calcium_hk": _lines(_CALCIUM_HK, 240.0, blur_km_s),
        "calcium_hk_wing": _lines(_CALCIUM_HK, 1300.0, blur_km_s),
        "calcium_4228": _lines(((4227.92, 1.0),), 350.0, blur_km_s),
        "calcium_triplet": _lines(_CALCIUM_TRIPLET, 100.0, blur_km_s),
        "g_band": _bump(4304.0, 15.0),
        "cyanogen": _bands(((3860.0, 1.0, 60.0), (4142.0, 0.6, 70.0), (7870.0, 0.25, 200.0)), 8.0),
        "magnesium_b": _lines(_MAGNESIUM_B, 140.0, blur_km_s),
        "magnesium_hydride": _bump(5110.0, 55.0),
        "sodium": _lines(_SODIUM, 150.0, blur_km_s),
        "potassium": _lines(_POTASSIUM, 160.0, blur_km_s),
        "iron": _lines(_IRON, 110.0, blur_km_s),
        "metals_blue": _forest(1, 540.0, blur_km_s),
        "metals_red": _forest(2, 950.0, blur_km_s),
        "titanium_oxide": _bands(_TITANIUM_OXIDE, 5.0),
        "calcium_hydride": _bands(_CALCIUM_HYDRIDE, 5.0),
        "vanadium_oxide": _bands(_VANADIUM_OXIDE, 12.0),
        "hydrogen_minus": lambda wave: np.asarray(-np.exp(-0.5 * ((wave - 16_300) / 2200) ** 2)),
        "water": lambda wave: np.asarray(
            np.exp(-0.5 * ((wave - 14_000) / 700) ** 2)
            + np.exp(-0.5 * ((wave - 19_000) / 1000) ** 2)
        ),
    }
    return np.stack([shapes[name](wavelength) for name in GROUPS])
