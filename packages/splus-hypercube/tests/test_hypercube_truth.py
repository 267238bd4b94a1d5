from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from astro_common.errors import InputError
from astro_common.parquet import ParquetWriter, read_metadata
from splus_hypercube.configuration import load_configuration
from splus_hypercube.fields import read_fields
from splus_hypercube.mock import write_mock
from splus_hypercube.pipeline import Run, build_fields
from splus_hypercube.schema import METADATA_KEY, plan_schema
from splus_hypercube.truth import SurveyComparison, compare_with_truth

Change = Callable[[list[Any]], list[Any]]
SURVEYS = ["splus", "gaia", "gaiaxp", "ztf", "desi", "apogee", "specz", "vista"]


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("truth") / "mock"
    write_mock(folder, fields=2, sources=60, image_size_px=160, seed=3)
    return folder


@pytest.fixture(scope="module")
def cubes(tree: Path) -> list[Path]:
    configuration = load_configuration(tree / "hypercube.yaml")
    # The truth knows nothing of pixels.
    configuration = configuration.model_copy(
        update={"cutouts": configuration.cutouts.model_copy(update={"rows": "none"})}
    )
    fields = read_fields(configuration.fields, configuration.exclude_fields)
    outcome = build_fields(Run(configuration, plan_schema(configuration, fields)), fields)
    assert not outcome.failed
    return [configuration.cube_path(field.name) for field in fields]


@pytest.fixture
def compare_changed(
    cubes: list[Path], tree: Path, tmp_path: Path
) -> Callable[..., dict[str, SurveyComparison]]:
    """Changes columns of the first hypercube, or its rows, and compares."""

    def compare(
        changes: dict[str, Change] | None = None, rows: list[int] | None = None
    ) -> dict[str, SurveyComparison]:
        table = pq.read_table(cubes[0])
        if rows is not None:
            table = table.take(pa.array(rows))
        for name, change in (changes or {}).items():
            place = table.schema.get_field_index(name)
            field = table.schema.field(place)
            values = pa.array(change(table[name].to_pylist()), field.type)
            table = table.set_column(place, field, values)
        own = {METADATA_KEY: read_metadata(cubes[0])[METADATA_KEY]}
        path = tmp_path / "changed.parquet"
        with ParquetWriter(path, table.schema.remove_metadata(), metadata=own) as writer:
            writer.write(table.replace_schema_metadata(None))
        return {row.survey: row for row in compare_with_truth([path], tree / "truth.parquet")}

    return compare


def first(values: list[Any]) -> int:
    return next(row for row, value in enumerate(values) if value is not None)


def first_null(values: list[Any]) -> int:
    return next(row for row, value in enumerate(values) if value is None)


def at(row: int, values: list[Any], value: Any) -> list[Any]:
    return [*values[:row], value, *values[row + 1 :]]


def test_a_build_agrees_with_the_truth(cubes: list[Path], tree: Path) -> None:
    rows = compare_with_truth(cubes, tree / "truth.parquet")
    assert [row.survey for row in rows] == SURVEYS
    assert rows[0] == SurveyComparison("splus", 120, 120, 0)
    truth = pq.read_table(tree / "truth.parquet")
    for row in rows:
        assert row.expected == row.found > 0, row
        assert (row.wrong, row.wrong_sources) == (0, ()), row
    gaia = next(row for row in rows if row.survey == "gaia")
    assert gaia.expected == len(truth) - truth["gaia_source_id"].null_count


def test_one_field_is_compared_with_its_own_rows(cubes: list[Path], tree: Path) -> None:
    rows = compare_with_truth(cubes[1:], tree / "truth.parquet")
    assert rows[0] == SurveyComparison("splus", 60, 60, 0)
    assert all(not row.wrong for row in rows)


@pytest.mark.parametrize(
    ("survey", "column"),
    [
        ("gaia", "gaia_source_id"),
        ("gaiaxp", "gaiaxp_source_id"),
        ("ztf", "ztf_objectid"),
        ("desi", "desi_TARGETID"),
        ("vista", "vista_sourceid"),
    ],
)
def test_an_identifier_off_by_one(compare_changed: Any, survey: str, column: str) -> None:
    rows = compare_changed(
        {column: lambda values: at(first(values), values, values[first(values)] + 1)}
    )
    assert rows[survey].wrong == 1
    assert len(rows[survey].wrong_sources) == 1
    assert rows[survey].expected == rows[survey].found
    assert [name for name, row in rows.items() if row.wrong] == [survey]


def test_identifiers_that_went_through_a_float(compare_changed: Any) -> None:
    rows = compare_changed(
        {"gaia_source_id": lambda ids: [None if i is None else int(float(i)) for i in ids]}
    )
    assert rows["gaia"].wrong > rows["gaia"].expected // 2
    assert len(rows["gaia"].wrong_sources) == 5


