"""Spectra of a mock galaxy: stars, lines, noise and flags on MaNGA's wavelength grid."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter1d
from scipy.special import erf

from manga_ssftt.bitmask import DapCube
from manga_ssftt.extinction import galactic_correction
from manga_ssftt.mock.lines import LINES
from manga_ssftt.mock.population import GalaxyParameters
from manga_ssftt.mock.truth import Truth, attenuation

__all__ = [
    "GAS_SIGMA_KM_S",
    "INSTRUMENT_SIGMA_KM_S",
    "LIGHT_SPEED_KM_S",
    "LOG_STEP",
    "WAVE",
    "Spectra",
    "make_spectra",
]

Floats = npt.NDArray[np.float64]

LIGHT_SPEED_KM_S: Final = 299792.458
INSTRUMENT_SIGMA_KM_S: Final = 68.0
GAS_SIGMA_KM_S: Final = 25.0
# The wavelength grid of all LOGCUBEs: 4563 channels from 3621.6 angstrom, 1e-4 dex apart.
WAVE: Final[Floats] = 10.0 ** (np.log10(3621.5960) + 1e-4 * np.arange(4563))
# The step of the grid in the natural logarithm of wavelength.
LOG_STEP: Final = float(np.log(10.0) * 1e-4)
_PIXEL_KM_S: Final = LIGHT_SPEED_KM_S * LOG_STEP
# Half width of the window in which a line is added, in channels.
_LINE_CHANNELS: Final = 12
# Standard deviation of a pixel's noise in the middle of the spectrum, 1e-17 erg/s/cm2/angstrom.
_NOISE: Final = 0.006

# Absorption of stars: rest wavelength (vacuum angstrom), width (angstrom), depth in old and in
# young populations.
_ABSORPTION: Final = (
    (3934.8, 9.0, 0.55, 0.10),
    (3969.6, 9.0, 0.50, 0.25),
    (4102.9, 9.0, 0.12, 0.35),
    (4305.6, 12.0, 0.25, 0.05),
    (4341.7, 9.0, 0.12, 0.32),
    (4862.7, 9.0, 0.12, 0.28),
    (5176.6, 14.0, 0.28, 0.06),
    (5270.9, 9.0, 0.14, 0.04),
    (5336.7, 9.0, 0.11, 0.03),
    (5893.6, 7.0, 0.22, 0.05),
    (6564.6, 8.0, 0.08, 0.18),
    (8500.4, 5.0, 0.18, 0.08),
    (8544.4, 6.0, 0.24, 0.11),
    (8664.5, 6.0, 0.20, 0.09),
)


@dataclass(frozen=True, eq=False)
class Spectra:
    """Spectra of all spaxels, shape (n_spaxel, n_wave), and what goes with them.

    Attributes
    ----------
    flux, ivar : ndarray of float32
        As observed, reddened by the Milky Way.
    mask : ndarray of int32
        Bits of `DapCube`.
    stars, lines : ndarray of float32
        Without noise, reddened by the Milky Way.
    correction : ndarray of float64, shape (n_wave,)
        REDCORR.
    """

    flux: npt.NDArray[np.float32]
    ivar: npt.NDArray[np.float32]
    mask: npt.NDArray[np.int32]
    stars: npt.NDArray[np.float32]
    lines: npt.NDArray[np.float32]
    correction: Floats


def make_spectra(galaxy: GalaxyParameters, truth: Truth, seed: int) -> Spectra:
    """Make the spectra of a galaxy.

    Parameters
    ----------
    galaxy : GalaxyParameters
    truth : Truth
    seed : int
        Repeat observations have noise of their own.

    Returns
    -------
    Spectra
    """
    random = np.random.default_rng((seed, galaxy.number, 2, galaxy.visit))
    inside = truth.inside.ravel()
    correction = galactic_correction(WAVE, galaxy.ebv_galactic)
    stars = _continuum(galaxy, truth)
    lines = _lines(galaxy, truth)
    stars /= correction
    lines /= correction
    sigma = _noise_sigma()
    # Shot noise of the source adds to that of the sky.
    variance = sigma**2 * (1.0 + (stars + lines) / 0.4)
    noise = random.standard_normal(stars.shape, dtype=np.float32)
    flux = (stars + lines + noise * np.sqrt(variance)).astype(np.float32)
    ivar = (1.0 / variance).astype(np.float32)
    mask = np.zeros(flux.shape, dtype=np.int32)
    # The ends of the spectra are not fitted, which does not make their flux bad.
    mask[:, :60] |= int(DapCube.FITIGNORED | DapCube.ELIGNORED | DapCube.NOMODEL)
    _spoil(random, flux, ivar, mask, inside)
    flux[~inside], ivar[~inside] = 0.0, 0.0
    mask[~inside] = int(DapCube.IGNORED | DapCube.FLUXINVALID | DapCube.IVARINVALID)
    return Spectra(flux, ivar, mask, stars.astype(np.float32), lines.astype(np.float32), correction)


def _continuum(galaxy: GalaxyParameters, truth: Truth) -> Floats:
    """Stellar continuum of each spaxel, without the Milky Way's extinction."""
    rest = 10.0 ** (np.log10(3300.0) + 1e-4 * np.arange(5200))
    x = 5500.0 / rest
    templates = []
    for population, slope in ((0, -1.1), (1, 1.2)):
        spectrum = x**slope
        if population == 0:  # the break at 4000 angstrom
            spectrum *= 1.0 - 0.35 / (1.0 + np.exp((rest - 4000.0) / 25.0))
        for centre, width, *depths in _ABSORPTION:
            spectrum *= 1.0 - depths[population] * np.exp(-0.5 * ((rest - centre) / width) ** 2)
        templates.append(spectrum)
    sigma = float(np.median(truth.sigma_star_km_s)) / _PIXEL_KM_S
    old, young = (gaussian_filter1d(template, sigma) for template in templates)
    extinction = attenuation(rest)
    result = np.empty((truth.inside.size, len(WAVE)))
    share, level = truth.young_fraction.ravel(), truth.surface_brightness.ravel()
    av, velocity = truth.av.ravel(), truth.velocity_km_s.ravel()
    for number in range(truth.inside.size):
        spectrum = (1.0 - share[number]) * old + share[number] * young
        # Stars suffer less extinction than gas (Calzetti et al. 2000).
        spectrum = level[number] * spectrum * 10.0 ** (-0.4 * 0.44 * av[number] * extinction)
        stretch = (1.0 + galaxy.redshift) * (1.0 + velocity[number] / LIGHT_SPEED_KM_S)
        result[number] = np.interp(WAVE, rest * stretch, spectrum)
    return result


