from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from astro_common.errors import InputError
from astro_common.parquet import ParquetWriter, read_metadata
from splus_hypercube.view.cube import open_cube


@pytest.fixture(scope="module")
def cube_path(write_cube: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_cube(tmp_path_factory.mktemp("cube") / "datacube_F1.parquet")


def test_what_the_footer_says(cube_path: Path) -> None:
    with open_cube(cube_path) as cube:
        assert (cube.field, cube.synthetic, cube.num_rows) == ("F1", True, 10)
        assert cube.identifier_name == "id"


@pytest.mark.parametrize("row", [0, 3, 4, 9])
def test_a_source_is_found_in_whatever_row_group(cube_path: Path, row: int) -> None:
    with open_cube(cube_path) as cube:
        assert cube.find_row(f"iDR6_F1_{row:04d}") == row


def test_a_row_is_the_row_of_the_whole_file(cube_path: Path) -> None:
    whole = pq.read_table(cube_path)
    with open_cube(cube_path) as cube:
        for row in range(cube.num_rows):
            for name in whole.column_names:
                # By their text, since NaN equals nothing.
                found = repr(cube.row(row, [name]).to_pylist())
                assert found == repr(whole.select([name]).slice(row, 1).to_pylist())


@pytest.mark.parametrize("row", [-1, 10])
def test_a_row_outside_the_file(cube_path: Path, row: int) -> None:
    with open_cube(cube_path) as cube, pytest.raises(IndexError, match="of a file with 10 rows"):
        cube.row(row, ["ra"])


def test_unknown_source(cube_path: Path) -> None:
    with open_cube(cube_path) as cube, pytest.raises(InputError) as caught:
        cube.find_row("iDR6_F1_9999")
    message = str(caught.value)
    assert "no source 'iDR6_F1_9999' in column id" in message
    assert "10 identifiers such as iDR6_F1_0000" in message
    assert "\n" not in message


def test_columns_are_found_in_any_case(cube_path: Path) -> None:
    with open_cube(cube_path) as cube:
        assert cube.column_name("desi_targetid") == "desi_TARGETID"
        assert cube.column_name("desi_nothing") is None


def test_positions(cube_path: Path) -> None:
    with open_cube(cube_path) as cube:
        ra, dec = cube.positions()
    np.testing.assert_allclose(ra, 10.0 + 0.01 * np.arange(10))
    np.testing.assert_array_equal(dec, np.full(10, -30.0))


def test_numbers_as_identifiers(write_cube: Callable[..., Path], tmp_path: Path) -> None:
    path = write_cube(tmp_path / "cube.parquet", rows=3)
    table = pq.read_table(path)
    place = table.schema.get_field_index("id")
    field = table.schema.field(place).with_type(pa.int64())
    numbers = pa.array([2**60 + 1, None, 2**60 + 3])
    changed = table.set_column(place, field, numbers)
    metadata = read_metadata(path)
    with ParquetWriter(tmp_path / "numbers.parquet", changed.schema, metadata=metadata) as writer:
        writer.write(changed)
    with open_cube(tmp_path / "numbers.parquet") as cube:
        assert cube.find_row(str(2**60 + 3)) == 2
        with pytest.raises(InputError, match="no source"):
            cube.find_row(str(2**60))


def test_a_missing_file(tmp_path: Path) -> None:
    with (
        pytest.raises(InputError, match=r"absent\.parquet"),
        open_cube(tmp_path / "absent.parquet"),
    ):
        pass


def test_another_parquet_file(tmp_path: Path) -> None:
    pq.write_table(pa.table({"id": [1]}), tmp_path / "other.parquet")
    with (
        pytest.raises(InputError, match="no splus_hypercube in the footer; expected a hypercube"),
        open_cube(tmp_path / "other.parquet"),
    ):
        pass


@pytest.mark.parametrize("kept", [0, 3, 2000, -1])
def test_a_truncated_file(cube_path: Path, tmp_path: Path, kept: int) -> None:
    broken = tmp_path / "broken.parquet"
    broken.write_bytes(cube_path.read_bytes()[:kept])
    with pytest.raises(InputError, match=r"broken\.parquet"), open_cube(broken):
        pass


def test_damaged_data_name_the_file(cube_path: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.parquet"
    data = bytearray(cube_path.read_bytes())
    column = pq.read_metadata(cube_path).row_group(0).column(1)
    start = column.dictionary_page_offset or column.data_page_offset
    data[start : start + column.total_compressed_size] = b"\xff" * column.total_compressed_size
    broken.write_bytes(data)
    with open_cube(broken) as cube, pytest.raises(InputError, match=r"broken\.parquet"):
        cube.find_row("iDR6_F1_0000")


def test_a_file_without_an_identifier(tmp_path: Path) -> None:
    schema = pa.schema([pa.field("ra", pa.float64())], metadata={"splus_hypercube": "{}"})
    pq.write_table(pa.table({"ra": [1.0]}, schema=schema), tmp_path / "cube.parquet")
    with (
        open_cube(tmp_path / "cube.parquet") as cube,
        pytest.raises(InputError, match="no column with the modality 'id'"),
    ):
        cube.find_row("1")
