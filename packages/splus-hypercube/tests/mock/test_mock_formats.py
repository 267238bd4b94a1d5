"""The survey files as other programs see them, and as the real ones are."""

from __future__ import annotations

import gzip
import os
import re
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from astropy.io import fits
from astropy.table import Table

from splus_hypercube.mock.desi_columns import (
    EXP_FIBERMAP_COLUMNS,
    FIBERMAP_COLUMNS,
    REDSHIFT_COLUMNS,
    SCORE_COLUMNS,
    TSNR2_COLUMNS,
)
from splus_hypercube.mock.gaia_columns import GAIA_COLUMNS
from splus_hypercube.mock.xp import XP_COLUMNS

REAL_DATA = Path(
    os.environ.get("ASTRO_REAL_DATA", Path(__file__).parents[4].parent / "shared" / "data")
)
BITS_PER_LEVEL_12 = 35

pytestmark = pytest.mark.filterwarnings("ignore::astropy.units.UnitsWarning")


def real_file(name: str) -> Path:
    path = REAL_DATA / name
    if not path.is_file():
        pytest.skip(f"no real data: {path} is absent (set ASTRO_REAL_DATA)")
    return path


@pytest.fixture(scope="module")
def gaia_tables(mock_tree) -> dict[Path, Table]:
    return {
        path: Table.read(path, format="ascii.ecsv", fill_values=[("null", "0")])
        for path in sorted((mock_tree / "gaia_dr3").glob("*.csv.gz"))
    }


def test_gaia_files_are_named_by_the_pixels_they_hold(gaia_tables):
    from astropy_healpix import HEALPix

    level_12 = HEALPix(4096, order="nested")
    ranges = []
    for path, table in gaia_tables.items():
        name = re.fullmatch(r"GaiaSource_(\d{6})-(\d{6})\.csv\.gz", path.name)
        first, last = map(int, name.groups())
        ranges.append((first, last))
        source_id = np.asarray(table["source_id"], dtype=np.int64)
        if not len(source_id):
            continue
        assert source_id.min() > 2**60
        pixel = source_id >> (BITS_PER_LEVEL_12 + 8)
        assert pixel.min() >= first
        assert pixel.max() <= last
        assert (np.diff(source_id) > 0).all()
        found = level_12.lonlat_to_healpix(table["ra"].quantity, table["dec"].quantity)
        np.testing.assert_array_equal(found, source_id >> BITS_PER_LEVEL_12)
    assert len(ranges) > 4
    assert all(a[1] < b[0] for a, b in zip(sorted(ranges), sorted(ranges)[1:], strict=False))


def test_matches_of_one_field_lie_in_several_gaia_files(gaia_tables, mock_truth):
    first = set(mock_truth["gaia_source_id"].slice(0, 140).drop_null().to_pylist())
    holding = [
        path for path, table in gaia_tables.items() if first & set(table["source_id"].tolist())
    ]
    assert len(holding) > 1


def test_gaia_columns_have_types_units_and_nulls(gaia_tables):
    assert len(GAIA_COLUMNS) >= 60
    table = next(table for table in gaia_tables.values() if len(table) > 30)
    assert table.colnames == [column.name for column in GAIA_COLUMNS]
    assert table["source_id"].dtype == np.int64
    assert table["parallax_error"].dtype == np.float32
    assert table["pmra"].unit == "mas / yr"
    assert set(table["ref_epoch"]) == {2016.0}
    for name in ("pmra", "parallax", "radial_velocity", "teff_gspphot"):
        assert table[name].mask.any(), name
        assert not table[name].mask.all(), name
    assert table["radial_velocity"].mask.mean() > 0.6
    assert table.meta["synthetic"] is True
    motion = np.hypot(table["pmra"].filled(0), table["pmdec"].filled(0))
    np.testing.assert_allclose(table["pm"].filled(0), motion, rtol=1e-5, atol=1e-5)


