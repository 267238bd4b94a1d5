"""Which galaxies a mock holds: their global properties and names."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

__all__ = ["GalaxyParameters", "draw_population"]

_FIRST_PLATE = 9001
_IFUS_PER_PLATE = 4
# From this many galaxies on, the last is a repeat observation of the first, and one has no NSA
# redshift: both occur in DR17.
_SPECIAL_FROM = 6


@dataclass(frozen=True)
class GalaxyParameters:
    """Global properties of a mock galaxy.

    Attributes
    ----------
    plateifu, mangaid : str
    number : int
        Of the sky object: repeat observations share it.
    visit : int
        Of repeat observations.
    ra, dec : float
        Degrees.
    redshift, nsa_redshift : float
        The NSA redshift is -999 for one galaxy.
    log_mass : float
        Decimal logarithm of the stellar mass in solar masses.
    re_px : float
        Effective radius, spaxels.
    axis_ratio, angle_deg : float
        Minor over major axis; position angle of the major axis from the y axis.
    v_max_km_s : float
        Rotation velocity of the flat part.
    abundance_re, gradient : float
        12 + log(O/H) at one effective radius, and dex per effective radius.
    agn : {"none", "seyfert", "liner"}
        What ionises the centre.
    ha_centre : float
        H-alpha flux of a central spaxel, 1e-17 erg/s/cm2.
    av_centre : float
        Extinction in the centre, magnitudes.
    ebv_galactic : float
    """

    plateifu: str
    mangaid: str
    number: int
    visit: int
    ra: float
    dec: float
    redshift: float
    nsa_redshift: float
    log_mass: float
    re_px: float
    axis_ratio: float
    angle_deg: float
    v_max_km_s: float
    abundance_re: float
    gradient: float
    agn: str
    ha_centre: float
    av_centre: float
    ebv_galactic: float


def draw_population(n_galaxies: int, size_px: int, seed: int) -> list[GalaxyParameters]:
    """Draw the galaxies of a mock.

    Parameters
    ----------
    n_galaxies : int
    size_px : int
        Spaxels on a side, to which the effective radii are matched.
    seed : int

    Returns
    -------
    list of GalaxyParameters
        A galaxy is the same whatever the number of galaxies, but for the repeat observation.
    """
    galaxies = [_draw(number, size_px, seed) for number in range(n_galaxies)]
    if n_galaxies >= _SPECIAL_FROM:
        last = galaxies[-1]
        galaxies[-1] = replace(galaxies[0], plateifu=last.plateifu, visit=1)
        galaxies[2] = replace(galaxies[2], nsa_redshift=-999.0)
    return galaxies


def _draw(number: int, size_px: int, seed: int) -> GalaxyParameters:
    random = np.random.default_rng((seed, number, 0))
    plate = _FIRST_PLATE + number // _IFUS_PER_PLATE
    ifu = _ifu_design(size_px) + number % _IFUS_PER_PLATE
    log_mass = random.uniform(9.3, 11.2)
    redshift = float(random.uniform(0.02, 0.05))
    agn = "none"
    if random.uniform() < 0.55:
        agn = "seyfert" if random.uniform() < 0.5 else "liner"
    return GalaxyParameters(
        plateifu=f"{plate}-{ifu}",
        mangaid=f"1-{900000 + number}",
        number=number,
        visit=0,
        ra=float(random.uniform(0.0, 360.0)),
        dec=float(random.uniform(-5.0, 60.0)),
        redshift=redshift,
        nsa_redshift=redshift,
        log_mass=float(log_mass),
        re_px=float(size_px * random.uniform(0.16, 0.26)),
        axis_ratio=float(random.uniform(0.45, 1.0)),
        angle_deg=float(random.uniform(0.0, 180.0)),
        v_max_km_s=float(10.0 ** (2.2 + 0.28 * (log_mass - 10.5))),
        # A mass-metallicity relation and the usual gradient with some scatter.
        abundance_re=float(8.46 + 0.08 * (log_mass - 10.2) + random.normal(0.0, 0.025)),
        gradient=float(random.normal(-0.06, 0.015)),
        agn=agn,
        ha_centre=float(10.0 ** random.uniform(0.7, 1.2)),
        av_centre=float(random.uniform(0.3, 1.3)),
        ebv_galactic=float(random.uniform(0.01, 0.08)),
    )


def _ifu_design(size_px: int) -> int:
    """First IFU name of the bundle whose cubes are this large (34, 44, 54, 64, 74 spaxels)."""
    for limit, design in ((34, 1901), (44, 3701), (54, 6101), (64, 9101)):
        if size_px <= limit:
            return design
    return 12701
