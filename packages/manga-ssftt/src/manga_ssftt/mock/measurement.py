"""What an analysis pipeline would measure on mock spectra: line fluxes and their errors.

Lines are fitted by weighted least squares to the spectra without their stars, those closer than
their windows together. Profile and position are known, so that a flux differs from the truth by
noise alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy.special import erf

from manga_ssftt.bitmask import DapMap, bad_cube_pixels
from manga_ssftt.mock.lines import LINES, TIED
from manga_ssftt.mock.population import GalaxyParameters
from manga_ssftt.mock.spectra import (
    GAS_SIGMA_KM_S,
    INSTRUMENT_SIGMA_KM_S,
    LIGHT_SPEED_KM_S,
    LOG_STEP,
    WAVE,
    Spectra,
)
from manga_ssftt.mock.truth import Truth

__all__ = ["Measured", "measure_lines"]

Floats = npt.NDArray[np.float64]

_WINDOW_CHANNELS: Final = 8
# Farther apart, windows of two lines do not touch.
_GROUP_CHANNELS: Final = 2 * _WINDOW_CHANNELS


@dataclass(frozen=True, eq=False)
class Measured:
    """Maps of all lines, shape (n_line, n_y, n_x), in the order of `LINES`.

    Attributes
    ----------
    flux, flux_ivar : ndarray of float64
        1e-17 erg/s/cm2/spaxel, corrected for the Milky Way's extinction.
    ew, ew_ivar : ndarray of float64
        Equivalent width in emission, rest frame, angstrom.
    continuum : ndarray of float64
        At the line.
    velocity, velocity_ivar : ndarray of float64
        km/s.
    mask : ndarray of int32
        Bits of `DapMap`.
    """

    flux: Floats
    flux_ivar: Floats
    ew: Floats
    ew_ivar: Floats
    continuum: Floats
    velocity: Floats
    velocity_ivar: Floats
    mask: npt.NDArray[np.int32]


def measure_lines(galaxy: GalaxyParameters, truth: Truth, spectra: Spectra, seed: int) -> Measured:
    """Fit the lines of all spaxels.

    Parameters
    ----------
    galaxy : GalaxyParameters
    truth : Truth
    spectra : Spectra
    seed : int
        Of the errors of the velocities.

    Returns
    -------
    Measured
    """
    n_lines, n_spaxels = len(LINES), truth.inside.size
    flux, ivar = np.zeros((n_lines, n_spaxels)), np.zeros((n_lines, n_spaxels))
    stretch = (1.0 + galaxy.redshift) * (1.0 + truth.velocity_km_s.ravel() / LIGHT_SPEED_KM_S)
    for group in _groups():
        _fit_group(group, stretch, spectra, flux, ivar)
    names = [name for name, _ in LINES]
    for name, (strong, ratio) in TIED.items():
        source, target = names.index(strong), names.index(name)
        flux[target], ivar[target] = ratio * flux[source], ivar[source] / ratio**2
    mask = np.zeros((n_lines, n_spaxels), dtype=np.int32)
    mask[:, ~truth.inside.ravel()] = int(DapMap.NOCOV | DapMap.NOVALUE | DapMap.DONOTUSE)
    mask[(ivar <= 0) & (mask == 0)] = int(DapMap.FITFAILED | DapMap.DONOTUSE)
    # A fit that ends at a bound is flagged, and only --map-mask any leaves it out.
    mask[(flux <= 0) & (mask == 0)] |= int(DapMap.NEARBOUND)
    flux[mask & int(DapMap.DONOTUSE) != 0] = 0.0
    continuum = _continuum(stretch, spectra)
    positive = continuum > 0
    # Line flux over observed continuum is an observed width; the rest-frame one is 1 + z narrower.
    observed = continuum * (1.0 + galaxy.redshift)
    factor = np.divide(1.0, observed, out=np.zeros_like(continuum), where=positive)
    ew_ivar = np.where(factor > 0, ivar / np.where(factor > 0, factor, 1.0) ** 2, 0.0)
    random = np.random.default_rng((seed, galaxy.number, 3, galaxy.visit))
    snr = np.abs(flux) * np.sqrt(ivar)
    velocity_sigma = np.clip(INSTRUMENT_SIGMA_KM_S / np.maximum(snr, 0.1), 0.5, 300.0)
    velocity = truth.velocity_km_s.ravel() + velocity_sigma * random.normal(size=flux.shape)
    shape = (n_lines, *truth.inside.shape)
    return Measured(
        flux=flux.reshape(shape),
        flux_ivar=ivar.reshape(shape),
        ew=(flux * factor).reshape(shape),
        ew_ivar=ew_ivar.reshape(shape),
        continuum=continuum.reshape(shape),
        velocity=velocity.reshape(shape),
        velocity_ivar=(1.0 / velocity_sigma**2).reshape(shape),
        mask=mask.reshape(shape),
    )


def _groups() -> list[list[int]]:
    """Lines whose windows touch, which are fitted together; tied lines are not fitted."""
    groups: list[list[int]] = []
    last = -np.inf
    for number, (name, rest) in enumerate(LINES):
        if name in TIED:
            continue
        place = np.log(rest) / LOG_STEP
        if place - last > _GROUP_CHANNELS:
            groups.append([])
        groups[-1].append(number)
        last = place
    return groups


def _fit_group(
    group: list[int], stretch: Floats, spectra: Spectra, flux: Floats, ivar: Floats
) -> None:
    waves = np.asarray([LINES[number][1] for number in group])
    places = np.log(waves[:, np.newaxis] * stretch / WAVE[0]) / LOG_STEP  # (line, spaxel)
    first = np.rint(places[0]).astype(np.int64) - _WINDOW_CHANNELS
    span = int(np.ceil((places[-1] - places[0]).max())) + 2 * _WINDOW_CHANNELS + 1
    if first.min() < 1 or first.max() + span >= len(WAVE) - 1:
        return
    channels = first[:, np.newaxis] + np.arange(span)  # (spaxel, channel)
    rows = np.arange(len(first))[:, np.newaxis]
    correction = spectra.correction[channels]
    signal = (spectra.flux[rows, channels] - spectra.stars[rows, channels]) * correction
    good = ~bad_cube_pixels(spectra.mask[rows, channels], product="dap")
    weight = np.where(good, spectra.ivar[rows, channels] / correction**2, 0.0)
    edges = WAVE[0] * np.exp(LOG_STEP * (channels[..., np.newaxis] + np.asarray([-0.5, 0.5])))
    sigma = np.hypot(INSTRUMENT_SIGMA_KM_S, GAS_SIGMA_KM_S) / LIGHT_SPEED_KM_S
    profiles = []
    for wave in waves:
        centre = (wave * stretch)[:, np.newaxis, np.newaxis]
        cumulative = erf((edges - centre) / (np.sqrt(2.0) * sigma * centre))
        profiles.append(np.diff(cumulative)[..., 0] / 2.0 / np.diff(edges)[..., 0])
    design = np.stack(profiles, axis=-1)  # (spaxel, channel, line)
    weighted = design * weight[..., np.newaxis]
    normal = np.einsum("sck,scl->skl", weighted, design)
    right = np.einsum("sck,sc->sk", weighted, signal)
    # A line that a bad pixel removes leaves a singular matrix, and no measurement.
    usable = np.linalg.cond(normal) < 1e10
    covariance = np.linalg.inv(normal[usable])
    solution = np.einsum("skl,sl->sk", covariance, right[usable])
    for place, number in enumerate(group):
        flux[number, usable] = solution[:, place]
        ivar[number, usable] = 1.0 / covariance[:, place, place]


def _continuum(stretch: Floats, spectra: Spectra) -> Floats:
    result = np.zeros((len(LINES), len(stretch)))
    rows = np.arange(len(stretch))
    for number, (_, rest) in enumerate(LINES):
        channel = np.rint(np.log(rest * stretch / WAVE[0]) / LOG_STEP).astype(np.int64)
        channel = np.clip(channel, 0, len(WAVE) - 1)
        result[number] = spectra.stars[rows, channel] * spectra.correction[channel]
    return result
