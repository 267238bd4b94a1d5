"""Real replies of the Gaia archive, compared with astropy."""

from __future__ import annotations

import ast
import csv
import gzip
import os
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from astropy.io import fits
from astropy.table import Table
from astropy.units import Unit

from astro_common.ecsv import read_ecsv

pytestmark = pytest.mark.real


@pytest.fixture(scope="module")
def gaia() -> Path:
    default = Path(__file__).parents[5] / "shared" / "data"
    folder = Path(os.environ.get("ASTRO_REAL_DATA", default)) / "gaia"
    if not folder.is_dir():
        pytest.skip(f"no Gaia files at {folder}; set ASTRO_REAL_DATA to the folder above it")
    return folder


def test_every_ecsv_file_reads_as_astropy_reads_it(gaia: Path) -> None:
    paths = sorted(gaia.rglob("*.ecsv"))
    assert len(paths) >= 4
    for path in paths:
        ours = read_ecsv(path)
        theirs = Table.read(path, format="ascii.ecsv")
        assert ours.column_names == theirs.colnames
        for name in theirs.colnames:
            column = theirs[name]
            label = f"{path.name} {name}"
            unit = (ours.schema.field(name).metadata or {}).get(b"unit", b"").decode()
            assert Unit(unit, parse_strict="silent") == (column.unit or Unit("")), label
            mask = np.ma.getmaskarray(np.ma.asarray(column))
            for row in range(len(theirs)):
                found = ours.column(name)[row].as_py()
                if mask.shape == (len(theirs),) and mask[row]:
                    assert found is None, label
                elif found is None:
                    # astropy gives an empty cell of an array as an array without elements.
                    assert np.size(column[row]) == 0, label
                else:
                    np.testing.assert_array_equal(found, column[row], label)


def test_the_formats_of_one_query_agree(gaia: Path) -> None:
    # The archive gave the same two sources as ECSV, CSV and FITS.
    folder = gaia / "xp_continuous"
    ecsv = read_ecsv(folder / "XP_CONTINUOUS_RAW.ecsv")
    plain = read_ecsv(folder / "XP_CONTINUOUS_RAW.csv")
    theirs = fits.getdata(folder / "XP_CONTINUOUS_RAW.fits", 1)
    assert ecsv.column("source_id").to_pylist() == [5853498713190525696, 5762406957886626816]
    assert plain.column("source_id").to_pylist() == ecsv.column("source_id").to_pylist()
    assert theirs["source_id"].tolist() == ecsv.column("source_id").to_pylist()
    for name in ("bp_coefficients", "rp_coefficients"):
        assert plain.column(name).to_pylist() == ecsv.column(name).to_pylist()
        for row in range(2):
            np.testing.assert_array_equal(ecsv.column(name)[row].as_py(), theirs[name][row])
            assert len(ecsv.column(name)[row]) == 55
    assert len(ecsv.column("bp_coefficient_correlations")[0]) == 55 * 54 // 2


def test_a_missing_arm_is_null(gaia: Path) -> None:
    folder = gaia / "xp_continuous"
    for name in ("XP_CONTINUOUS_RAW_with_missing_BP.ecsv", "XP_CONTINUOUS_RAW_with_missing_BP.csv"):
        table = read_ecsv(folder / name)
        missing = table.column("source_id").to_pylist().index(5405570973190252288)
        assert table.column("bp_coefficients")[missing].as_py() is None
        assert table.column("bp_n_parameters")[missing].as_py() is None
        assert len(table.column("rp_coefficients")[missing]) == 55


def test_cells_of_plain_csv_are_those_that_python_reads(gaia: Path, tmp_path: Path) -> None:
    path = gaia / "xp_sampled_reference" / "SampledMeanSpectrum.csv"
    with path.open() as file:
        rows = list(csv.DictReader(file))
    (tmp_path / "sampled.csv.gz").write_bytes(gzip.compress(path.read_bytes()))
    table = read_ecsv(tmp_path / "sampled.csv.gz")
    assert table.schema.field("flux").type == pa.list_(pa.float64())
    assert table.column("source_id").to_pylist() == [int(row["source_id"]) for row in rows]
    assert table.column("flux").to_pylist() == [list(ast.literal_eval(row["flux"])) for row in rows]
