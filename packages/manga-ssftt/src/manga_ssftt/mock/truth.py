"""True maps of a mock galaxy: kinematics, abundance, ionisation, dust and line fluxes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter

from manga_ssftt.mock.lines import LINES, TIED
from manga_ssftt.mock.population import GalaxyParameters

__all__ = ["Truth", "attenuation", "make_truth"]

Floats = npt.NDArray[np.float64]

# The star-forming sequence runs this far below the line of Kauffmann et al. (2003).
_BELOW_K03: Final = 0.30
_ABUNDANCE_RANGE: Final = (8.20, 8.59)
# log of NII/Ha, OIII/Hb, SII(sum)/Ha and OI/Ha of gas that an active nucleus or old stars ionise.
_AGN_RATIOS: Final = {
    "seyfert": (0.02, 0.95, -0.10, -0.85),
    "liner": (0.12, 0.30, 0.10, -0.62),
}
# Intrinsic ratios to H-alpha at 10,000 K, case B (Osterbrock & Ferland 2006), and mean ratios of
# weak lines in star-forming galaxies.
_BALMER: Final = {
    "Ha-6564": 1.0,
    "Hb-4862": 1 / 2.86,
    "Hgam-4341": 0.468 / 2.86,
    "Hdel-4102": 0.259 / 2.86,
    "Heps-3971": 0.159 / 2.86,
    "Hzet-3890": 0.105 / 2.86,
    "Heta-3836": 0.073 / 2.86,
    "Hthe-3798": 0.053 / 2.86,
    "H11-3771": 0.040 / 2.86,
    "H12-3751": 0.031 / 2.86,
    "HeI-5877": 0.040,
    "HeI-7067": 0.009,
    "HeI-3889": 0.030,
    "ArIII-7137": 0.030,
    "ArIII-7753": 0.008,
    "NeIII-3869": 0.030,
    "NeIII-3968": 0.009,
    "SIII-9071": 0.080,
    "SIII-9533": 0.200,
    "Peta-9017": 0.006,
    "Pzet-9231": 0.009,
    "Peps-9548": 0.013,
    "NI-5199": 0.006,
    "NI-5201": 0.004,
    "OII-3727": 0.45,
    "OII-3729": 0.60,
}


@dataclass(frozen=True, eq=False)
class Truth:
    """True maps, each of shape (n_y, n_x).

    Attributes
    ----------
    inside : ndarray of bool
        Within the hexagon of the fibre bundle.
    radius_px, radius_re, azimuth_deg : ndarray of float64
        Elliptical coordinates.
    velocity_km_s : ndarray of float64
        Of stars and gas, relative to the galaxy.
    sigma_star_km_s : ndarray of float64
    log_oh : ndarray of float64
        12 + log(O/H) of the gas that stars ionise.
    agn_fraction : ndarray of float64
        Share of H-alpha that is not due to young stars.
    av : ndarray of float64
        Extinction, magnitudes.
    young_fraction, surface_brightness : ndarray of float64
        Of the stellar continuum.
    fluxes : dict of str to ndarray of float64
        1e-17 erg/s/cm2/spaxel, reddened within the galaxy, not by the Milky Way.
    intrinsic : dict of str to ndarray of float64
        The same before extinction.
    """

    inside: npt.NDArray[np.bool_]
    radius_px: Floats
    radius_re: Floats
    azimuth_deg: Floats
    velocity_km_s: Floats
    sigma_star_km_s: Floats
    log_oh: Floats
    agn_fraction: Floats
    av: Floats
    young_fraction: Floats
    surface_brightness: Floats
    fluxes: dict[str, Floats]
    intrinsic: dict[str, Floats]


def make_truth(galaxy: GalaxyParameters, size_px: int, seed: int) -> Truth:
    """Make the true maps of a galaxy.

    Parameters
    ----------
    galaxy : GalaxyParameters
    size_px : int
    seed : int
        Repeat observations of one galaxy have the same truth.

    Returns
    -------
    Truth
    """
    random = np.random.default_rng((seed, galaxy.number, 1))
    shape = (size_px, size_px)
    y, x = np.indices(shape) - (size_px - 1) / 2.0
    angle = np.radians(galaxy.angle_deg)
    major = -x * np.sin(angle) + y * np.cos(angle)
    minor = (x * np.cos(angle) + y * np.sin(angle)) / galaxy.axis_ratio
    radius = np.hypot(major, minor)
    in_re = radius / galaxy.re_px
    inclination_sine = np.sqrt(1.0 - galaxy.axis_ratio**2)
    along = np.divide(major, radius, out=np.zeros(shape), where=radius > 0)
    velocity = galaxy.v_max_km_s * inclination_sine * np.tanh(in_re / 0.5) * along

    patchiness = _smooth(random, shape)
    log_oh = galaxy.abundance_re + galaxy.gradient * (in_re - 1.0) + 0.02 * _smooth(random, shape)
    log_oh = np.clip(log_oh, *_ABUNDANCE_RANGE)
    ratios = _star_forming_ratios(log_oh, 0.05 * _smooth(random, shape))
    agn_fraction = np.zeros(shape)
    if galaxy.agn != "none":
        width = 0.45 if galaxy.agn == "seyfert" else 0.60
        agn_fraction = 0.95 * np.exp(-0.5 * (in_re / width) ** 2)
    av = np.clip(galaxy.av_centre * np.exp(-0.5 * in_re) + 0.1 * _smooth(random, shape), 0.0, 3.0)
    ha = galaxy.ha_centre * np.exp(-0.9 * in_re) * 10.0 ** (0.15 * patchiness)

    intrinsic = _line_fluxes(ha, agn_fraction, ratios, galaxy.agn)
    waves = dict(LINES)
    fluxes = {
        name: flux * 10.0 ** (-0.4 * av * attenuation(waves[name]))
        for name, flux in intrinsic.items()
    }
    return Truth(
        inside=_hexagon(x, y, size_px),
        radius_px=radius,
        radius_re=in_re,
        azimuth_deg=np.degrees(np.arctan2(minor, major)) % 360.0,
        velocity_km_s=velocity,
        sigma_star_km_s=40.0 + 0.35 * galaxy.v_max_km_s * np.exp(-in_re),
        log_oh=log_oh,
        agn_fraction=agn_fraction,
        av=av,
        young_fraction=np.clip(0.25 + 0.25 * in_re + 0.05 * patchiness, 0.05, 0.95),
        surface_brightness=0.12 * galaxy.ha_centre**0.5 * np.exp(-1.3 * in_re),
        fluxes=fluxes,
        intrinsic=intrinsic,
    )


def _smooth(random: np.random.Generator, shape: tuple[int, int]) -> Floats:
    """A random field of unit variance that is smooth over the point-spread function."""
    field = gaussian_filter(random.normal(size=shape), 1.5, mode="wrap")
    return np.asarray((field - field.mean()) / max(field.std(), 1e-12))


def _hexagon(x: Floats, y: Floats, size_px: int) -> npt.NDArray[np.bool_]:
    half = 0.48 * size_px
    return np.asarray(
        (np.abs(y) <= half * np.sqrt(3) / 2)
        & (np.abs(x) * np.sqrt(3) / 2 + np.abs(y) / 2 <= half * np.sqrt(3) / 2)
    )


def _star_forming_ratios(log_oh: Floats, ionisation: Floats) -> tuple[Floats, ...]:
    """NII/Ha, OIII/Hb, SII/Ha and OI/Ha, logarithms, of star-forming gas.

    O3N2 follows from the abundance by the calibration of Marino et al. (2013); where on the
    diagram that O3N2 lies follows from a sequence below the line of Kauffmann et al. (2003). The
    ionisation moves gas along lines of one O3N2, so that NII/Ha alone does not tell the abundance.
    """
    o3n2 = (8.505 - log_oh) / 0.221
    sequence = np.linspace(-1.6, -0.30, 400)
    sequence_o3n2 = 0.61 / (sequence - 0.05) + 1.3 - _BELOW_K03 - sequence
    # The sequence falls with x, and np.interp wants increasing abscissae.
    nii = np.interp(o3n2, sequence_o3n2[::-1], sequence[::-1]) + ionisation
    oiii = o3n2 + nii
    sii = -0.48 + 0.30 * (nii + 0.6) - 0.4 * ionisation
    oi = -1.55 + 0.25 * (nii + 0.6) - 0.5 * ionisation
    return nii, oiii, sii, oi


def _line_fluxes(
    ha: Floats, agn_fraction: Floats, ratios: tuple[Floats, ...], agn: str
) -> dict[str, Floats]:
    """Fluxes of all lines before extinction: two kinds of gas mixed."""
    shares = [(ha * (1.0 - agn_fraction), ratios)]
    if agn != "none":
        constant = tuple(np.full(ha.shape, value) for value in _AGN_RATIOS[agn])
        shares.append((ha * agn_fraction, constant))
    fluxes = {name: np.zeros(ha.shape) for name, _ in LINES}
    for share, (nii, oiii, sii, oi) in shares:
        for name, ratio in _BALMER.items():
            fluxes[name] += share * ratio
        fluxes["NII-6585"] += share * 10.0**nii
        fluxes["OIII-5008"] += share * 10.0**oiii / 2.86
        fluxes["SII-6718"] += share * 10.0**sii * 0.56
        fluxes["SII-6732"] += share * 10.0**sii * 0.44
        fluxes["OI-6302"] += share * 10.0**oi
    for name, (strong, ratio) in TIED.items():
        fluxes[name] = ratio * fluxes[strong]
    return fluxes


def attenuation(wavelength: npt.ArrayLike) -> Floats:
    """A(wavelength) / A(V) of Calzetti et al. (2000, ApJ 533, 682), R_V = 4.05.

    Parameters
    ----------
    wavelength : array_like of float
        Rest frame, angstrom.

    Returns
    -------
    ndarray of float64, same shape
    """
    micron = np.asarray(wavelength, dtype=np.float64) / 1e4
    blue = 2.659 * (-2.156 + 1.509 / micron - 0.198 / micron**2 + 0.011 / micron**3)
    red = 2.659 * (-1.857 + 1.040 / micron)
    return np.asarray((np.where(micron < 0.63, blue, red) + 4.05) / 4.05)
