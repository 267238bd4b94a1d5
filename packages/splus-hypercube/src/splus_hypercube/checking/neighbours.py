"""Objects near a few sources, by `astropy.coordinates`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import erfa
import numpy as np
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy_healpix import HEALPix
from numpy.typing import NDArray

from splus_hypercube.checking.comparison import Between, Near, Row

__all__ = ["Candidate", "Sample", "alternatives", "near_pairs", "pixels_near"]

Float = NDArray[np.float64]
Int = NDArray[np.int64]


@dataclass(frozen=True)
class Sample:
    """The sources that are checked.

    Attributes
    ----------
    rows : ndarray of int64, shape (n,)
        Their rows in the catalogue, in increasing order.
    ra, dec : ndarray of float64, shape (n,)
        ICRS degrees; NaN where the catalogue has none.
    epoch_jyear : float
        Epoch of the S-PLUS observations.
    """

    rows: Int
    ra: Float
    dec: Float
    epoch_jyear: float

    def __len__(self) -> int:
        return len(self.rows)


@dataclass(frozen=True)
class Candidate:
    """An object near a source.

    Attributes
    ----------
    separation_arcsec : float
    key : object
        What its survey needs to find it again.
    """

    separation_arcsec: float
    key: Any


def near_pairs(
    sample: Sample, ra: Float, dec: Float, radius_arcsec: float
) -> tuple[Int, Int, Float]:
    """All pairs of a source and an object within a radius.

    Parameters
    ----------
    sample : Sample
    ra, dec : ndarray of float64, shape (m,)
        Objects, ICRS degrees.
    radius_arcsec : float

    Returns
    -------
    source, object : ndarray of int64, shape (n_pairs,)
    separation_arcsec : ndarray of float64, shape (n_pairs,)
    """
    usable = np.flatnonzero(np.isfinite(ra) & np.isfinite(dec) & (np.abs(dec) <= 90.0))
    usable = usable[np.argsort(dec[usable])]
    # No two points are nearer than their declinations differ.
    reach = radius_arcsec / 3600.0 * (1.0 + 1e-6) + 1e-9
    first = np.searchsorted(dec[usable], sample.dec - reach)
    stop = np.searchsorted(dec[usable], sample.dec + reach, side="right")
    known = np.isfinite(sample.ra) & np.isfinite(sample.dec)
    runs = [usable[a:b] if k else usable[:0] for a, b, k in zip(first, stop, known, strict=True)]
    source = np.repeat(np.arange(len(sample)), [len(run) for run in runs])
    other = np.concatenate([usable[:0], *runs])
    if not len(source):
        return source, other, np.empty(0)
    separation = (
        SkyCoord(sample.ra[source] * u.deg, sample.dec[source] * u.deg)
        .separation(SkyCoord(ra[other] * u.deg, dec[other] * u.deg))
        .to_value(u.arcsec)
    )
    near = separation <= radius_arcsec
    return source[near], other[near], np.asarray(separation[near])


def pixels_near(sample: Sample, radius_arcsec: float, order: int) -> set[int]:
    """Nested HEALPix pixels of an order that share a point with a circle around a source."""
    grid = HEALPix(nside=2**order, order="nested")
    pixels: set[int] = set()
    for ra, dec in zip(sample.ra.tolist(), sample.dec.tolist(), strict=True):
        if np.isfinite(ra) and np.isfinite(dec):
            found = grid.cone_search_lonlat(ra * u.deg, dec * u.deg, radius_arcsec * u.arcsec)
            pixels.update(int(pixel) for pixel in found)
            pixels.add(int(grid.lonlat_to_healpix(ra * u.deg, dec * u.deg)))
    return pixels


def alternatives(
    survey: str,
    candidates: Sequence[Candidate],
    radius_arcsec: float,
    tolerance_arcsec: float,
    rows: Any,
) -> list[Row]:
    """What the columns of a nearest match may hold.

    Parameters
    ----------
    survey : str
    candidates : sequence of Candidate
        Objects up to a little beyond the radius.
    radius_arcsec : float
        Inclusive.
    tolerance_arcsec : float
        By how much two derivations of a separation may differ.
    rows : callable
        Gives a candidate's own columns, prefixed.

    Returns
    -------
    list of mapping
        One row; more where candidates are equally near, or at the very radius.
    """
    ordered = sorted(candidates, key=lambda item: item.separation_arcsec)
    possible = [c for c in ordered if c.separation_arcsec <= radius_arcsec + tolerance_arcsec]
    sure = [c for c in ordered if c.separation_arcsec <= radius_arcsec - tolerance_arcsec]
    count = {f"{survey}_n_candidates": Between(len(sure), len(possible))}
    found: list[Row] = []
    for candidate in possible:
        if candidate.separation_arcsec > possible[0].separation_arcsec + tolerance_arcsec:
            break
        separation = Near(candidate.separation_arcsec, tolerance_arcsec)
        found.append({**rows(candidate), f"{survey}_separation_arcsec": separation, **count})
    if not sure:
        found.append(count)
    return found


def propagated(
    ra: Float, dec: Float, motion: dict[str, Float], from_jyear: Float, to_jyear: float
) -> tuple[Float, Float]:
    """Positions at another epoch, by the International Astronomical Union's ``pmsafe``.

    Parameters
    ----------
    ra, dec : ndarray of float64, shape (n,)
        ICRS degrees at the first epoch.
    motion : dict
        ``pmra`` (with cos(dec)), ``pmdec`` in mas/yr, ``parallax`` in mas, ``radial_velocity`` in
        km/s; NaN where unknown.
    from_jyear : ndarray of float64, shape (n,)
    to_jyear : float
        Julian years.

    Returns
    -------
    ra, dec : ndarray of float64, shape (n,)
        Degrees. Without a proper motion the position is as before.

    Notes
    -----
    SOFA routine ``iauPmsafe`` (Stumpff 1985, A&A 144, 232; light-time effects included), as
    `astropy.coordinates.SkyCoord.apply_space_motion` calls it.
    """
    moving = np.flatnonzero(np.isfinite(motion["pmra"]) & np.isfinite(motion["pmdec"]))
    new_ra, new_dec = ra.copy(), dec.copy()
    milliarcsec = np.deg2rad(1.0 / 3.6e6)
    parallax = np.nan_to_num(motion["parallax"][moving])
    velocity = np.nan_to_num(motion["radial_velocity"][moving])
    velocity = np.where(parallax > 0.0, velocity, 0.0)
    # Alone the routine's word that a star has no parallax: it then sets a tiny one.
    with erfa_quiet():
        values = erfa.pmsafe(
            np.deg2rad(ra[moving]),
            np.deg2rad(dec[moving]),
            motion["pmra"][moving] * milliarcsec / np.cos(np.deg2rad(dec[moving])),
            motion["pmdec"][moving] * milliarcsec,
            np.maximum(parallax, 0.0) / 1000.0,
            velocity,
            erfa.DJ00,
            (from_jyear[moving] - 2000.0) * 365.25,
            erfa.DJ00,
            (to_jyear - 2000.0) * 365.25,
        )
    new_ra[moving], new_dec[moving] = np.rad2deg(values[0]), np.rad2deg(values[1])
    return np.mod(new_ra, 360.0), new_dec