def test_magnitudes_follow_from_fluxes(gaia_tables):
    # Zero points of Gaia DR3: Riello et al. 2021, table 5.
    table = next(table for table in gaia_tables.values() if len(table) > 30)
    for band, zero_point in (("g", 25.6874), ("bp", 25.3385), ("rp", 24.7479)):
        flux = np.ma.filled(np.ma.array(table[f"phot_{band}_mean_flux"].data), np.nan)
        mag = np.ma.filled(np.ma.array(table[f"phot_{band}_mean_mag"].data), np.nan)
        np.testing.assert_allclose(-2.5 * np.log10(flux) + zero_point, mag, atol=1e-4)


def test_xp_files_have_the_ranges_of_the_gaia_files(mock_tree, gaia_tables):
    ranges = {path.name.removeprefix("GaiaSource") for path in gaia_tables}
    spectra = {
        path.name.removeprefix("XpContinuousMeanSpectrum")
        for path in (mock_tree / "gaia_xp").iterdir()
    }
    assert spectra == ranges


@pytest.mark.real
def test_gaia_columns_are_those_of_a_real_file():
    path = real_file("gaia/gdr3_sm.fits")
    with fits.open(path) as hdus:
        columns = hdus[1].columns
        codes = dict(zip(columns.names, columns.formats, strict=True))
    kinds = {"int64": "K", "int16": "I", "float64": "D", "float32": "E", "bool": "L"}
    names = list(codes)
    assert [name for name in names if name in {c.name for c in GAIA_COLUMNS}] == [
        column.name for column in GAIA_COLUMNS
    ]
    for column in GAIA_COLUMNS:
        if column.datatype != "string":
            assert codes[column.name] == kinds[column.datatype], column.name


@pytest.mark.real
def test_xp_columns_are_those_of_a_real_file():
    lines = real_file("gaia/xp_continuous/XP_CONTINUOUS_RAW.ecsv").read_text().splitlines()
    header = next(line for line in lines if not line.startswith("#"))
    assert header.split(",") == [column.name for column in XP_COLUMNS]
    text = "\n".join(line[2:] for line in lines if line.startswith("#"))
    import yaml

    real = {item["name"]: item for item in yaml.safe_load(text.split("---")[1])["datatype"]}
    for column in XP_COLUMNS:
        item = real[column.name]
        if column.array:
            assert item["subtype"] == f"{column.datatype}[null]"
        else:
            assert item["datatype"] == column.datatype


@pytest.fixture(scope="module")
def coadd(mock_tree) -> Path:
    return sorted((mock_tree / "desi").glob("*/*/coadd-*.fits"))[0]


def structure(path: Path):
    """Names, kinds, types and shapes (but for the number of rows) of all HDUs."""
    result = []
    with fits.open(path) as hdus:
        for hdu in hdus[1:]:
            if isinstance(hdu, fits.BinTableHDU):
                columns = tuple(zip(hdu.columns.names, hdu.columns.formats, strict=True))
                result.append((hdu.name, columns))
            else:
                shape = hdu.shape if hdu.name.endswith("WAVELENGTH") else hdu.shape[1:]
                unit = hdu.header.get("BUNIT")
                result.append((hdu.name, hdu.header["BITPIX"], shape, unit))
    return result


@pytest.mark.real
def test_coadds_have_the_structure_of_a_real_one(coadd):
    real = real_file("surveys/desi/coadd-4-80613-thru20210324.fits")
    assert structure(coadd) == structure(real)


@pytest.mark.real
def test_redrock_files_have_the_structure_of_a_real_one(coadd):
    real = real_file("surveys/desi/redrock-4-80613-thru20210324.fits")
    assert structure(coadd.with_name(coadd.name.replace("coadd", "redrock"))) == structure(real)


