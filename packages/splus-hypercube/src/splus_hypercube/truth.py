"""Hypercubes of a synthetic sky compared with what is known of that sky."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from astro_common.errors import InputError
from astro_common.parquet import parquet_errors
from splus_hypercube.inspection import cube_metadata

__all__ = ["SurveyComparison", "compare_with_truth"]

Bool = NDArray[np.bool_]

# The columns that identify a counterpart, by survey; the first is null where there is none. The
# redshifts of the literature have no identifier; a redshift is as good as one.
_IDENTITY = {
    "gaia": ("gaia_source_id",),
    "gaiaxp": ("gaiaxp_source_id",),
    "ztf": ("ztf_objectid", "ztf_objectids"),
    "desi": ("desi_TARGETID", "desi_desi_file"),
    "apogee": ("apogee_APOGEE_ID",),
    "specz": ("specz_z",),
    "vista": ("vista_sourceid",),
}
# The truth table comes from other arithmetic; a wrong epoch or object differs by far more.
_SEPARATION_TOLERANCE_ARCSEC = 1e-3
_MAX_EXAMPLES = 5


@dataclass(frozen=True, slots=True)
class SurveyComparison:
    """How the counterparts in one survey agree with the truth.

    Attributes
    ----------
    survey : str
        Prefix of its columns; ``splus`` for the sources themselves.
    expected : int
        Sources that have a counterpart.
    found : int
        Sources that were given one.
    wrong : int
        Sources whose counterpart is not the true one, is missing or should not be there, or has
        another number of candidates or another separation.
    wrong_sources : tuple of str
        S-PLUS identifiers of a few of these.
    """

    survey: str
    expected: int
    found: int
    wrong: int
    wrong_sources: tuple[str, ...] = ()


@dataclass(slots=True)
class _Tally:
    expected: int = 0
    found: int = 0
    wrong: int = 0
    examples: list[str] = field(default_factory=list)

    def add(self, expected: int, found: int, wrong: Bool, identifiers: pa.Array) -> None:
        self.expected += expected
        self.found += found
        self.wrong += int(wrong.sum())
        room = _MAX_EXAMPLES - len(self.examples)
        rows = np.flatnonzero(wrong)[: max(room, 0)]
        self.examples.extend(str(identifiers[row].as_py()) for row in rows.tolist())


def compare_with_truth(cubes: Sequence[Path], truth: Path) -> list[SurveyComparison]:
    """Compare hypercubes of mock data with the mock's truth table.

    Parameters
    ----------
    cubes : sequence of Path
        Hypercubes of fields that the truth table holds.
    truth : Path
        ``truth.parquet`` of ``splus-hypercube mock``: one row per S-PLUS source with the entry of
        each survey that a correct match finds.

    Returns
    -------
    list of SurveyComparison
        The sources themselves first, then each survey that any of the hypercubes has. Identifiers
        and numbers of candidates are compared exactly, separations to 0.001 arcsec.

    Raises
    ------
    InputError
        If a file is damaged, lacks a column, or a hypercube's field is not in the truth table.
    """
    with parquet_errors(truth):
        known = pq.read_table(truth)
    for name in ("field", "id", "ra", "dec"):
        _require(known, name, truth)
    tallies = {name: _Tally() for name in ("splus", *_IDENTITY)}
    compared = {"splus"}
    for path in cubes:
        metadata = cube_metadata(path)
        field_name = str(metadata.get("field"))
        expected = known.filter(pc.equal(known["field"], pa.scalar(field_name)))
        if not expected.num_rows:
            raise InputError(path, f"the field {field_name}", f"a field of {truth}")
        surveys = [survey for survey in _IDENTITY if survey in metadata.get("surveys", {})]
        compared.update(surveys)
        _compare_cube(path, surveys, expected.combine_chunks(), truth, tallies)
    return [
        SurveyComparison(survey, tally.expected, tally.found, tally.wrong, tuple(tally.examples))
        for survey, tally in tallies.items()
        if survey in compared
    ]


def _compare_cube(
    path: Path,
    surveys: Sequence[str],
    expected: pa.Table,
    truth: Path,
    tallies: dict[str, _Tally],
) -> None:
    names = ["id", "ra", "dec"]
    for survey in surveys:
        names.extend(_IDENTITY[survey])
        if survey != "gaiaxp":
            names.extend(_match_columns(survey))
    with parquet_errors(path):
        schema = pq.read_schema(path)
        for name in names:
            if name not in schema.names:
                raise InputError(path, f"no column {name}", "a hypercube of the mock")
        found = pq.read_table(path, columns=names).combine_chunks()
    identifiers = expected["id"].combine_chunks()
    place = pc.index_in(identifiers, value_set=found["id"].combine_chunks())
    sources = tallies["splus"]
    sources.add(
        expected.num_rows, found.num_rows, _wrong_sources(found, expected, place), identifiers
    )
    # Rows of the hypercube that are no source of the truth table, or repeat one.
    sources.wrong += found.num_rows - (len(place) - place.null_count)
    # In the order of the truth table; a source that the hypercube lacks has no counterpart.
    aligned = found.take(place)
    for survey in surveys:
        columns = _expected_columns(survey, expected, truth)
        wrong = np.zeros(expected.num_rows, dtype=bool)
        for name, values in columns.items():
            tolerance = _SEPARATION_TOLERANCE_ARCSEC if name.endswith("_arcsec") else None
            wrong |= _differs(aligned[name], values, tolerance)
        first = _IDENTITY[survey][0]
        tallies[survey].add(
            expected.num_rows - columns[first].null_count,
            found.num_rows - found[first].null_count,
            wrong,
            identifiers,
        )


def _wrong_sources(found: pa.Table, expected: pa.Table, place: pa.Array) -> Bool:
    """Sources of the truth table that are missing, out of order or at another position."""
    rows = place.fill_null(-1).to_numpy()
    wrong = rows != np.arange(len(rows))
    aligned = found.take(place)
    for name in ("ra", "dec"):
        wrong |= _differs(aligned[name], expected[name], None)
    return np.asarray(wrong, dtype=bool)


def _match_columns(survey: str) -> tuple[str, str]:
    return f"{survey}_separation_arcsec", f"{survey}_n_candidates"


def _expected_columns(survey: str, truth: pa.Table, path: Path) -> dict[str, pa.ChunkedArray]:
    """What a survey's columns should hold, by column."""
    if survey == "gaiaxp":
        has_xp = _require(truth, "has_xp", path)
        identifier = _require(truth, "gaia_source_id", path)
        none = pa.scalar(None, identifier.type)
        return {"gaiaxp_source_id": pc.if_else(has_xp, identifier, none)}
    names = (*_IDENTITY[survey], *_match_columns(survey))
    return {name: _require(truth, name, path) for name in names}


def _require(table: pa.Table, name: str, path: Path) -> pa.ChunkedArray:
    if name not in table.column_names:
        raise InputError(path, f"no column {name}", "the truth.parquet of splus-hypercube mock")
    return table[name]


def _differs(found: Any, expected: Any, tolerance: float | None) -> Bool:
    """Where two columns differ; two nulls are equal, a null and a value are not."""
    if pa.types.is_list(expected.type) or pa.types.is_list(found.type):
        pairs = zip(found.to_pylist(), expected.to_pylist(), strict=True)
        return np.array([one != other for one, other in pairs], dtype=bool)
    both_null = pc.and_(found.is_null(), expected.is_null())
    if tolerance is None:
        same = pc.equal(found, expected)
    else:
        same = pc.less_equal(pc.abs(pc.subtract(found, expected)), tolerance)
    return ~np.asarray(pc.or_(both_null, pc.fill_null(same, False)).to_numpy(), dtype=bool)
