"""Directions, small offsets, space motion and neighbours, for writing and judging the mock.

The mock tests the package's own astrometry and matching, so this code is separate from them.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = [
    "AU_PER_YEAR_KM_S",
    "angles",
    "neighbours",
    "offset",
    "proper_motion_then",
    "separation_arcsec",
    "space_motion",
    "tangent_basis",
    "unit_vectors",
]

Float = NDArray[np.float64]
Int = NDArray[np.int64]

_ARCSEC = np.pi / (180.0 * 3600.0)
_MAS = _ARCSEC / 1000.0
# km/s of one astronomical unit per Julian year.
AU_PER_YEAR_KM_S = 4.740470463533349


def unit_vectors(ra: ArrayLike, dec: ArrayLike) -> Float:
    """Unit vectors of positions in degrees, shape (..., 3)."""
    alpha = np.deg2rad(np.asarray(ra, dtype=np.float64))
    delta = np.deg2rad(np.asarray(dec, dtype=np.float64))
    return np.stack(
        [np.cos(delta) * np.cos(alpha), np.cos(delta) * np.sin(alpha), np.sin(delta)], axis=-1
    )


def angles(vectors: Float) -> tuple[Float, Float]:
    """Right ascension in [0, 360) and declination, degrees, of vectors of shape (..., 3)."""
    x, y, z = np.moveaxis(vectors, -1, 0)
    ra = np.mod(np.rad2deg(np.arctan2(y, x)), 360.0)
    dec = np.rad2deg(np.arctan2(z, np.hypot(x, y)))
    return np.where(ra >= 360.0, 0.0, ra), dec


def tangent_basis(ra: ArrayLike, dec: ArrayLike) -> tuple[Float, Float]:
    """Unit vectors towards east and north at positions in degrees, each of shape (..., 3)."""
    alpha = np.deg2rad(np.asarray(ra, dtype=np.float64))
    delta = np.deg2rad(np.asarray(dec, dtype=np.float64))
    east = np.stack([-np.sin(alpha), np.cos(alpha), np.zeros_like(alpha + delta)], axis=-1)
    north = np.stack(
        [-np.sin(delta) * np.cos(alpha), -np.sin(delta) * np.sin(alpha), np.cos(delta)], axis=-1
    )
    return east, north


def offset(
    ra: ArrayLike, dec: ArrayLike, east_arcsec: ArrayLike, north_arcsec: ArrayLike
) -> tuple[Float, Float]:
    """Move positions in the tangent plane (exact to the third order of the offset).

    Parameters
    ----------
    ra, dec : array_like of float
        Degrees.
    east_arcsec, north_arcsec : array_like of float
        Offsets along the local axes.

    Returns
    -------
    ra, dec : ndarray of float64
        Degrees.
    """
    east, north = tangent_basis(ra, dec)
    moved = unit_vectors(ra, dec)
    moved = moved + east * (np.asarray(east_arcsec, dtype=np.float64) * _ARCSEC)[..., None]
    moved = moved + north * (np.asarray(north_arcsec, dtype=np.float64) * _ARCSEC)[..., None]
    return angles(moved)


def separation_arcsec(first: Float, second: Float) -> Float:
    """Angle between unit vectors, from the chord, which loses no digits at small angles."""
    chord = np.linalg.norm(first - second, axis=-1)
    return np.asarray(2.0 * np.arcsin(np.minimum(chord / 2.0, 1.0)) / _ARCSEC)


def space_motion(
    ra: Float,
    dec: Float,
    pmra: Float,
    pmdec: Float,
    parallax: Float,
    radial_velocity: Float,
    years: float,
) -> tuple[Float, Float]:
    """Positions after uniform straight motion through space.

    Parameters
    ----------
    ra, dec : ndarray of float64, shape (n,)
        Degrees, at the first epoch.
    pmra, pmdec : ndarray of float64, shape (n,)
        Proper motion, mas/yr, ``pmra`` including cos(dec). Where NaN, the position stays.
    parallax : ndarray of float64, shape (n,)
        mas. Where NaN or not positive, the change of distance is neglected.
    radial_velocity : ndarray of float64, shape (n,)
        km/s. Where NaN, taken as zero.
    years : float
        Julian years from the first epoch to the second.

    Returns
    -------
    ra, dec : ndarray of float64, shape (n,)
        Degrees, at the second epoch.

    Notes
    -----
    Butkevich and Lindegren 2014, A&A 570, A62, without light-time effects.
    """
    moving, path, _ = _straight_path(ra, dec, pmra, pmdec, parallax, radial_velocity, years)
    new_ra, new_dec = angles(path)
    return np.where(moving, new_ra, ra), np.where(moving, new_dec, dec)


def proper_motion_then(
    ra: Float,
    dec: Float,
    pmra: Float,
    pmdec: Float,
    parallax: Float,
    radial_velocity: Float,
    years: float,
) -> tuple[Float, Float]:
    """Proper motions (mas/yr) after the motion that `space_motion` describes.

    They differ from those at the first epoch because the local axes turn, a great deal near a
    pole, and because the distance changes.
    """
    _, path, velocity = _straight_path(ra, dec, pmra, pmdec, parallax, radial_velocity, years)
    distance = np.linalg.norm(path, axis=-1)
    east, north = tangent_basis(*angles(path))
    eastward = np.einsum("ij,ij->i", velocity, east) / distance / _MAS
    northward = np.einsum("ij,ij->i", velocity, north) / distance / _MAS
    return eastward, northward


def _straight_path(
    ra: Float,
    dec: Float,
    pmra: Float,
    pmdec: Float,
    parallax: Float,
    radial_velocity: Float,
    years: float,
) -> tuple[NDArray[np.bool_], Float, Float]:
    """Which sources move, their places after some years and velocities, in initial distances."""
    east, north = tangent_basis(ra, dec)
    moving = np.isfinite(pmra) & np.isfinite(pmdec)
    usable = moving & np.isfinite(parallax) & (parallax > 0) & np.isfinite(radial_velocity)
    outward = np.where(usable, radial_velocity * parallax * _MAS / AU_PER_YEAR_KM_S, 0.0)
    velocity = unit_vectors(ra, dec) * outward[:, None]
    velocity += east * (np.where(moving, pmra, 0.0) * _MAS)[:, None]
    velocity += north * (np.where(moving, pmdec, 0.0) * _MAS)[:, None]
    return moving, unit_vectors(ra, dec) + velocity * years, velocity


def neighbours(
    left_ra: Float, left_dec: Float, right_ra: Float, right_dec: Float, radius_arcsec: float
) -> tuple[Int, Int, Float]:
    """All pairs within a radius (inclusive), by a sweep along one axis.

    Parameters
    ----------
    left_ra, left_dec, right_ra, right_dec : ndarray of float64
        Degrees. Right positions that are NaN have no neighbours.
    radius_arcsec : float
        Largest separation.

    Returns
    -------
    left, right : ndarray of int64
        Rows of each pair, ordered by left row, then separation.
    separation : ndarray of float64
        Arcseconds.
    """
    left = unit_vectors(left_ra, left_dec)
    right = unit_vectors(right_ra, right_dec)
    valid = np.flatnonzero(np.isfinite(right).all(axis=1))
    empty = np.zeros(0, dtype=np.int64)
    if not len(left) or not len(valid):
        return empty, empty, np.zeros(0)
    # Along any axis two points differ by no more than the chord between them. The direction of
    # north at the middle of the field spreads the sources well, at the pole too.
    middle_ra, middle_dec = angles(left.mean(axis=0))
    axis = tangent_basis(middle_ra, middle_dec)[1]
    valid = valid[np.argsort(right[valid] @ axis, kind="stable")]
    along = right[valid] @ axis
    reach = radius_arcsec * _ARCSEC * (1.0 + 1e-9) + 1e-14
    first = np.searchsorted(along, left @ axis - reach, side="left")
    last = np.searchsorted(along, left @ axis + reach, side="right")
    counts = last - first
    rows = np.repeat(np.arange(len(left)), counts)
    starts = np.repeat(first - np.cumsum(counts) + counts, counts)
    columns = valid[starts + np.arange(counts.sum())]
    separation = separation_arcsec(left[rows], right[columns])
    keep = separation <= radius_arcsec
    rows, columns, separation = rows[keep], columns[keep], separation[keep]
    order = np.lexsort((columns, separation, rows))
    return rows[order], columns[order], separation[order]
