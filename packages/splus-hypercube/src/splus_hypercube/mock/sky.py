"""The true sky of one field: sources with positions, motions, brightness and variability."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from astropy.wcs import WCS
from numpy.typing import NDArray

from astro_common.errors import ConfigurationError
from splus_hypercube.mock.fields import EPOCH_JYEAR, PIXEL_SCALE_ARCSEC, MockField
from splus_hypercube.mock.grid import LIGHT_KM_S
from splus_hypercube.mock.population import (
    FAST_STARS,
    GALAXY,
    QUASAR,
    STAR,
    Population,
    draw_population,
    star_radius_pc,
)
from splus_hypercube.mock.spectra import magnitudes
from splus_hypercube.mock.sphere import (
    AU_PER_YEAR_KM_S,
    proper_motion_then,
    space_motion,
    tangent_basis,
    unit_vectors,
)

__all__ = ["CONSTANT", "DAMPED_WALK", "ECLIPSING", "RR_LYRAE", "Sky", "image_wcs", "make_sky"]

Float = NDArray[np.float64]
Int = NDArray[np.int64]

CONSTANT, RR_LYRAE, ECLIPSING, DAMPED_WALK = 0, 1, 2, 3

_MIN_SEPARATION_PX = 8.0
_CLOSEST_SEPARATION_PX = 4.0
_ECLIPSING_FRACTION = 0.02
# ICRS to galactic rotation: ESA 1997, The Hipparcos and Tycho Catalogues, volume 1, eq. 1.5.11.
_GALACTIC = np.array(
    [
        [-0.0548755604, -0.8734370902, -0.4838350155],
        [+0.4941094279, -0.4448296300, +0.7469822445],
        [-0.8676661490, -0.1980763734, +0.4559837762],
    ]
)
# The Sun's motion relative to the local standard of rest, km/s: Schoenrich et al. 2010, MNRAS 403,
# 1829.
_SUN_KM_S = np.array([11.1, 12.24, 7.25])


@dataclass(slots=True)
class Sky:
    """Sources of one field in the order of the catalogue (roughly increasing y).

    Attributes
    ----------
    field : MockField
    population : Population
    mags : dict of str to ndarray of float64, shape (n,)
        True total AB magnitudes by band of `photometry.PASSBANDS`.
    ra, dec : ndarray of float64, shape (n,)
        True positions at the epoch of the S-PLUS images, degrees.
    x, y : ndarray of float64, shape (n,)
        The same in 0-based pixels of the image.
    pmra, pmdec, parallax : ndarray of float64, shape (n,)
        Proper motion (with cos(dec)) in mas/yr and parallax in mas; zero but for stars.
    radial_velocity : ndarray of float64, shape (n,)
        km/s, stars only.
    variability : ndarray of int64, shape (n,)
        `CONSTANT`, `RR_LYRAE`, `ECLIPSING` or `DAMPED_WALK`.
    """

    field: MockField
    population: Population
    mags: dict[str, Float]
    ra: Float
    dec: Float
    x: Float
    y: Float
    pmra: Float
    pmdec: Float
    parallax: Float
    radial_velocity: Float
    variability: Int

    def __len__(self) -> int:
        return len(self.population)

    @property
    def kind(self) -> Int:
        """Class of each source."""
        return self.population.kind

    def at_epoch(self, jyear: float) -> tuple[Float, Float]:
        """True positions at another epoch, degrees."""
        return space_motion(*self._motion, jyear - EPOCH_JYEAR)

    def proper_motion_at(self, jyear: float) -> tuple[Float, Float]:
        """True proper motions at another epoch along the axes there, mas/yr."""
        return proper_motion_then(*self._motion, jyear - EPOCH_JYEAR)

    @property
    def _motion(self) -> tuple[Float, Float, Float, Float, Float, Float]:
        velocity = np.nan_to_num(self.radial_velocity)
        return self.ra, self.dec, self.pmra, self.pmdec, self.parallax, velocity


def image_wcs(field: MockField) -> WCS:
    """Tangent-plane WCS of the images of a field, north up and east to the left."""
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = ["RA---TAN", "DEC--TAN"]
    wcs.wcs.cunit = ["deg", "deg"]
    wcs.wcs.crval = [field.ra, field.dec]
    wcs.wcs.crpix = [0.5 * (field.size_px + 1), 0.5 * (field.size_px + 1)]
    scale = PIXEL_SCALE_ARCSEC / 3600.0
    wcs.wcs.cd = np.array([[-scale, 0.0], [0.0, scale]])
    wcs.wcs.radesys = "ICRS"
    wcs.wcs.set()
    return wcs


def make_sky(field: MockField, count: int) -> Sky:
    """Make the sky of a field.

    Parameters
    ----------
    field : MockField
    count : int
        Number of sources that S-PLUS detects.

    Returns
    -------
    Sky

    Raises
    ------
    ConfigurationError
        If so many sources do not fit into the image as separate detections.
    """
    x, y = _scatter(field, count)
    ra, dec = (np.asarray(value) for value in image_wcs(field).all_pix2world(x, y, 0))
    population = draw_population(field, count)
    rng = field.random("kinematics")
    stars = population.kind == STAR
    eastward, northward, velocity = _kinematics(population, ra, dec, rng)
    population.redshift[stars] = velocity[stars] / LIGHT_KM_S
    mags = magnitudes(population)
    _calibrate(population, mags)
    # Galaxies and quasars have neither distance nor velocity, and do not move.
    parallax = np.where(stars, 1000.0 / population.distance_pc, 0.0)
    pmra = np.where(stars, eastward * parallax / AU_PER_YEAR_KM_S, 0.0)
    pmdec = np.where(stars, northward * parallax / AU_PER_YEAR_KM_S, 0.0)
    return Sky(
        field=field,
        population=population,
        mags=mags,
        ra=ra,
        dec=dec,
        x=x,
        y=y,
        pmra=pmra,
        pmdec=pmdec,
        parallax=parallax,
        radial_velocity=velocity,
        variability=_variability(population, rng),
    )


def _scatter(field: MockField, count: int) -> tuple[Float, Float]:
    """Pixel positions no closer than a few pixels, in the order in which an image is scanned."""
    room = field.size_px**2 / count
    closest = min(_MIN_SEPARATION_PX, 0.5 * np.sqrt(room))
    if closest < _CLOSEST_SEPARATION_PX:
        fit = int(field.size_px**2 / (2.0 * _CLOSEST_SEPARATION_PX) ** 2)
        raise ConfigurationError(
            "--sources",
            f"{count} on an image of {field.size_px} x {field.size_px} pixels",
            f"at most {fit}, or they would blend",
            "use fewer sources or a larger image",
        )
    rng = field.random("positions")
    points = np.zeros((0, 2))
    while len(points) < count:
        new = rng.uniform(-0.45, field.size_px - 0.55, size=(count - len(points), 2))
        points = _thin(np.concatenate([points, new]), closest)
    rank = np.argsort(points[:, 1] + rng.normal(0.0, 6.0, count), kind="stable")
    return points[rank, 0].copy(), points[rank, 1].copy()


def _thin(points: Float, closest: float) -> Float:
    """Drop the later of each pair of points closer than a distance."""
    by_y = np.argsort(points[:, 1], kind="stable")
    y = points[by_y, 1]
    counts = np.searchsorted(y, y + closest, side="right") - np.arange(len(y)) - 1
    first = np.repeat(np.arange(len(y)), counts)
    second = first + 1 + np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    gap = points[by_y[first]] - points[by_y[second]]
    close = np.hypot(gap[:, 0], gap[:, 1]) < closest
    drop = np.maximum(by_y[first[close]], by_y[second[close]])
    return np.delete(points, np.unique(drop), axis=0)


def _kinematics(
    population: Population, ra: Float, dec: Float, rng: np.random.Generator
) -> tuple[Float, Float, Float]:
    """Velocities towards east, north and away, km/s; NaN for what is not a star."""
    count = len(population)
    halo = np.nan_to_num(population.feh) < -1.05
    thick = ~halo & (np.nan_to_num(population.feh) < -0.4)
    spread = np.where(
        halo[:, None], [140.0, 100.0, 95.0], np.where(thick[:, None], [63, 40, 38], [33, 22, 17])
    )
    lag = np.where(halo, -215.0, np.where(thick, -45.0, -9.0))
    galactic = spread * rng.standard_normal((count, 3))
    galactic[:, 1] += lag
    galactic -= _SUN_KM_S
    velocity = galactic @ _GALACTIC
    east, north = tangent_basis(ra, dec)
    eastward = np.einsum("ij,ij->i", velocity, east)
    northward = np.einsum("ij,ij->i", velocity, north)
    outward = np.clip(np.einsum("ij,ij->i", velocity, unit_vectors(ra, dec)), -600.0, 600.0)
    for row in np.flatnonzero(population.fast >= 0).tolist():
        motion, distance, radial = FAST_STARS[population.fast[row]]
        angle = rng.uniform(0.0, 2.0 * np.pi)
        speed = motion / 1000.0 * AU_PER_YEAR_KM_S * distance
        eastward[row], northward[row] = speed * np.sin(angle), speed * np.cos(angle)
        outward[row] = radial
    missing = population.kind != STAR
    for component in (eastward, northward, outward):
        component[missing] = np.nan
    return eastward, northward, outward


def _calibrate(population: Population, mags: dict[str, Float]) -> None:
    """Scale each spectrum to its r magnitude and find the distances of stars."""
    radius = star_radius_pc(population.teff, population.logg)
    fast = population.fast >= 0
    scale = 10.0 ** (0.4 * (mags["r"] - population.r_mag))
    scale[fast] = (radius[fast] / population.distance_pc[fast]) ** 2
    population.scale[:] = scale
    for values in mags.values():
        values -= 2.5 * np.log10(scale)
    population.r_mag[:] = mags["r"]
    stars = population.kind == STAR
    population.distance_pc[stars] = radius[stars] / np.sqrt(scale[stars])


def _variability(population: Population, rng: np.random.Generator) -> Int:
    kind = np.full(len(population), CONSTANT, dtype=np.int64)
    lottery = rng.uniform(size=len(population))
    kind[(population.kind == STAR) & (lottery < _ECLIPSING_FRACTION)] = ECLIPSING
    strip = (population.logg < 3.5) & (population.teff > 6400.0) & (population.teff < 7800.0)
    kind[strip] = RR_LYRAE
    kind[population.kind == QUASAR] = DAMPED_WALK
    kind[population.kind == GALAXY] = CONSTANT
    kind[population.fast >= 0] = CONSTANT
    return kind