def test_coadds_have_all_columns(coadd):
    fitsio = pytest.importorskip("fitsio")
    with fitsio.FITS(str(coadd)) as hdus:
        for name, columns in (
            ("FIBERMAP", FIBERMAP_COLUMNS),
            ("EXP_FIBERMAP", EXP_FIBERMAP_COLUMNS),
            ("SCORES", SCORE_COLUMNS),
        ):
            assert hdus[name].get_colnames() == [label for label, _ in columns]
        assert (hdus["FIBERMAP"].read()["TARGETID"] == hdus["SCORES"].read()["TARGETID"]).all()
        assert hdus["B_FLUX"].get_dims() == hdus["B_IVAR"].get_dims() == hdus["B_MASK"].get_dims()
        lengths = [hdus[f"{arm}_WAVELENGTH"].get_dims()[0] for arm in "BRZ"]
        assert lengths == [2751, 2326, 2881]
        assert hdus["B_RESOLUTION"].get_dims()[1:] == [11, 2751]
    redrock = coadd.with_name(coadd.name.replace("coadd", "redrock"))
    with fitsio.FITS(str(redrock)) as hdus:
        assert hdus["REDSHIFTS"].get_colnames() == [label for label, _ in REDSHIFT_COLUMNS]
        assert hdus["TSNR2"].get_colnames() == [label for label, _ in TSNR2_COLUMNS]


def test_redrock_rows_are_in_another_order(coadd):
    with fits.open(coadd) as hdus:
        fibres = hdus["FIBERMAP"].data["TARGETID"].copy()
    with fits.open(coadd.with_name(coadd.name.replace("coadd", "redrock"))) as hdus:
        redshifts = hdus["REDSHIFTS"].data["TARGETID"].copy()
    assert sorted(fibres) == sorted(redshifts)
    assert (fibres != redshifts).any()
    assert fibres.max() > 2**53


def test_fibres_hold_every_trap(mock_tree):
    types, status, lost = set(), set(), 0
    tiles: dict[int, set[str]] = {}
    for path in (mock_tree / "desi").glob("*/*/coadd-*.fits"):
        with fits.open(path) as hdus:
            fibres = hdus["FIBERMAP"].data
            types |= set(fibres["OBJTYPE"].tolist())
            status |= set(fibres["COADD_FIBERSTATUS"].tolist())
            nowhere = np.flatnonzero(~np.isfinite(fibres["TARGET_RA"]))
            lost += int((nowhere < len(fibres) - 1).sum())  # not only at the end of a file
            for identifier in fibres["TARGETID"][fibres["TARGETID"] > 0].tolist():
                tiles.setdefault(identifier, set()).add(path.parents[1].name)
    assert types == {"TGT", "SKY"}
    assert len(status) > 1
    assert lost
    assert any(len(places) == 2 for places in tiles.values())


def test_spectra_scatter_about_the_truth_as_their_variances_say(mock_tree):
    truth = pq.read_table(mock_tree / "truth_spectra.parquet")
    place = {identifier: row for row, identifier in enumerate(truth["TARGETID"].to_pylist())}
    noiseless = {
        arm: np.stack(truth[f"flux_{arm.lower()}"].combine_chunks().to_numpy(zero_copy_only=False))
        for arm in "BRZ"
    }
    pulls: dict[str, list[np.ndarray]] = {"good": [], "masked": []}
    for path in sorted((mock_tree / "desi").glob("*/*/coadd-*.fits")):
        with fits.open(path) as hdus:
            fibres = hdus["FIBERMAP"].data
            rows = [
                row
                for row, identifier in enumerate(fibres["TARGETID"].tolist())
                if identifier in place and fibres["COADD_FIBERSTATUS"][row] == 0
            ]
            where = [place[int(fibres["TARGETID"][row])] for row in rows]
            for arm in "BRZ":
                flux = hdus[f"{arm}_FLUX"].data[rows]
                ivar = hdus[f"{arm}_IVAR"].data[rows]
                mask = hdus[f"{arm}_MASK"].data[rows]
                pull = (flux - noiseless[arm][where]) * np.sqrt(ivar)
                pulls["good"].append(pull[(mask == 0) & (ivar > 0)])
                pulls["masked"].append(pull[(mask != 0) & (ivar > 0)])
    good, masked = (np.concatenate(pulls[name]) for name in ("good", "masked"))
    assert np.mean(good**2) == pytest.approx(1.0, abs=0.01)
    assert abs(good.mean()) < 0.01
    assert np.median(masked) > 10.0


