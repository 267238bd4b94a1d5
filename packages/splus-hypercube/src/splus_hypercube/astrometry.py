"""Positions on the sphere: separations, offsets and rigorous epoch propagation."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = [
    "ARCSEC_PER_DEG",
    "normalise_positions",
    "offset_positions",
    "propagate_epoch",
    "separation_arcsec",
    "unit_vectors",
]

Float = NDArray[np.float64]

ARCSEC_PER_DEG = 3600.0
_MAS_PER_RADIAN = 180.0 * 3600.0 * 1000.0 / np.pi
# One astronomical unit per Julian year, in km/s (IAU 2012 Resolution B2, 365.25 d of 86400 s).
_AU_PER_YEAR_KM_S = 149_597_870.7 / (365.25 * 86400.0)


def unit_vectors(ra: ArrayLike, dec: ArrayLike) -> Float:
    """Unit vectors of positions.

    Parameters
    ----------
    ra, dec : array_like of float, shape (n,)
        ICRS, degrees.

    Returns
    -------
    ndarray of float64, shape (n, 3)
    """
    alpha = np.deg2rad(np.asarray(ra, dtype=np.float64))
    delta = np.deg2rad(np.asarray(dec, dtype=np.float64))
    cos_delta = np.cos(delta)
    return np.stack([cos_delta * np.cos(alpha), cos_delta * np.sin(alpha), np.sin(delta)], axis=-1)


def separation_arcsec(ra1: ArrayLike, dec1: ArrayLike, ra2: ArrayLike, dec2: ArrayLike) -> Float:
    """Great-circle separation by the haversine formula, exact at small angles.

    Parameters
    ----------
    ra1, dec1, ra2, dec2 : array_like of float
        Degrees; broadcast against each other.

    Returns
    -------
    ndarray of float64
        Arcseconds.

    Notes
    -----
    Sinnott, R. W. 1984, Sky and Telescope 68, 158. Near the antipode the formula loses digits,
    which no match within a radius can reach.
    """
    delta1 = np.deg2rad(np.asarray(dec1, dtype=np.float64))
    delta2 = np.deg2rad(np.asarray(dec2, dtype=np.float64))
    half_alpha = np.deg2rad(np.asarray(ra2, dtype=np.float64) - np.asarray(ra1)) / 2.0
    half_delta = (delta2 - delta1) / 2.0
    haversine = np.sin(half_delta) ** 2 + np.cos(delta1) * np.cos(delta2) * np.sin(half_alpha) ** 2
    angle = 2.0 * np.arcsin(np.sqrt(np.minimum(haversine, 1.0)))
    return np.asarray(np.rad2deg(angle) * ARCSEC_PER_DEG)


def normalise_positions(ra: ArrayLike, dec: ArrayLike) -> tuple[Float, Float, NDArray[np.bool_]]:
    """Bring right ascensions into [0, 360) and tell which positions are usable.

    Returns
    -------
    ra, dec : ndarray of float64, shape (n,)
        Degrees. Values that are not usable are NaN in both.
    usable : ndarray of bool, shape (n,)
        Finite, with a declination of at most 90 deg in absolute value.
    """
    right: Float = np.array(ra, dtype=np.float64)
    declination: Float = np.array(dec, dtype=np.float64)
    usable = np.isfinite(right) & np.isfinite(declination) & (np.abs(declination) <= 90.0)
    right[~usable] = np.nan
    declination[~usable] = np.nan
    right = np.mod(right, 360.0)
    # A tiny negative angle rounds to 360 itself.
    right[right >= 360.0] = 0.0
    return right, declination, usable


def offset_positions(
    ra: Float, dec: Float, position_angle_deg: float, offset_arcsec: float
) -> tuple[Float, Float]:
    """Move positions along a great circle.

    Parameters
    ----------
    ra, dec : ndarray of float64, shape (n,)
        Degrees.
    position_angle_deg : float
        Direction, from north through east.
    offset_arcsec : float
        Distance.

    Returns
    -------
    ra, dec : ndarray of float64, shape (n,)
        Degrees, RA in [0, 360).

    Notes
    -----
    Along the great circle in the normal triad of the position, as vectors: unlike the textbook's
    arcsine this keeps all digits at the poles.
    """
    east, north, radial = _normal_triad(ra, dec)
    angle, distance = np.deg2rad(position_angle_deg), np.deg2rad(offset_arcsec / ARCSEC_PER_DEG)
    direction = east * np.sin(angle) + north * np.cos(angle)
    return _positions_of(radial * np.cos(distance) + direction * np.sin(distance))


def _normal_triad(ra: Float, dec: Float) -> tuple[Float, Float, Float]:
    """Unit vectors to the east, to the north and to the position, each of shape (3, n)."""
    alpha, delta = np.deg2rad(ra), np.deg2rad(dec)
    sin_a, cos_a, sin_d, cos_d = np.sin(alpha), np.cos(alpha), np.sin(delta), np.cos(delta)
    east = np.stack([-sin_a, cos_a, np.zeros_like(alpha)])
    north = np.stack([-sin_d * cos_a, -sin_d * sin_a, cos_d])
    return east, north, np.stack([cos_d * cos_a, cos_d * sin_a, sin_d])


def _positions_of(vectors: Float) -> tuple[Float, Float]:
    """Positions in degrees, RA in [0, 360), of vectors of any length, shape (3, n)."""
    x, y, z = vectors
    ra = np.mod(np.rad2deg(np.arctan2(y, x)), 360.0)
    ra = np.where(ra >= 360.0, 0.0, ra)
    return ra, np.rad2deg(np.arctan2(z, np.hypot(x, y)))


def propagate_epoch(
    ra: ArrayLike,
    dec: ArrayLike,
    pmra: ArrayLike,
    pmdec: ArrayLike,
    parallax: ArrayLike,
    radial_velocity: ArrayLike,
    years: ArrayLike,
) -> tuple[Float, Float]:
    """Propagate positions by uniform rectilinear motion in space.

    Parameters
    ----------
    ra, dec : array_like of float, shape (n,)
        ICRS position at the first epoch, degrees.
    pmra, pmdec : array_like of float, shape (n,)
        Proper motion at the first epoch, mas/yr; ``pmra`` includes cos(dec). Where either is NaN
        the position stays as it is.
    parallax : array_like of float, shape (n,)
        mas. NaN or not positive: no perspective effect.
    radial_velocity : array_like of float, shape (n,)
        km/s. NaN: no perspective effect.
    years : array_like of float
        Second epoch minus first, in Julian years; scalar or shape (n,).

    Returns
    -------
    ra, dec : ndarray of float64, shape (n,)
        Degrees at the second epoch, RA in [0, 360).

    Notes
    -----
    ESA SP-1200 (1997), volume 1, section 1.5.5, the model of the Gaia archive's EPOCH_PROP;
    light-time effects are left out, as there (Butkevich & Lindegren 2014, A&A 570, A62).
    """
    ra = np.asarray(ra, dtype=np.float64)
    dec = np.asarray(dec, dtype=np.float64)
    mu_ra = np.asarray(pmra, dtype=np.float64) / _MAS_PER_RADIAN
    mu_dec = np.asarray(pmdec, dtype=np.float64) / _MAS_PER_RADIAN
    moving = np.isfinite(mu_ra) & np.isfinite(mu_dec)
    mu_ra, mu_dec = np.where(moving, mu_ra, 0.0), np.where(moving, mu_dec, 0.0)
    parallax = np.asarray(parallax, dtype=np.float64)
    velocity = np.asarray(radial_velocity, dtype=np.float64)
    in_depth = moving & (parallax > 0.0) & np.isfinite(velocity)
    # Radial proper motion, radian per year.
    mu_r = np.where(in_depth, velocity * parallax, 0.0) / _AU_PER_YEAR_KM_S / _MAS_PER_RADIAN

    # The normal triad at the first epoch: p to the east, q to the north, r to the star.
    p, q, r = _normal_triad(ra, dec)
    t = np.asarray(years, dtype=np.float64)
    new_ra, new_dec = _positions_of(r * (1.0 + mu_r * t) + (p * mu_ra + q * mu_dec) * t)
    # Without a motion the position is returned to the last bit.
    still = (mu_ra == 0.0) & (mu_dec == 0.0)
    return np.where(still, ra, new_ra), np.where(still, dec, new_dec)
