"""One CCD: sources, sky, cosmic rays, amplifiers and converter."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from cfht_iqa.mock.conditions import Conditions
from cfht_iqa.mock.detector import (
    BIAS_ADU,
    FILTERS,
    FULL_SCALE_ADU,
    GAIN_E_PER_ADU,
    OVERSCAN_PX,
    READ_NOISE_E,
)
from cfht_iqa.mock.profiles import StampBank

__all__ = ["FULL_SHAPE", "CcdPlan", "render_ccd"]

FULL_SHAPE: Final = (4612, 2048)
_BRIGHTEST_MAG, _FAINTEST_MAG = 15.0, 23.5
# Slopes of log10 of the counts by magnitude.
_STAR_SLOPE, _GALAXY_SLOPE = 0.22, 0.40
# Cosmic-ray hits on a whole CCD per second.
_HITS_PER_S: Final = 1.2

Floats32 = npt.NDArray[np.float32]


@dataclass(frozen=True)
class CcdPlan:
    """What a CCD shall be.

    Attributes
    ----------
    shape : tuple of int
        Rows and columns that see the sky.
    sources_per_ccd : float
        Sources on a CCD of full size, before detection.
    state : str
        ``alive``, ``dead``, ``left-dead`` or ``right-dead``.
    star_share : float
        Share of the sources that are stars, the others being galaxies.
    """

    shape: tuple[int, int]
    sources_per_ccd: float
    state: str = "alive"
    star_share: float = 0.6


def render_ccd(
    plan: CcdPlan,
    conditions: Conditions,
    place: tuple[float, float],
    bank: StampBank,
    generator: np.random.Generator,
) -> npt.NDArray[np.uint16]:
    """Make the raw image of a CCD.

    Parameters
    ----------
    plan : CcdPlan
        Size, crowding, state.
    conditions : Conditions
        Of the exposure.
    place : tuple of float
        x and y of the CCD's middle in the mosaic, from 0 to 1.
    bank : StampBank
        Images of sources.
    generator : numpy.random.Generator
        Draws all the rest.

    Returns
    -------
    ndarray of uint16
        With overscan: 32 columns on either side, 32 rows above.
    """
    n_y, n_x = plan.shape
    electrons = _sky(plan.shape, conditions, place)
    _add_sources(electrons, plan, conditions, bank, generator)
    # The Gaussian limit is good to a percent from 20 electrons on.
    noise = generator.standard_normal(plan.shape, np.float32)
    electrons += noise * np.sqrt(electrons + np.float32(READ_NOISE_E**2))
    _add_cosmic_rays(electrons, conditions.exptime_s, generator)
    _bleed(electrons)
    adu = electrons / np.float32(GAIN_E_PER_ADU)
    adu[:, n_x // 2 :] += np.float32(conditions.amplifier_step_adu)
    dead = {"dead": slice(0, n_x), "left-dead": slice(0, n_x // 2)}
    dead["right-dead"] = slice(n_x // 2, n_x)
    whole = generator.standard_normal((n_y + OVERSCAN_PX, n_x + 2 * OVERSCAN_PX), np.float32)
    whole *= np.float32(READ_NOISE_E / GAIN_E_PER_ADU)
    if plan.state in dead:
        columns = dead[plan.state]
        adu[:, columns] = whole[:n_y, OVERSCAN_PX : OVERSCAN_PX + n_x][:, columns]
    whole[:n_y, OVERSCAN_PX : OVERSCAN_PX + n_x] = adu
    levels = BIAS_ADU + generator.uniform(-1.0, 1.0, 2)
    middle = whole.shape[1] // 2
    whole[:, :middle] += np.float32(levels[0])
    whole[:, middle:] += np.float32(levels[1])
    return np.clip(np.rint(whole), 0, FULL_SCALE_ADU).astype(np.uint16)


def _sky(shape: tuple[int, int], conditions: Conditions, place: tuple[float, float]) -> Floats32:
    n_y, n_x = shape
    x = np.linspace(-0.5, 0.5, n_x, dtype=np.float32)[None, :]
    y = np.linspace(-0.5, 0.5, n_y, dtype=np.float32)[:, None]
    # The corners of the field get less light.
    radius = (x * 0.1 + place[0] - 0.5) ** 2 + (y * 0.2 + place[1] - 0.5) ** 2
    relative = (1.0 - 0.04 * radius) * (
        1.0 + conditions.gradient[0] * x + conditions.gradient[1] * y
    )
    share, middle_x, middle_y, size = conditions.glow
    if share:
        distance = (x + 0.5 - middle_x) ** 2 + (y + 0.5 - middle_y) ** 2
        relative = relative + share * np.exp(-0.5 * distance / size**2)
    return np.clip(relative * conditions.sky_e, 0.1, None).astype(np.float32)


def _magnitudes(
    slope: float, count: int, generator: np.random.Generator
) -> npt.NDArray[np.float64]:
    low, high = 10.0 ** (slope * _BRIGHTEST_MAG), 10.0 ** (slope * _FAINTEST_MAG)
    return np.asarray(np.log10(generator.uniform(low, high, count)) / slope, np.float64)


def _add_sources(
    electrons: Floats32,
    plan: CcdPlan,
    conditions: Conditions,
    bank: StampBank,
    generator: np.random.Generator,
) -> None:
    n_y, n_x = plan.shape
    share = n_y * n_x / (FULL_SHAPE[0] * FULL_SHAPE[1])
    count = int(generator.poisson(plan.sources_per_ccd * share))
    stars = round(plan.star_share * count)
    magnitudes = np.concatenate(
        [
            _magnitudes(_STAR_SLOPE, stars, generator),
            _magnitudes(_GALAXY_SLOPE, count - stars, generator),
        ]
    )
    zero_point = FILTERS[conditions.filter_name].zero_point_mag
    flux = conditions.exptime_s * 10.0 ** (0.4 * (zero_point - magnitudes))
    shapes = generator.integers(1, len(bank.stamps), count)
    shapes[:stars] = 0
    x, y = generator.uniform(-20.0, n_x + 20.0, count), generator.uniform(-20.0, n_y + 20.0, count)
    bank.add(electrons, shapes, x, y, flux)


def _add_cosmic_rays(electrons: Floats32, exptime_s: float, generator: np.random.Generator) -> None:
    n_y, n_x = electrons.shape
    share = n_y * n_x / (FULL_SHAPE[0] * FULL_SHAPE[1])
    for _ in range(int(generator.poisson(_HITS_PER_S * exptime_s * share))):
        length = generator.exponential(4.0) + 1.0
        angle = generator.uniform(0.0, np.pi)
        steps = np.arange(0.0, length, 0.7)
        columns = np.rint(generator.uniform(0, n_x) + steps * np.cos(angle)).astype(int)
        rows = np.rint(generator.uniform(0, n_y) + steps * np.sin(angle)).astype(int)
        inside = (columns >= 0) & (columns < n_x) & (rows >= 0) & (rows < n_y)
        energy = generator.lognormal(7.0, 0.7)
        electrons[rows[inside], columns[inside]] += np.float32(energy)


def _bleed(electrons: Floats32) -> None:
    """Let full wells spill along their columns."""
    full = np.float32((FULL_SCALE_ADU - BIAS_ADU) * GAIN_E_PER_ADU)
    rows, columns = np.nonzero(electrons > full)
    for column in np.unique(columns):
        line = electrons[:, column]
        own = rows[columns == column]
        excess = float((line[own] - full).sum())
        line[own] = full
        reach = min(int(excess / (2.0 * full)) + 1, 400)
        middle = int(np.median(own))
        line[max(0, middle - reach) : middle + reach + 1] = full
