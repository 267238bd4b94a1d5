"""What `inspect` says of a hypercube, against the file read as a whole."""

from __future__ import annotations

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from splus_hypercube.__main__ import main
from splus_hypercube.bands import BAND_NAMES


def inspect(path, capsys, *options, status=0):
    capsys.readouterr()
    assert main(["inspect", str(path), *options]) == status
    return capsys.readouterr()


@pytest.fixture
def built(make_tree):
    """Cutouts of Gaia matches alone, of all bands but one."""
    cutouts = {"size_px": 9, "rows": "gaia"}
    tree = make_tree(bands=BAND_NAMES[:-1], settings={"cutouts": cutouts})
    assert main(["build", "--config", str(tree.config), "-q"]) == 0
    return tree


def test_every_column_with_its_fill_rate_and_its_meaning(built, capsys):
    report = json.loads(inspect(built.cube, capsys, "--json").out)
    table = pq.read_table(built.cube)
    assert report["rows"] == table.num_rows
    assert report["row_groups"] == pq.read_metadata(built.cube).num_row_groups
    assert report["size_bytes"] == built.cube.stat().st_size
    assert report["field"] == built.field_name
    assert report["provenance"]["missing_bands"] == [BAND_NAMES[-1]]
    columns = {column["name"]: column for column in report["columns"]}
    assert list(columns) == table.column_names
    for name, column in columns.items():
        expected = 1.0 - table[name].null_count / table.num_rows
        assert column["filled"] == pytest.approx(expected), name
    assert columns["splus_cut_R"]["filled"] == 5 / 16
    assert columns[f"splus_cut_{BAND_NAMES[-1]}"]["filled"] == 0.0
    gaia = columns["gaia_pmra"]
    assert (gaia["unit"], gaia["survey"], gaia["modality"]) == ("mas.yr**-1", "gaia", "scalar")


def test_lines_for_people(built, capsys):
    lines = inspect(built.cube, capsys).out.splitlines()
    assert f"field {built.field_name}, 16 rows in 1 row groups" in lines[0]
    survey = next(line for line in lines if line.startswith("gaia "))
    assert survey.split() == ["gaia", "5", '1.20"', "0.00000"]
    assert lines[-1] == f"no image in {BAND_NAMES[-1]}"


def test_a_field_without_rows(make_tree, capsys):
    tree = make_tree(num_sources=0, surveys_have_rows=False)
    assert main(["build", "--config", str(tree.config), "-q"]) == 0
    report = json.loads(inspect(tree.cube, capsys, "--json").out)
    assert report["rows"] == 0
    assert {column["filled"] for column in report["columns"]} == {None}
    assert "0 rows" in inspect(tree.cube, capsys).out


@pytest.mark.parametrize("footer", [None, "[]", "3", "null", "no JSON"])
def test_a_file_that_is_no_hypercube_is_one_line(tmp_path, capsys, footer):
    metadata = None if footer is None else {"splus_hypercube": footer}
    schema = pa.schema([pa.field("ra", pa.float64())], metadata=metadata)
    path = tmp_path / "other.parquet"
    pq.write_table(pa.table({"ra": [1.0]}, schema=schema), path)
    message = inspect(path, capsys, status=1).err
    assert "other.parquet" in message
    assert "expected a hypercube" in message
    assert len(message.strip().splitlines()) == 1


def test_a_description_that_says_little_is_no_traceback(tmp_path, capsys):
    schema = pa.schema([pa.field("ra", pa.float64())], metadata={"splus_hypercube": "{}"})
    path = tmp_path / "bare.parquet"
    pq.write_table(pa.table({"ra": [1.0, None]}, schema=schema), path)
    assert "50.0%" in inspect(path, capsys).out
