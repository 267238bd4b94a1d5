from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from astro_common.errors import InputError
from astro_common.parquet import ParquetWriter, read_metadata
from splus_hypercube.schema import METADATA_KEY
from splus_hypercube.view.source import read_source

GAIA_ID = 2_684_354_560_000_000_001
ZTF_ID = 1_234_567_890_123_456_789


@pytest.fixture(scope="module")
def cube_path(write_cube: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("source")
    return write_cube(folder / "datacube_F1.parquet", missing_bands=("U",))


def test_identifiers_are_exact(cube_path: Path) -> None:
    source = read_source(cube_path, "iDR6_F1_0004")
    assert source.get("gaia_source_id") == GAIA_ID + 4
    assert source.get("ztf_objectids") == (ZTF_ID + 4, ZTF_ID)
    assert isinstance(source.get("desi_targetid"), int)


def test_null_is_none_and_not_zero(cube_path: Path) -> None:
    source = read_source(cube_path, "iDR6_F1_0001")
    assert source.get("gaia_source_id") is None
    assert source.number("gaia_parallax") is None
    assert source.get("no_such_column") is None
    assert len(source.array("desi_flux_b")) == 0


def test_lists_are_arrays(cube_path: Path) -> None:
    source = read_source(cube_path, "iDR6_F1_0000")
    assert source.get("ztf_mag_g").dtype == np.float32
    assert source.array("ztf_mag_g").dtype == np.float64
    assert len(source.array("ztf_hmjd_g")) == 30


def test_cutouts_are_images(cube_path: Path) -> None:
    source = read_source(cube_path, "iDR6_F1_0002")
    image = source.cutouts["R"]
    assert image is not None
    assert image.shape == (24, 24)
    # The fixture's source at the edge has no pixel in the first third of the columns.
    assert np.isnan(image[:, :8]).all()
    assert np.isfinite(image[:, 8:]).all()
    assert source.cutouts["U"] is None


def test_names_in_any_case(cube_path: Path) -> None:
    source = read_source(cube_path, "iDR6_F1_0000")
    assert source.get("field") == "F1"
    assert source.knows("DESI_z")
    assert not source.knows("desi_zz")


def test_offset_of_the_band_before_the_common_one(cube_path: Path) -> None:
    source = read_source(cube_path, "iDR6_F1_0000")
    common = source.number("splus_cut_dx_px"), source.number("splus_cut_dy_px")
    assert source.offset_px("R") == common
    values = {**source.values, "splus_cut_dx_px_R": 0.125, "splus_cut_dy_px_R": -0.25}
    own = type(source)(
        source.path, source.row, source.identifier, source.metadata, values, source.cutouts
    )
    assert own.offset_px("R") == (0.125, -0.25)
    assert own.offset_px("G") == common


def test_numbers_that_are_not(cube_path: Path) -> None:
    source = read_source(cube_path, "iDR6_F1_0000")
    values = {"nan": float("nan"), "yes": True, "text": "1", "inf": float("inf"), "int": 3}
    own = type(source)(source.path, 0, "x", {}, values, {})
    names = ("nan", "yes", "text", "inf", "int")
    assert [own.number(name) for name in names] == [None, None, None, None, 3.0]


def test_only_the_row_group_of_the_source_is_read(
    cube_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[tuple[int, tuple[str, ...]]] = []
    original = pq.ParquetFile.read_row_group

    def spy(self: pq.ParquetFile, group: int, columns: list[str], **options: Any) -> Any:
        read.append((group, tuple(columns)))
        return original(self, group, columns=columns, **options)

    monkeypatch.setattr(pq.ParquetFile, "read_row_group", spy)
    monkeypatch.setattr(pq.ParquetFile, "read", None)
    read_source(cube_path, "iDR6_F1_0005")
    with_cutouts = [(group, names) for group, names in read if "splus_cut_R" in names]
    assert with_cutouts == [(1, ("splus_cut_R",))]
    assert {group for group, names in read if names != ("id",)} == {1}


def test_cutouts_that_are_not_square(cube_path: Path, tmp_path: Path) -> None:
    table = pq.read_table(cube_path).slice(0, 1)
    place = table.schema.get_field_index("splus_cut_R")
    field = table.schema.field(place).with_type(pa.list_(pa.float32(), 575))
    table = table.set_column(place, field, pa.array([[0.0] * 575], field.type))
    table = table.drop_columns(["splus_cut_G"])
    metadata = {METADATA_KEY: read_metadata(cube_path)[METADATA_KEY]}
    path = tmp_path / "odd.parquet"
    with ParquetWriter(path, table.schema.remove_metadata(), metadata=metadata) as writer:
        writer.write(table.replace_schema_metadata(None))
    with pytest.raises(InputError, match="575 pixels in splus_cut_R; expected a square cutout"):
        read_source(path, "iDR6_F1_0000")


def test_unknown_source(cube_path: Path) -> None:
    with pytest.raises(InputError, match="no source 'x'"):
        read_source(cube_path, "x")