def test_a_lost_match(compare_changed: Any) -> None:
    rows = compare_changed({"apogee_APOGEE_ID": lambda ids: at(first(ids), ids, None)})
    apogee = rows["apogee"]
    assert (apogee.wrong, apogee.found) == (1, apogee.expected - 1)


def test_a_match_too_many(compare_changed: Any) -> None:
    rows = compare_changed({"specz_z": lambda values: at(first_null(values), values, 0.1)})
    specz = rows["specz"]
    assert (specz.wrong, specz.found) == (1, specz.expected + 1)


@pytest.mark.parametrize(
    ("survey", "column", "change"),
    [
        ("ztf", "ztf_objectids", lambda objects: [*objects[::-1], 1]),
        ("desi", "desi_desi_file", lambda name: name + "x"),
        ("gaia", "gaia_n_candidates", lambda count: count + 1),
        ("vista", "vista_separation_arcsec", lambda separation: separation + 0.01),
        ("specz", "specz_z", lambda z: z * (1.0 + 1e-15) + 1e-15),
    ],
)
def test_other_differences(compare_changed: Any, survey: str, column: str, change: Any) -> None:
    def changed(values: list[Any]) -> list[Any]:
        row = first(values)
        return at(row, values, change(values[row]))

    rows = compare_changed({column: changed})
    assert [(name, row.wrong) for name, row in rows.items() if row.wrong] == [(survey, 1)]


def test_a_separation_within_the_tolerance(compare_changed: Any) -> None:
    rows = compare_changed(
        {"vista_separation_arcsec": lambda values: [v and v + 1e-5 for v in values]}
    )
    assert rows["vista"].wrong == 0


def test_rows_in_another_order(compare_changed: Any) -> None:
    rows = compare_changed(rows=[1, 0, *range(2, 60)])
    assert rows["splus"].wrong == 2
    # The counterparts are still those of their sources.
    assert all(not row.wrong for name, row in rows.items() if name != "splus")


def test_a_source_is_missing(compare_changed: Any) -> None:
    rows = compare_changed(rows=list(range(59)))
    assert (rows["splus"].expected, rows["splus"].found, rows["splus"].wrong) == (60, 59, 1)


def test_a_source_is_there_twice(compare_changed: Any) -> None:
    rows = compare_changed(rows=[*range(60), 59])
    assert (rows["splus"].expected, rows["splus"].found, rows["splus"].wrong) == (60, 61, 1)


def test_a_position_changed(compare_changed: Any) -> None:
    rows = compare_changed({"ra": lambda values: at(7, values, values[7] + 1e-9)})
    assert rows["splus"].wrong == 1


def test_a_survey_that_was_not_configured_is_left_out(
    cubes: list[Path], tree: Path, tmp_path: Path
) -> None:
    table = pq.read_table(cubes[0])
    table = table.select([name for name in table.column_names if not name.startswith("vista_")])
    own = read_metadata(cubes[0])[METADATA_KEY]
    own = {**own, "surveys": {k: v for k, v in own["surveys"].items() if k != "vista"}}
    path = tmp_path / "without.parquet"
    schema = table.schema.remove_metadata()
    with ParquetWriter(path, schema, metadata={METADATA_KEY: own}) as writer:
        writer.write(table.replace_schema_metadata(None))
    rows = compare_with_truth([path], tree / "truth.parquet")
    assert [row.survey for row in rows] == SURVEYS[:-1]


def test_a_field_that_the_truth_does_not_know(
    cubes: list[Path], tree: Path, tmp_path: Path
) -> None:
    truth = pq.read_table(tree / "truth.parquet")
    other = truth.slice(60)
    pq.write_table(other, tmp_path / "truth.parquet")
    with pytest.raises(InputError, match="the field SPLUS-s02s05; expected a field of"):
        compare_with_truth(cubes, tmp_path / "truth.parquet")


@pytest.mark.parametrize("column", ["id", "has_xp", "desi_TARGETID", "gaia_n_candidates"])
def test_a_truth_that_lacks_a_column(
    cubes: list[Path], tree: Path, tmp_path: Path, column: str
) -> None:
    truth = pq.read_table(tree / "truth.parquet").drop_columns([column])
    pq.write_table(truth, tmp_path / "truth.parquet")
    with pytest.raises(InputError, match=f"no column {column}"):
        compare_with_truth(cubes, tmp_path / "truth.parquet")


def test_a_missing_truth(cubes: list[Path], tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"absent\.parquet"):
        compare_with_truth(cubes, tmp_path / "absent.parquet")


def test_a_file_that_is_no_hypercube(tree: Path) -> None:
    with pytest.raises(InputError, match="expected a hypercube"):
        compare_with_truth([tree / "truth.parquet"], tree / "truth.parquet")
