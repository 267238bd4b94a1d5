"""Entries of a survey's catalogue: counterparts of the sources, strangers and planted neighbours.

A survey sees many of the sources, and also objects that S-PLUS does not list. Some lie just outside
the matching radius of a source that the survey does not see, and some lie within it beside the
true counterpart; both are planted, since chance gives too few of them on a small field.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from splus_hypercube.mock.sky import Sky
from splus_hypercube.mock.sphere import neighbours, offset
from splus_hypercube.mock.splus import SplusCatalogue

__all__ = ["CatalogueRows", "Entries", "assemble_entries"]

Float = NDArray[np.float64]
Int = NDArray[np.int64]
Bool = NDArray[np.bool_]

_MARGIN_ARCSEC = 90.0
_OUTSIDE_FACTORS = (1.08, 1.9)
_INSIDE_FACTORS = (0.45, 0.93)
_OUTSIDE_SHARE = 0.05
_INSIDE_SHARE = 0.02
_CLEAR_FACTOR = 2.2
_LARGEST_RING = 4.0  # area of the frame around the image, relative to the image's
_FAINTER_MAG = (1.0, 2.5)


@dataclass(slots=True)
class Entries:
    """Rows of a survey's catalogue.

    Attributes
    ----------
    owner : ndarray of int64, shape (n,)
        Source that the entry is an observation of, or -1.
    template : ndarray of int64, shape (n,)
        Source whose spectrum the entry has: the owner, or the one that lends it to a stranger.
    fainter : ndarray of float64, shape (n,)
        Magnitudes by which the entry is fainter than its template.
    beside : ndarray of int64, shape (n,)
        Source beside which the entry was planted, or -1.
    ra, dec : ndarray of float64, shape (n,)
        Measured position, degrees.
    """

    owner: Int
    template: Int
    fainter: Float
    beside: Int
    ra: Float
    dec: Float

    def __len__(self) -> int:
        return len(self.owner)

    @property
    def planted(self) -> Bool:
        """Whether each entry was put beside a source on purpose."""
        return np.asarray(self.beside >= 0)

    def take(self, rows: Int | Bool) -> Entries:
        """Some of the entries."""
        return Entries(
            self.owner[rows],
            self.template[rows],
            self.fainter[rows],
            self.beside[rows],
            self.ra[rows],
            self.dec[rows],
        )


@dataclass(slots=True)
class CatalogueRows:
    """Rows of one field in a survey's catalogue.

    Attributes
    ----------
    owner : ndarray of int64, shape (n,)
        Source observed, or -1.
    table : pyarrow.Table
    """

    owner: Int
    table: pa.Table


def assemble_entries(
    sky: Sky,
    catalogue: SplusCatalogue,
    rng: np.random.Generator,
    *,
    seen: Int,
    epoch_jyear: float,
    scatter_arcsec: float | Float | None,
    radius_arcsec: float,
    strangers_per_seen: float,
    lenders: Int | None = None,
    strangers_clear: bool = False,
    outskirts_share: float = 1.0,
) -> Entries:
    """Put together counterparts, strangers and planted neighbours.

    Parameters
    ----------
    sky : Sky
    catalogue : SplusCatalogue
        The sources beside which neighbours are planted.
    rng : numpy.random.Generator
    seen : ndarray of int64, shape (m,)
        Sources that the survey sees.
    epoch_jyear : float
        When it sees them.
    scatter_arcsec : float or ndarray of float64, shape (m,), or None
        Standard deviation of a measured position on each axis; None leaves positions exact.
    radius_arcsec : float
        The survey's matching radius.
    strangers_per_seen : float
        Number of strangers within the image for each source seen.
    lenders : ndarray of int64, optional
        Sources whose spectra strangers may borrow; by default those that the survey sees.
    strangers_clear : bool, optional
        Keep strangers well away from every source.
    outskirts_share : float, optional
        Density outside the image, where S-PLUS lists nothing, relative to that inside.

    Returns
    -------
    Entries
        Counterparts in the order given, then strangers, then planted neighbours.
    """
    field = sky.field
    lenders = seen if lenders is None else lenders
    seen_ra, seen_dec = (values[seen] for values in sky.at_epoch(epoch_jyear))
    if scatter_arcsec is not None:
        east, north = (scatter_arcsec * rng.standard_normal(len(seen)) for _ in range(2))
        seen_ra, seen_dec = offset(seen_ra, seen_dec, east, north)
    half = field.half_size_arcsec
    reach = half + _MARGIN_ARCSEC
    inner = outer = 0
    if len(lenders):
        inner = round(strangers_per_seen * len(seen))
        ring = min((reach / half) ** 2 - 1.0, _LARGEST_RING) * outskirts_share
        outer = round(ring * (1.0 + strangers_per_seen) * len(seen))
    x, y = _strangers(rng, half, reach, inner, outer)
    count = len(x)
    stranger_ra, stranger_dec = offset(np.full(count, field.ra), np.full(count, field.dec), x, y)
    if strangers_clear:
        _, near, _ = neighbours(
            catalogue.ra, catalogue.dec, stranger_ra, stranger_dec, _CLEAR_FACTOR * radius_arcsec
        )
        clear = np.setdiff1d(np.arange(count), near)
        stranger_ra, stranger_dec = stranger_ra[clear], stranger_dec[clear]
        count = len(clear)
    planted_source, planted_ra, planted_dec = _plant(rng, seen, catalogue, radius_arcsec)
    extra = count + len(planted_source)
    borrowed = rng.choice(lenders, extra) if len(lenders) else np.zeros(0, dtype=np.int64)
    if not len(lenders):
        planted_ra, planted_dec = planted_ra[:0], planted_dec[:0]
        planted_source = planted_source[:0]
        extra = 0
    beside = np.full(len(seen) + extra, -1, dtype=np.int64)
    beside[len(seen) + count :] = planted_source
    return Entries(
        owner=np.concatenate([seen, np.full(extra, -1, dtype=np.int64)]),
        template=np.concatenate([seen, borrowed]).astype(np.int64),
        fainter=np.concatenate([np.zeros(len(seen)), rng.uniform(*_FAINTER_MAG, extra)]),
        beside=beside,
        ra=np.concatenate([seen_ra, stranger_ra, planted_ra]),
        dec=np.concatenate([seen_dec, stranger_dec, planted_dec]),
    )


def _strangers(
    rng: np.random.Generator, half: float, reach: float, inner: int, outer: int
) -> tuple[Float, Float]:
    """Offsets from the centre: some within a square, some in the frame around it, arcsec."""
    points = rng.uniform(-half, half, size=(inner, 2))
    while len(points) < inner + outer:
        more = rng.uniform(-reach, reach, size=(outer, 2))
        more = more[np.abs(more).max(axis=1) > half]
        points = np.concatenate([points, more])[: inner + outer]
    return points[:, 0], points[:, 1]


def _plant(
    rng: np.random.Generator, seen: Int, catalogue: SplusCatalogue, radius_arcsec: float
) -> tuple[Int, Float, Float]:
    """Neighbours just outside the radius of unseen sources and inside it of seen ones."""
    count = len(catalogue.ra)
    unseen = np.setdiff1d(np.arange(count), seen)
    # A survey that sees few sources gets few neighbours.
    outside = _some(rng, unseen, round(_OUTSIDE_SHARE * min(len(seen), len(unseen))))
    inside = _some(rng, seen, round(_INSIDE_SHARE * len(seen)))
    sources = np.concatenate([outside, inside]).astype(np.int64)
    distance = radius_arcsec * np.concatenate(
        [
            rng.uniform(*_OUTSIDE_FACTORS, len(outside)),
            rng.uniform(*_INSIDE_FACTORS, len(inside)),
        ]
    )
    angle = rng.uniform(0.0, 2.0 * np.pi, len(sources))
    ra, dec = offset(
        catalogue.ra[sources],
        catalogue.dec[sources],
        distance * np.sin(angle),
        distance * np.cos(angle),
    )
    return sources, ra, dec


def _some(rng: np.random.Generator, rows: Int, number: int) -> Int:
    """A random choice of some rows, at least one of them where there are any."""
    if not len(rows):
        return rows
    return np.sort(rng.choice(rows, max(1, number), replace=False))