def _lines(galaxy: GalaxyParameters, truth: Truth) -> Floats:
    """Emission lines of each spaxel: Gaussians, integrated over the channels."""
    edges = WAVE[0] * np.exp(LOG_STEP * (np.arange(len(WAVE) + 1) - 0.5))
    result = np.zeros((truth.inside.size, len(WAVE)))
    rows = np.arange(truth.inside.size)[:, np.newaxis]
    stretch = (1.0 + galaxy.redshift) * (1.0 + truth.velocity_km_s.ravel() / LIGHT_SPEED_KM_S)
    width = np.hypot(INSTRUMENT_SIGMA_KM_S, GAS_SIGMA_KM_S) / LIGHT_SPEED_KM_S
    offsets = np.arange(-_LINE_CHANNELS, _LINE_CHANNELS + 1)
    for name, rest in LINES:
        centre = rest * stretch
        nearest = np.rint(np.log(centre / WAVE[0]) / LOG_STEP).astype(np.int64)
        if nearest.min() < _LINE_CHANNELS or nearest.max() >= len(WAVE) - _LINE_CHANNELS - 1:
            continue
        channels = nearest[:, np.newaxis] + offsets
        scale = 1.0 / (np.sqrt(2.0) * width * centre)[:, np.newaxis]
        upper = erf((edges[channels + 1] - centre[:, np.newaxis]) * scale)
        lower = erf((edges[channels] - centre[:, np.newaxis]) * scale)
        flux = truth.fluxes[name].ravel()[:, np.newaxis]
        result[rows, channels] += flux * (upper - lower) / 2.0 / np.diff(edges)[channels]
    return result


def _noise_sigma() -> Floats:
    """Noise by wavelength: larger at both ends and on the sky lines of the red."""
    x = (WAVE - 6500.0) / 3000.0
    sky = np.zeros(len(WAVE))
    for line in (5578.9, 6302.0, 7717.0, 7915.0, 8346.0, 8827.0, 8921.0, 9378.0, 9792.0):
        sky += np.exp(-0.5 * ((WAVE - line) / 3.0) ** 2)
    return np.asarray(_NOISE * (1.0 + 0.8 * x**2 + 1.5 * sky))


def _spoil(
    random: np.random.Generator,
    flux: npt.NDArray[np.float32],
    ivar: npt.NDArray[np.float32],
    mask: npt.NDArray[np.int32],
    inside: npt.NDArray[np.bool_],
) -> None:
    """Add what real cubes have: cosmic rays and pixels without a valid variance."""
    spaxels = np.flatnonzero(inside)
    n_hits = max(3, len(spaxels) // 8)
    rows = random.choice(spaxels, n_hits)
    columns = random.integers(0, flux.shape[1], n_hits)
    flux[rows, columns] += random.uniform(0.5, 5.0, n_hits).astype(np.float32)
    mask[rows, columns] |= int(DapCube.ARTIFACT)
    rows = random.choice(spaxels, n_hits)
    columns = random.integers(0, flux.shape[1], n_hits)
    ivar[rows, columns] = 0.0
    mask[rows, columns] |= int(DapCube.IVARINVALID)
