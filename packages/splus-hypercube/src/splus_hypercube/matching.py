"""All pairs of positions within a radius, and the nearest, over the whole sphere.

The zones algorithm (Gray, Nieto-Santisteban & Szalay 2006, MSR-TR-2006-52): positions are sorted by
declination zone and, within a zone, by right ascension, as one integer key; the neighbours of a
position are then short runs of that order, found by binary search. The runs hold every neighbour,
at the RA wrap and at the poles too; each candidate's separation then decides.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from splus_hypercube.astrometry import ARCSEC_PER_DEG, normalise_positions, separation_arcsec

__all__ = ["NearestMatches", "Pairs", "PositionIndex", "match_nearest", "match_one_to_one"]

Float = NDArray[np.float64]
Int = NDArray[np.int64]

# A radius is inclusive. Positions in degrees have rounding errors of about 1e-10 arcsec, so a pair
# that exceeds the radius by less than this counts as lying at the radius.
RADIUS_TOLERANCE_ARCSEC = 1e-9
# Lower zones would gain nothing: even these hold few sources.
_MIN_ZONE_HEIGHT_DEG = 4.0 / ARCSEC_PER_DEG
_RA_BITS = 32
_RA_CELLS_PER_DEG = 2.0**_RA_BITS / 360.0
# Candidates examined at once: bounds the memory of a match at any radius and density.
_MAX_CANDIDATES = 2_000_000
# Candidates per position above which the nearest is first looked for within a smaller radius.
_CROWDED = 64


@dataclass(frozen=True)
class Pairs:
    """Pairs within the radius, in no particular order.

    Attributes
    ----------
    query, indexed : ndarray of int64, shape (n_pairs,)
        Row numbers on the two sides.
    separation_arcsec : ndarray of float64, shape (n_pairs,)
    """

    query: Int
    indexed: Int
    separation_arcsec: Float

    @classmethod
    def concatenate(cls, parts: list[Pairs]) -> Pairs:
        """One set of pairs from several."""
        if not parts:
            return cls(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0))
        return cls(
            np.concatenate([part.query for part in parts]),
            np.concatenate([part.indexed for part in parts]),
            np.concatenate([part.separation_arcsec for part in parts]),
        )


@dataclass(frozen=True)
class NearestMatches:
    """The nearest counterpart of each query.

    Attributes
    ----------
    indexed : ndarray of int64, shape (n_query,)
        Row number of the counterpart, -1 where there is none.
    separation_arcsec : ndarray of float64, shape (n_query,)
        NaN where there is none.
    """

    indexed: Int
    separation_arcsec: Float


class PositionIndex:
    """Positions prepared for searches within one radius.

    Parameters
    ----------
    ra, dec : array_like of float, shape (n,)
        ICRS, degrees. Positions that are not finite are in no pair.
    radius_arcsec : float
        Search radius, inclusive; up to 90 deg.
    """

    def __init__(self, ra: ArrayLike, dec: ArrayLike, radius_arcsec: float) -> None:
        if not 0.0 <= radius_arcsec <= 90.0 * ARCSEC_PER_DEG:
            raise ValueError(f"radius_arcsec is {radius_arcsec}; expected 0 to 324000")
        self.radius_arcsec = float(radius_arcsec)
        self.ra, self.dec, usable = normalise_positions(ra, dec)
        reach = (self.radius_arcsec + RADIUS_TOLERANCE_ARCSEC) / ARCSEC_PER_DEG
        # Slightly wider, so that rounding in the key can only add candidates.
        self._reach_deg = reach * (1.0 + 1e-9) + 1e-12
        # Zones are two radii high, so that a search looks at two of them at most.
        self._height_deg = max(2.0 * self._reach_deg, _MIN_ZONE_HEIGHT_DEG)
        rows = np.flatnonzero(usable)
        keys = self._key(self._zone(self.dec[rows]), self.ra[rows])
        order = np.argsort(keys)
        self._keys = keys[order]
        self._rows = rows[order]

    def __len__(self) -> int:
        return len(self.ra)

    def _zone(self, dec: Float) -> Int:
        return np.asarray(np.floor((dec + 90.0) / self._height_deg), dtype=np.int64)

    @staticmethod
    def _key(zone: Int, ra: Float) -> Int:
        cell = (ra * _RA_CELLS_PER_DEG).astype(np.int64)
        key: Int = (zone << _RA_BITS) | np.minimum(cell, 2**_RA_BITS - 1)
        return key

    def _runs(self, ra: Float, dec: Float) -> tuple[Int, Int, Int]:
        """Runs of the sorted order that together hold every neighbour: query, first, stop."""
        reach = self._reach_deg
        cos_dec = np.cos(np.deg2rad(dec))
        sin_reach = np.sin(np.deg2rad(reach))
        # The largest RA difference on a circle of radius `reach`; the whole turn at a pole.
        ratio = np.divide(sin_reach, cos_dec, out=np.ones_like(dec), where=cos_dec > sin_reach)
        half_width = np.rad2deg(np.arcsin(ratio)) * (1.0 + 1e-12) + 1e-12
        half_width[np.abs(dec) + reach >= 90.0] = 180.0
        low_zone = self._zone(np.maximum(dec - reach, -90.0))
        high_zone = self._zone(np.minimum(dec + reach, 90.0))

        west, east = ra - half_width, ra + half_width
        whole = half_width >= 180.0
        west[whole], east[whole] = 0.0, 360.0
        windows = [(np.arange(len(ra)), np.maximum(west, 0.0), np.minimum(east, 360.0))]
        for crossing, shift in ((west < 0.0, 360.0), (east >= 360.0, -360.0)):
            queries = np.flatnonzero(crossing & ~whole)
            if len(queries):
                start = np.maximum(west[queries] + shift, 0.0)
                windows.append((queries, start, np.minimum(east[queries] + shift, 360.0)))

        query: list[Int] = []
        first: list[Int] = []
        stop: list[Int] = []
        for queries, start, end in windows:
            for step in range(int((high_zone - low_zone).max(initial=0)) + 1):
                zone = low_zone[queries] + step
                inside = zone <= high_zone[queries]
                zone = zone[inside]
                query.append(queries[inside])
                first.append(np.searchsorted(self._keys, self._key(zone, start[inside]), "left"))
                stop.append(np.searchsorted(self._keys, self._key(zone, end[inside]), "right"))
        found = np.concatenate(stop) > np.concatenate(first)
        return (
            np.concatenate(query)[found],
            np.concatenate(first)[found],
            np.concatenate(stop)[found],
        )

    def iter_pairs(self, ra: ArrayLike, dec: ArrayLike) -> Iterator[Pairs]:
        """Yield all pairs within the radius, a bounded number at a time.

        Parameters
        ----------
        ra, dec : array_like of float, shape (n_query,)
            ICRS, degrees. Positions that are not finite are in no pair.
        """
        ra, dec, usable = normalise_positions(ra, dec)
        # In the order of the index, neighbouring queries touch neighbouring memory.
        queries = np.flatnonzero(usable)
        queries = queries[np.argsort(self._key(self._zone(dec[queries]), ra[queries]))]
        if not len(queries) or not len(self._keys):
            return
        run_query, first, stop = self._runs(ra[queries], dec[queries])
        run_query = queries[run_query]
        lengths = stop - first
        ends = np.cumsum(lengths)
        limit = self.radius_arcsec + RADIUS_TOLERANCE_ARCSEC
        begin = 0
        while begin < len(lengths):
            done = ends[begin - 1] if begin else 0
            end = max(int(np.searchsorted(ends, done + _MAX_CANDIDATES, "right")), begin + 1)
            count = lengths[begin:end]
            # A run longer than the limit (a pole, a huge radius) is examined in pieces.
            for low in range(0, int(count.max()), _MAX_CANDIDATES):
                piece = np.clip(count - low, 0, _MAX_CANDIDATES)
                offsets = np.arange(int(piece.sum())) - np.repeat(np.cumsum(piece) - piece, piece)
                indexed = self._rows[np.repeat(first[begin:end] + low, piece) + offsets]
                query = np.repeat(run_query[begin:end], piece)
                separation = separation_arcsec(
                    ra[query], dec[query], self.ra[indexed], self.dec[indexed]
                )
                near = separation <= limit
                yield Pairs(
                    query[near],
                    indexed[near],
                    np.minimum(separation[near], self.radius_arcsec),
                )
            begin = end

    def pairs(self, ra: ArrayLike, dec: ArrayLike) -> Pairs:
        """All pairs within the radius at once; see `iter_pairs`."""
        return Pairs.concatenate(list(self.iter_pairs(ra, dec)))

    def expected_candidates(self, ra: ArrayLike, dec: ArrayLike) -> int:
        """Number of candidates that `iter_pairs` would examine."""
        ra, dec, usable = normalise_positions(ra, dec)
        if not usable.any() or not len(self._keys):
            return 0
        _, first, stop = self._runs(ra[usable], dec[usable])
        return int((stop - first).sum())


def match_nearest(
    ra: ArrayLike,
    dec: ArrayLike,
    other_ra: ArrayLike,
    other_dec: ArrayLike,
    radius_arcsec: float,
) -> NearestMatches:
    """Nearest counterpart within a radius (inclusive) of every position.

    Parameters
    ----------
    ra, dec : array_like of float, shape (n,)
        Positions that look for a counterpart, degrees.
    other_ra, other_dec : array_like of float, shape (m,)
        The counterparts.
    radius_arcsec : float

    Returns
    -------
    NearestMatches
        Of two counterparts at equal separation, the one of the lower row number.
    """
    ra, dec, usable = normalise_positions(ra, dec)
    indexed = np.full(len(ra), -1, dtype=np.int64)
    separation = np.full(len(ra), np.nan)
    pending = np.flatnonzero(usable)
    for index in _growing_indexes(ra, dec, other_ra, other_dec, radius_arcsec):
        for pairs in index.iter_pairs(ra[pending], dec[pending]):
            _keep_nearest(pairs, pending, indexed, separation)
        pending = pending[indexed[pending] < 0]
        if not len(pending):
            break
    return NearestMatches(indexed, separation)


def _growing_indexes(
    ra: Float, dec: Float, other_ra: ArrayLike, other_dec: ArrayLike, radius_arcsec: float
) -> Iterator[PositionIndex]:
    """Indexes of growing radius, the last of them the one asked for.

    A counterpart that is the nearest within a small radius is the nearest within a larger one, so
    that a wide radius in a crowded field stays cheap.
    """
    step = max(len(ra) // 1000, 1)
    ra, dec = ra[::step], dec[::step]
    indexes = [PositionIndex(other_ra, other_dec, radius_arcsec)]
    candidates = indexes[0].expected_candidates(ra, dec)
    while candidates > _CROWDED * len(ra):
        smaller = PositionIndex(other_ra, other_dec, indexes[-1].radius_arcsec / 8.0)
        fewer = smaller.expected_candidates(ra, dec)
        # Where positions coincide, as in a catalogue of epochs, no radius tells them apart.
        if 2 * fewer > candidates:
            break
        indexes.append(smaller)
        candidates = fewer
    yield from reversed(indexes)


def _keep_nearest(pairs: Pairs, queries: Int, indexed: Int, separation: Float) -> None:
    # Most queries have one candidate; only the others need sorting.
    alone = np.bincount(pairs.query)[pairs.query] == 1
    crowd = np.flatnonzero(~alone)
    crowd = crowd[
        np.lexsort((pairs.indexed[crowd], pairs.separation_arcsec[crowd], pairs.query[crowd]))
    ]
    first = np.ones(len(crowd), dtype=bool)
    first[1:] = pairs.query[crowd[1:]] != pairs.query[crowd[:-1]]
    order = np.concatenate([np.flatnonzero(alone), crowd[first]])
    query = queries[pairs.query[order]]
    other, distance = pairs.indexed[order], pairs.separation_arcsec[order]
    best = separation[query]
    better = ~(distance > best)  # true also where there is no match yet (NaN)
    tie = (distance == best) & (other > indexed[query])
    better &= ~tie
    indexed[query[better]] = other[better]
    separation[query[better]] = distance[better]


def match_one_to_one(pairs: Pairs) -> Pairs:
    """Keep each row of either side in one pair at most, closest pairs first.

    Greedy assignment in order of separation (ties by row numbers), the usual symmetric match.
    """
    order = np.lexsort((pairs.indexed, pairs.query, pairs.separation_arcsec))
    used_query: set[int] = set()
    used_indexed: set[int] = set()
    kept = []
    for row in order.tolist():
        query, indexed = int(pairs.query[row]), int(pairs.indexed[row])
        if query not in used_query and indexed not in used_indexed:
            used_query.add(query)
            used_indexed.add(indexed)
            kept.append(row)
    return Pairs(pairs.query[kept], pairs.indexed[kept], pairs.separation_arcsec[kept])
