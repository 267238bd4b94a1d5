"""The counterpart of every source, among rows of a survey that arrive file by file."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from splus_hypercube.astrometry import offset_positions
from splus_hypercube.matching import PositionIndex
from splus_hypercube.spill import Spill
from splus_hypercube.surveys.base import SurveyMatches, Target
from splus_hypercube.surveys.columns import conform

__all__ = ["BestRows", "Candidates", "NearestMatcher", "chance_matches"]

Float = NDArray[np.float64]
Int = NDArray[np.int64]

SHIFT_ARCSEC = 20.0
"""Smallest shift of the false-match estimate: beyond the blends around a source."""

_SOURCE, _CANDIDATE = "_source", "_candidate"


class Candidates:
    """Which sources have candidates, how many, and how many would have one by chance.

    Parameters
    ----------
    target : Target
    radius_arcsec : float
    """

    def __init__(self, target: Target, radius_arcsec: float) -> None:
        self.index = PositionIndex(target.ra, target.dec, radius_arcsec)
        self.count = np.zeros(len(target), dtype=np.int32)
        self._ra: list[Float] = []
        self._dec: list[Float] = []

    def find(self, ra: Float, dec: Float) -> tuple[Int, Int, Float]:
        """Add some objects of a survey and find the sources within the radius of each.

        Parameters
        ----------
        ra, dec : ndarray of float64, shape (n,)
            Degrees at the target's epoch; after all quality cuts.

        Returns
        -------
        source, row : ndarray of int64, shape (n_pairs,)
            Rows of the target and of the objects, in the order of the objects.
        separation_arcsec : ndarray of float64, shape (n_pairs,)
        """
        self._ra.append(ra)
        self._dec.append(dec)
        pairs = self.index.pairs(ra, dec)
        # In the order of the objects, so that the result does not depend on that of the index.
        order = np.lexsort((pairs.indexed, pairs.query))
        source = pairs.indexed[order]
        np.add.at(self.count, source, 1)
        return source, pairs.query[order], pairs.separation_arcsec[order]

    def statistics(self) -> dict[str, Any]:
        """Matches and false-match rate, for the file's metadata."""
        matches = int((self.count > 0).sum())
        chance = chance_matches(self.index, self._ra, self._dec)
        return {
            "radius_arcsec": self.index.radius_arcsec,
            "objects_in_region": int(sum(len(part) for part in self._ra)),
            "matches": matches,
            "chance_matches": chance,
            "false_match_rate": min(chance / matches, 1.0) if matches else None,
        }


def chance_matches(index: PositionIndex, ra: list[Float], dec: list[Float]) -> float:
    """Expected number of sources with a counterpart by chance.

    The survey's objects are shifted by far more than the radius in four directions; what still
    matches does so by chance (e.g. Sutherland & Saunders 1992, MNRAS 259, 413, section 1).

    Parameters
    ----------
    index : PositionIndex
        The sources.
    ra, dec : list of ndarray of float64
        Objects, in parts; degrees.

    Returns
    -------
    float
        Mean over the four shifts.
    """
    shift_arcsec = max(10.0 * index.radius_arcsec, SHIFT_ARCSEC)
    total = 0
    for position_angle_deg in (0.0, 90.0, 180.0, 270.0):
        hit = np.zeros(len(index), dtype=bool)
        for part_ra, part_dec in zip(ra, dec, strict=True):
            shifted = offset_positions(part_ra, part_dec, position_angle_deg, shift_arcsec)
            for pairs in index.iter_pairs(*shifted):
                hit[pairs.indexed] = True
        total += int(hit.sum())
    return total / 4.0


