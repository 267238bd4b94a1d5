"""The stars, galaxies and quasars of the synthetic sky with their intrinsic properties.

Stars are dwarfs, giants and blue horizontal-branch stars of the thin disc, the thick disc and the
halo; galaxies mix old and young stars, gas and dust; quasars differ in slope and line strength.
Their numbers are roughly those at high galactic latitude, with more giants and quasars than the
real sky has, so that a small field holds enough of each to learn from.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from splus_hypercube.bands import band
from splus_hypercube.mock.fields import MockField
from splus_hypercube.mock.galaxies import CONTINUA, EMISSION
from splus_hypercube.mock.grid import LIGHT_KM_S
from splus_hypercube.mock.photometry import LIGHT_ANGSTROM_S, magnitude
from splus_hypercube.mock.quasars import QUASAR_LINES
from splus_hypercube.mock.stars import planck

__all__ = [
    "CLASS_NAMES",
    "FAST_STARS",
    "GALAXY",
    "QUASAR",
    "STAR",
    "Population",
    "draw_population",
    "star_radius_pc",
]

Float = NDArray[np.float64]
Int = NDArray[np.int64]

STAR, GALAXY, QUASAR = 0, 1, 2
CLASS_NAMES = ("star", "galaxy", "qso")

_STAR_FRACTION = 0.46
_QUASAR_FRACTION = 0.05
_FAINT_LIMIT = 21.3
_SOLAR_LOGG = 4.438
_SOLAR_RADIUS_PC = 2.2543e-8
_HUBBLE_KM_S_MPC = 70.0
# Proper motion (mas/yr), distance (pc) and radial velocity (km/s) of the fast stars of a field; the
# first is like Barnard's star, which has the largest proper motion known.
FAST_STARS = (
    (10_250.0, 6.0, -110.0),
    (4_800.0, 11.0, 140.0),
    (2_300.0, 24.0, -60.0),
    (1_150.0, 40.0, 35.0),
)


@dataclass(slots=True)
class Population:
    """Sources and their intrinsic properties, all arrays of the same length.

    Attributes
    ----------
    kind : ndarray of int64, shape (n,)
        `STAR`, `GALAXY` or `QUASAR`.
    r_mag : ndarray of float64, shape (n,)
        True total AB magnitude in the S-PLUS r band; NaN for fast stars until `sky` sets it.
    scale : ndarray of float64, shape (n,)
        Factor from the model spectrum to the observed flux; for stars (radius / distance)^2.
    ebv : ndarray of float64, shape (n,)
        Reddening by the Milky Way, mag.
    redshift : ndarray of float64, shape (n,)
        Including the radial velocity of stars over the speed of light.
    teff, logg, feh, alpha_fe, distance_pc : ndarray of float64, shape (n,)
        Stars only; NaN elsewhere.
    fast : ndarray of int64, shape (n,)
        Index into `FAST_STARS`, or -1.
    light, halpha_width, line_ratios, dust_av : ndarray of float64
        Galaxies only, see `galaxies.galaxy_spectra`.
    half_light_arcsec, axis_ratio, position_angle, bulge : ndarray of float64, shape (n,)
        Galaxies only: half-light radius, minor over major axis, angle of the major axis in degrees
        from +x to +y, and one for a de Vaucouleurs profile, zero for an exponential one.
    slope, line_scale : ndarray of float64
        Quasars only, see `quasars.quasar_spectra`.
    """

    kind: Int
    r_mag: Float
    scale: Float
    ebv: Float
    redshift: Float
    teff: Float
    logg: Float
    feh: Float
    alpha_fe: Float
    distance_pc: Float
    fast: Int
    light: Float
    halpha_width: Float
    line_ratios: Float
    dust_av: Float
    half_light_arcsec: Float
    axis_ratio: Float
    position_angle: Float
    bulge: Float
    slope: Float
    line_scale: Float

    def __len__(self) -> int:
        return len(self.kind)

    @classmethod
    def empty(cls, kind: Int) -> Population:
        """A population of given kinds with everything else missing."""
        count = len(kind)
        widths = {
            "light": len(CONTINUA),
            "line_ratios": len(EMISSION),
            "line_scale": len(QUASAR_LINES),
        }
        values = {
            item.name: np.full((count, widths[item.name]) if item.name in widths else count, np.nan)
            for item in fields(cls)
            if item.name not in ("kind", "fast")
        }
        return cls(kind=kind, fast=np.full(count, -1, dtype=np.int64), **values)


def draw_population(field: MockField, count: int) -> Population:
    """Draw the sources of a field.

    Parameters
    ----------
    field : MockField
    count : int
        Number of sources.

    Returns
    -------
    Population
        With ``scale`` one, and distances that are a first estimate.
    """
    rng = field.random("population")
    stars = round(_STAR_FRACTION * count)
    quasars = round(_QUASAR_FRACTION * count)
    kind = np.repeat([STAR, QUASAR, GALAXY], [stars, quasars, count - stars - quasars])
    population = Population.empty(rng.permutation(kind))
    population.scale[:] = 1.0
    _draw_stars(population, np.flatnonzero(population.kind == STAR), rng)
    _draw_galaxies(population, np.flatnonzero(population.kind == GALAXY), rng)
    _draw_quasars(population, np.flatnonzero(population.kind == QUASAR), rng)
    sheet = field.random("reddening").uniform(0.02, 0.09)
    patches = 1.0 + 0.15 * rng.standard_normal(count)
    behind = np.where(
        population.kind == STAR, 1.0 - np.exp(-np.nan_to_num(population.distance_pc) / 180.0), 1.0
    )
    population.ebv[:] = sheet * np.clip(patches, 0.5, 1.5) * behind
    return population


def star_radius_pc(teff: Float, logg: Float) -> Float:
    """Radii of stars, parsec, from their gravity and a typical mass for temperature and gravity."""
    dwarf = np.interp(
        np.nan_to_num(teff),
        [2700, 3000, 3300, 3700, 4400, 5200, 5772, 6500, 9000],
        [0.09, 0.13, 0.25, 0.50, 0.68, 0.85, 1.00, 1.30, 2.20],
    )
    mass = np.where(logg > 3.5, dwarf, 0.8)
    return np.asarray(np.sqrt(mass * 10.0 ** (_SOLAR_LOGG - logg)) * _SOLAR_RADIUS_PC)


def _counts(rng: np.random.Generator, count: int, slope: float, bright: float) -> Float:
    """Magnitudes whose counts grow as 10^(slope m) from the bright to the faint limit."""
    low, high = 10.0 ** (slope * bright), 10.0 ** (slope * _FAINT_LIMIT)
    return np.asarray(np.log10(rng.uniform(low, high, count)) / slope)


def _draw_stars(population: Population, rows: Int, rng: np.random.Generator) -> None:
    count = len(rows)
    r_mag = _counts(rng, count, 0.14, 13.0)
    choice = rng.uniform(size=count)
    giant = choice < np.clip(0.30 - 0.05 * (r_mag - 14.0), 0.03, 0.30)
    horizontal = ~giant & (choice > 0.985)
    halo_like = rng.uniform(size=count)
    teff = _dwarf_temperatures(rng, count)
    teff = np.where(giant, rng.uniform(3950.0, 5150.0, count), teff)
    teff = np.where(horizontal, rng.uniform(7000.0, 9300.0, count), teff)
    dwarf_logg = np.interp(
        teff,
        [2700, 3000, 3500, 4000, 5000, 6000, 7000, 9500],
        [5.30, 5.10, 4.82, 4.65, 4.55, 4.30, 4.15, 4.10],
    )
    evolved = np.where((teff > 5000) & (teff < 6700), rng.exponential(0.14, count), 0.0)
    dwarf_logg += 0.04 * rng.standard_normal(count) - np.minimum(evolved, 0.8)
    giant_logg = 0.9 + (teff - 3950.0) / 1200.0 * 2.4 + 0.2 * rng.standard_normal(count)
    logg = np.where(giant, giant_logg, np.where(horizontal, 3.1, dwarf_logg))
    radius = star_radius_pc(teff, logg)
    # The distance at which a black body of this size has the magnitude decides on disc or halo.
    middle = band("r").wavelength_angstrom
    surface = planck(np.array([middle]), teff)[:, 0] * middle**2 / LIGHT_ANGSTROM_S
    absolute = magnitude(surface * (radius / 10.0) ** 2)
    distance = 10.0 ** (0.2 * (r_mag - absolute) + 1.0)
    height = distance * 0.75
    halo = halo_like < np.clip((height - 800.0) / 5000.0, 0.01, 0.85)
    thick = ~halo & (halo_like > 1.0 - np.clip(height / 2000.0, 0.08, 0.8))
    halo |= horizontal
    feh = np.where(halo, -1.5, np.where(thick, -0.6, -0.1))
    feh = feh + np.where(halo, 0.45, np.where(thick, 0.25, 0.2)) * rng.standard_normal(count)
    population.r_mag[rows] = r_mag
    population.teff[rows] = teff
    population.logg[rows] = logg
    population.feh[rows] = np.clip(feh, -3.0, 0.5)
    population.alpha_fe[rows] = np.clip(-0.3 * feh, 0.0, 0.35) + 0.04 * rng.standard_normal(count)
    population.distance_pc[rows] = distance
    fast = rng.choice(rows, min(len(FAST_STARS), count // 8), replace=False)
    for index, row in enumerate(fast.tolist()):
        population.fast[row] = index
        population.teff[row] = 2850.0 + 110.0 * index
        population.logg[row] = 5.15 - 0.06 * index
        population.feh[row], population.alpha_fe[row] = -0.5, 0.2
        population.distance_pc[row] = FAST_STARS[index][1]
        population.r_mag[row] = np.nan


def _dwarf_temperatures(rng: np.random.Generator, count: int) -> Float:
    which = rng.choice(4, size=count, p=[0.36, 0.30, 0.29, 0.05])
    low = np.array([5200.0, 3950.0, 2950.0, 6600.0])[which]
    high = np.array([6600.0, 5200.0, 3950.0, 9500.0])[which]
    return np.asarray(low + (high - low) * rng.beta(1.4, 1.4, count))


def _draw_galaxies(population: Population, rows: Int, rng: np.random.Generator) -> None:
    count = len(rows)
    r_mag = _counts(rng, count, 0.38, 14.8)
    typical = 0.05 * 10.0 ** (0.165 * (r_mag - 16.0))
    redshift = np.clip(typical * 10.0 ** (0.16 * rng.standard_normal(count)), 0.004, 0.80)
    red = rng.uniform(size=count) < 0.42
    young = np.where(red, rng.beta(1.2, 14.0, count), rng.beta(2.2, 2.6, count))
    intermediate = (1.0 - young) * np.where(red, 0.08, 0.42) * rng.beta(3.0, 3.0, count) * 2.0
    intermediate = np.minimum(intermediate, 0.9 * (1.0 - young))
    old = 1.0 - young - intermediate
    rich = np.clip(rng.normal(np.where(red, 0.75, 0.4), 0.15), 0.05, 0.98)
    population.light[rows] = np.stack([old * rich, old * (1 - rich), intermediate, young], axis=1)
    width = 10.0 ** rng.normal(np.where(red, 0.0, 0.75), 0.25) * (1.0 + 5.0 * young)
    population.halpha_width[rows] = np.clip(width, 0.1, 220.0)
    # Metal-poor gas is bright in [O III], metal-rich gas in [N II].
    oxygen = np.clip(rich + 0.15 * rng.standard_normal(count), 0.0, 1.0)
    ratios = [
        np.ones(count),
        10.0 ** rng.normal(0.0, 0.12, count) * (0.55 + 0.6 * (1 - oxygen)),
        10.0 ** (0.35 - 1.5 * oxygen + 0.15 * rng.standard_normal(count)),
        10.0 ** (-1.0 + 0.8 * oxygen + 0.08 * rng.standard_normal(count)),
        10.0 ** (-0.45 + 0.08 * rng.standard_normal(count)),
    ]
    population.line_ratios[rows] = np.stack(ratios, axis=1)
    population.dust_av[rows] = np.where(red, 0.15, 0.45) * rng.gamma(2.0, 0.5, count)
    population.redshift[rows] = redshift
    population.r_mag[rows] = r_mag
    distance_mpc = LIGHT_KM_S * redshift / _HUBBLE_KM_S_MPC / (1.0 + 0.75 * redshift)
    absolute = r_mag - 5.0 * np.log10(distance_mpc) - 25.0
    size_kpc = 4.2 * 10.0 ** (-0.11 * (absolute + 20.5) + 0.13 * rng.standard_normal(count))
    angle = size_kpc / (distance_mpc * 1e3) * (1.0 + redshift) * 206_264.8
    population.half_light_arcsec[rows] = np.clip(angle, 0.25, 7.0)
    population.axis_ratio[rows] = np.where(
        red, rng.uniform(0.5, 1.0, count), rng.uniform(0.2, 1.0, count)
    )
    population.position_angle[rows] = rng.uniform(-90.0, 90.0, count)
    population.bulge[rows] = red.astype(np.float64)


def _draw_quasars(population: Population, rows: Int, rng: np.random.Generator) -> None:
    count = len(rows)
    population.r_mag[rows] = _counts(rng, count, 0.40, 16.5)
    population.redshift[rows] = 0.15 + 3.3 * rng.beta(1.9, 2.6, count)
    population.slope[rows] = rng.normal(-1.55, 0.22, count)
    population.line_scale[rows] = 10.0 ** (0.13 * rng.standard_normal((count, len(QUASAR_LINES))))
