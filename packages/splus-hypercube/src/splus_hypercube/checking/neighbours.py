"""Objects near a few sources, by `astropy.coordinates`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

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
        What its survey needs to read the object.
    tolerance_arcsec : float
        By how much two derivations of the separation may differ.
    """

    separation_arcsec: float
    key: Any
    tolerance_arcsec: float = 1e-6


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
    # Two points are at least as far apart as their declinations.
    reach = radius_arcsec / 3600.0 * (1.0 + 1e-6) + 1e-9
    first = np.searchsorted(dec[usable], sample.dec - reach)
    stop = np.searchsorted(dec[usable], sample.dec + reach, side="right")
    known = np.isfinite(sample.ra) & np.isfinite(sample.dec)
    runs = [usable[a:b] if k else usable[:0] for a, b, k in zip(first, stop, known, strict=True)]
    source = np.repeat(np.arange(len(sample)), np.array([len(run) for run in runs], np.int64))
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
    columns: Callable[[Candidate], Row],
) -> list[Row]:
    """What the columns of a nearest match may hold.

    Parameters
    ----------
    survey : str
    candidates : sequence of Candidate
        Objects up to a little beyond the radius.
    radius_arcsec : float
        Inclusive.
    columns : callable
        Gives a candidate's own columns, prefixed.

    Returns
    -------
    list of mapping
        One row; more where candidates are equally near, or one lies right at the radius.
    """
    ordered = sorted(candidates, key=lambda item: item.separation_arcsec)
    possible = [c for c in ordered if c.separation_arcsec <= radius_arcsec + c.tolerance_arcsec]
    sure = [c for c in ordered if c.separation_arcsec <= radius_arcsec - c.tolerance_arcsec]
    count = {f"{survey}_n_candidates": Between(len(sure), len(possible))}
    nearest = possible[0].separation_arcsec + possible[0].tolerance_arcsec if possible else 0.0
    found: list[Row] = []
    for candidate in possible:
        if candidate.separation_arcsec - candidate.tolerance_arcsec <= nearest:
            separation = Near(candidate.separation_arcsec, candidate.tolerance_arcsec)
            row = {**columns(candidate), f"{survey}_separation_arcsec": separation, **count}
            found.append(row)
    if not sure:
        found.append(count)
    return found