class BestRows:
    """The rows of the best counterparts, kept on disk until they are asked for.

    Parameters
    ----------
    target : Target
    schema : pyarrow.Schema
        Columns of the rows.
    """

    def __init__(self, target: Target, schema: pa.Schema) -> None:
        self._target = target
        self._schema = schema
        self._spill = Spill(target.scratch, target.bucket_rows)
        self._best = np.full(len(target), -1, dtype=np.int64)
        self._next = 0

    def offer(
        self,
        source: Int,
        row: Int,
        better: NDArray[np.bool_],
        values: Callable[[Int], pa.Table],
    ) -> None:
        """Take some candidates as the best of their sources so far.

        Parameters
        ----------
        source, row : ndarray of int64, shape (n,)
            Candidates: rows of the target, and rows of what `values` knows.
        better : ndarray of bool, shape (n,)
            Which to take; of one source at most one.
        values : callable
            Gives the table of the survey's rows asked for, in their order.

        Raises
        ------
        InputError
            If a value does not fit the schema.
        OutputError
            If the temporary file cannot be written.
        """
        source, row = source[better], row[better]
        if not len(source):
            return
        unique, place = np.unique(row, return_inverse=True)
        table = conform(values(unique), self._schema).take(pa.array(place))
        number = self._next + np.arange(len(source))
        self._next += len(source)
        self._best[source] = number
        table = table.append_column(_SOURCE, pa.array(source))
        self._spill.append(source, table.append_column(_CANDIDATE, pa.array(number)))

    @property
    def found(self) -> NDArray[np.bool_]:
        """Which sources have a counterpart (ndarray of bool)."""
        return self._best >= 0

    def rows(self, start: int, stop: int) -> pa.Table:
        """The rows of consecutive sources of one bucket; null where there is none."""
        table = self._spill.read(start // self._target.bucket_rows)
        place = np.full(stop - start, -1, dtype=np.int64)
        if table is None:
            table = self._schema.empty_table()
        else:
            source = table[_SOURCE].to_numpy()
            number = table[_CANDIDATE].to_numpy()
            kept = np.flatnonzero(
                (source >= start) & (source < stop) & (self._best[source] == number)
            )
            place[source[kept] - start] = kept
            table = table.select(self._schema.names)
        return table.take(pa.array(place, mask=place < 0)).cast(self._schema)


class NearestMatcher(SurveyMatches):
    """Nearest counterparts of a target; first `add` all rows, then read `rows`.

    Parameters
    ----------
    name : str
        The survey.
    target : Target
    radius_arcsec : float
    schema : pyarrow.Schema
        The survey's columns, the two of the match last.
    """

    def __init__(self, name: str, target: Target, radius_arcsec: float, schema: pa.Schema) -> None:
        self._schema = schema
        self._match_names = (f"{name}_separation_arcsec", f"{name}_n_candidates")
        values = pa.schema([field for field in schema if field.name not in self._match_names])
        self._candidates = Candidates(target, radius_arcsec)
        self._separation = np.full(len(target), np.nan)
        self._best = BestRows(target, values)
        self.statistics = {}

    def add(self, ra: Float, dec: Float, values: Callable[[Int], pa.Table]) -> None:
        """Add rows of the survey.

        Parameters
        ----------
        ra, dec : ndarray of float64, shape (n,)
            Degrees at the target's epoch.
        values : callable
            Gives the table of the rows asked for, with the prefixed column names.
        """
        source, row, separation = self._candidates.find(ra, dec)
        # Nearest first within a source. On a tie the earlier row wins, and so does an earlier file.
        order = np.lexsort((row, separation, source))
        source, row, separation = source[order], row[order], separation[order]
        first = np.ones(len(source), dtype=bool)
        first[1:] = source[1:] != source[:-1]
        known = self._separation[source]
        better = first & (np.isnan(known) | (separation < known))
        self._separation[source[better]] = separation[better]
        self._best.offer(source, row, better, values)

    def finish(self, **statistics: Any) -> NearestMatcher:
        """Estimate the false matches once all rows are in; further statistics are kept too."""
        self.statistics = {**self._candidates.statistics(), **statistics}
        return self

    @property
    def found(self) -> NDArray[np.bool_]:
        """Which sources have a counterpart (ndarray of bool)."""
        return self._best.found

    def rows(self, start: int, stop: int) -> pa.Table:
        """The survey's columns of consecutive sources; see `SurveyMatches.rows`."""
        table = self._best.rows(start, stop)
        separation = self._separation[start:stop]
        table = table.append_column(
            self._match_names[0], pa.array(separation, mask=np.isnan(separation))
        )
        table = table.append_column(
            self._match_names[1], pa.array(self._candidates.count[start:stop])
        )
        return conform(table, self._schema)