def test_tiles_cover_their_fields(mock_tree):
    tiles = Table.read(mock_tree / "desi_tiles.csv", format="ascii.csv")
    assert tiles.colnames[:3] == ["TILEID", "TILERA", "TILEDEC"]
    on_disk = {int(path.name) for path in (mock_tree / "desi").iterdir()}
    assert on_disk < set(tiles["TILEID"].tolist())
    for path in (mock_tree / "desi").glob("*/*/coadd-*.fits"):
        assert re.fullmatch(r"coadd-\d-\d+-thru\d{8}\.fits", path.name)


def test_apogee_has_vectors_and_duplicates(mock_tree):
    with fits.open(mock_tree / "allStar-dr17-synspec_rev1.fits") as hdus:
        assert hdus[0].header["SYNTHET"] is True
        rows = hdus[1].data
        assert rows["PARAM"].shape[1:] == (9,)
        assert rows["X_H"].shape[1:] == (26,)
        duplicates = (rows["EXTRATARG"] & 16) != 0
        assert duplicates.any()
        kept = set(rows["APOGEE_ID"][~duplicates].tolist())
        assert set(rows["APOGEE_ID"][duplicates].tolist()) <= kept
        assert len(kept) == (~duplicates).sum()
        assert all(re.fullmatch(r"2M\d{8}[+-]\d{7}", name) for name in kept)


def test_parquet_files_say_that_they_are_synthetic(mock_tree):
    paths = list(mock_tree.rglob("*.parquet"))
    assert len(paths) > 8
    for path in paths:
        assert pq.read_schema(path).metadata[b"synthetic"] == b"true", path


def test_fits_and_gaia_files_say_that_they_are_synthetic(mock_tree):
    for path in [*mock_tree.rglob("*.fits"), *mock_tree.rglob("*.fits.fz")]:
        with fits.open(path) as hdus:
            assert any(hdu.header.get("SYNTHET") for hdu in hdus), path
    for path in mock_tree.rglob("*.csv.gz"):
        with gzip.open(path, "rt") as lines:
            assert "#   synthetic: true\n" in lines, path


def test_other_identifiers_do_not_survive_a_float(mock_tree):
    vista = pq.read_table(mock_tree / "vista" / "SPLUS-s02s05.parquet")
    identifiers = vista["sourceid"].to_numpy()
    assert identifiers.min() > 2**53
    assert (identifiers.astype(np.float64).astype(np.int64) != identifiers).mean() > 0.4
    for band in ("y", "j", "h", "ks"):
        for aperture in (3, 4, 6):
            for suffix in ("", "err"):
                assert f"{band}apermag{aperture}{suffix}" in vista.column_names
    assert vista["hapermag3"].null_count


def test_the_bare_field_has_an_empty_vista_file(mock_tree):
    bare = pq.read_table(mock_tree / "vista" / "SPLUS-n05s02.parquet")
    full = pq.read_schema(mock_tree / "vista" / "SPLUS-s02s05.parquet")
    assert bare.num_rows == 0
    assert bare.schema.equals(full)


def test_redshifts_of_the_literature_are_right(mock_tree, mock_truth):
    table = pq.read_table(mock_tree / "specz_compilation.parquet")
    assert {"RA", "DEC", "z", "e_z", "source", "f_z"} <= set(table.column_names)
    assert table.schema.field("e_z").type == pa.float32()
    frame = mock_truth.to_pandas().dropna(subset=["specz_z"])
    own = frame[frame["specz_is_same_source"].astype(bool)]
    np.testing.assert_allclose(own["specz_z"], own["redshift"], atol=3e-3)
