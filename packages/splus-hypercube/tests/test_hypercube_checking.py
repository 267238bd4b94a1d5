"""The independent check: a sound hypercube passes, and every planted fault is found."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from astropy import units
from astropy.io import fits
from astropy_healpix import HEALPix

from astro_common.fits import read_table
from splus_hypercube.__main__ import main
from splus_hypercube.bands import BAND_NAMES
from splus_hypercube.checking import check_cube
from splus_hypercube.checking.comparison import Between, Near, cells, differences
from splus_hypercube.checking.cube import choose_rows
from splus_hypercube.checking.images import BandImage
from splus_hypercube.checking.tables import open_table
from splus_hypercube.configuration import load_configuration

ALL_ROWS = 10_000


@pytest.fixture(scope="module")
def mock(tmp_path_factory):
    """A mock field and its hypercube: the configuration and the file."""
    root = tmp_path_factory.mktemp("mock") / "sky"
    size = ["--fields", "1", "--sources", "60", "--image-size", "240", "--seed", "11"]
    assert main(["mock", str(root), *size, "-q"]) == 0
    config = root / "hypercube.yaml"
    assert main(["build", "--config", str(config), "-q"]) == 0
    (cube,) = (root / "hypercube").glob("datacube_*.parquet")
    return config, cube


def replaced(table, column, row, value):
    """A table with another value in one cell."""
    values = table[column].combine_chunks()
    cell = pa.array([value], type=values.type)
    parts = [values.slice(0, row), cell, values.slice(row + 1)]
    place = table.schema.get_field_index(column)
    return table.set_column(place, table.schema.field(column), pa.concat_arrays(parts))


# Each fault changes one cell; what it must be given is the cell's right value and, where it needs
# one, another row's.


def one_pixel(value, _other):
    value = np.array(value)
    inside = np.flatnonzero(np.isfinite(value))
    value[inside[len(inside) // 2]] += 1.0
    return value


def zeros_outside(value, _other):
    return np.nan_to_num(np.array(value), nan=0.0)


def through_a_float(value, _other):
    assert int(float(value)) != value
    return int(float(value))


def swapped_epochs(value, _other):
    assert value[0] != value[1]
    return [value[1], value[0], *value[2:]]


def last_digits(value, _other):
    value = np.array(value)
    value[7] *= 1.0 + 1e-6
    return value


def masked_pixel_counts(value, _other):
    value = np.array(value)
    value[np.flatnonzero(value == 0.0)[0]] = 0.5
    return value


def of_another_row(value, other):
    assert value != other
    return other


def of_another_fibre(value, other):
    assert not np.array_equal(value, other)
    return other


def gone(value, _other):
    assert value is not None
    return


def zero_for_missing(value, _other):
    assert value is None
    return 0.0


def one_more(value, _other):
    return value + 1


def shifted_by(amount):
    def fault(value, _other):
        return value + amount

    return fault


FAULTS = {
    "a catalogue value of the next source": ("mag_pstotal_r", "any", of_another_row),
    "an identifier of the next source": ("id", "any", of_another_row),
    "a pixel of a cutout": ("splus_cut_F660", "any", one_pixel),
    "zeros outside the image": ("splus_cut_G", "edge", zeros_outside),
    "a cutout left out": ("splus_cut_U", "any", gone),
    "a sub-pixel offset": ("splus_cut_dx_px", "any", shifted_by(1e-3)),
    "a Gaia identifier through a float": ("gaia_source_id", "gaia", through_a_float),
    "a Gaia separation at another epoch": ("gaia_separation_arcsec", "gaia", shifted_by(0.01)),
    "a J2000 position": ("gaia_dec_j2000", "gaia", shifted_by(1e-6)),
    "a zero for a missing parallax": ("gaia_parallax", "no gaia", zero_for_missing),
    "an XP coefficient": ("gaiaxp_bp_coefficients", "gaiaxp", last_digits),
    "a light curve out of step": ("ztf_mag_r", "ztf", swapped_epochs),
    "a number of epochs": ("ztf_nepochs_g", "ztf", one_more),
    "a ZTF identifier through a float": ("ztf_objectid", "ztf", through_a_float),
    "the spectrum of another fibre": ("desi_flux_r", "desi", of_another_fibre),
    "a masked pixel with weight": ("desi_ivar_z", "desi", masked_pixel_counts),
    "a redshift": ("desi_Z", "desi", shifted_by(1e-9)),
    "another coadd": ("desi_desi_file", "desi", of_another_row),
    "a temperature": ("apogee_TEFF", "apogee", shifted_by(0.5)),
    "a number of candidates": ("apogee_n_candidates", "no apogee", one_more),
    "a lost redshift": ("specz_z", "specz", gone),
    "a VISTA identifier": ("vista_sourceid", "vista", of_another_row),
}


def rows_of_kind(table, kind):
    """Rows where a fault can be planted."""
    if kind == "any":
        return np.arange(table.num_rows)
    if kind == "edge":
        flat = table["splus_cut_G"].combine_chunks().flatten().to_numpy().reshape(len(table), -1)
        return np.flatnonzero(np.isnan(flat).any(axis=1) & ~np.isnan(flat).all(axis=1))
    name = kind.removeprefix("no ")
    columns = {"gaiaxp": "gaiaxp_source_id", "ztf": "ztf_nepochs_r", "desi": "desi_TARGETID"}
    column = table[columns.get(name, f"{name}_n_candidates")].combine_chunks()
    present = np.asarray(column.fill_null(0)) > (1 if name == "ztf" else 0)
    if name == "desi":
        weights = table["desi_ivar_z"].to_pylist()
        present &= np.array([values is not None and 0.0 in values for values in weights])
    return np.flatnonzero(present != kind.startswith("no "))


@pytest.fixture(scope="module")
def faulty(mock, tmp_path_factory):
    """A hypercube with all faults, where each was planted, and what the check says of it."""
    config, cube = mock
    table = pq.read_table(cube)
    random = np.random.default_rng(5)
    planted = {}
    for name, (column, kind, fault) in FAULTS.items():
        right = table[column]
        for row in random.permutation(rows_of_kind(table, kind)).tolist():
            value = right[row].as_py()
            others = (right[k].as_py() for k in random.permutation(len(right)).tolist())
            other = next((o for o in others if o is not None and str(o) != str(value)), None)
            try:
                changed = fault(value, other)
            except (AssertionError, IndexError):
                continue  # here the fault would change nothing
            table = replaced(table, column, row, changed)
            planted[name] = (row, column)
            break
        else:
            pytest.fail(f"no row of the mock can have the fault {name!r}")
    path = tmp_path_factory.mktemp("faulty") / "datacube.parquet"
    pq.write_table(table, path, row_group_size=32)
    report = check_cube(path, load_configuration(config), rows=ALL_ROWS)
    return config, path, planted, report


def test_a_sound_hypercube_passes(mock, capsys):
    config, cube = mock
    words = ["check", str(cube), "--config", str(config), "--rows", str(ALL_ROWS), "--json"]
    assert main(words) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["mismatches"] == []
    assert report["rows_checked"] == 60
    assert report["columns_checked"] == len(pq.read_schema(cube))
    for survey in ("gaia", "gaiaxp", "ztf", "desi", "apogee", "specz", "vista"):
        kind = "present" if survey == "gaiaxp" else "matched"
        assert report["sample"][f"{survey}: {kind}"] > 0


@pytest.mark.parametrize("fault", FAULTS)
def test_every_planted_fault_is_found(faulty, fault):
    _, _, planted, report = faulty
    assert planted[fault] in {(found.row, found.column) for found in report.mismatches}


def test_nothing_but_the_planted_faults_is_found(faulty):
    _, _, planted, report = faulty
    assert {(found.row, found.column) for found in report.mismatches} == set(planted.values())
    assert report.num_mismatches == len(planted)


def test_the_command_lists_mismatches_and_fails(faulty, capsys):
    config, path, planted, _ = faulty
    words = ["check", str(path), "--config", str(config), "--rows", "25", "--seed", "1"]
    assert main([*words, "--json"]) == 1
    report = json.loads(capsys.readouterr().out)
    assert 25 <= report["rows_checked"] < 40
    found = {(item["row"], item["column"]) for item in report["mismatches"]}
    assert found
    assert found <= set(planted.values())
    assert main(words) == 1
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(found) + 1
    assert lines[-1].endswith(f"{len(found)} mismatches")
    first = report["mismatches"][0]
    expected = f"row {first['row']} ({first['identifier']}), {first['column']}: found "
    assert lines[0] == f"{expected}{first['found']}; expected {first['expected']}"


@pytest.mark.parametrize("seed", ["-1", "one"])
def test_a_seed_that_is_none_is_a_usage_error(seed, capsys):
    with pytest.raises(SystemExit) as caught:
        main(["check", "cube.parquet", "--config", "x.yaml", "--seed", seed])
    assert caught.value.code == 2
    assert "whole number of at least 0" in capsys.readouterr().err


def test_missing_rows_and_columns_are_found(mock, tmp_path):
    config, cube = mock
    table = pq.read_table(cube).drop_columns(["gaia_parallax", "vista_separation_arcsec"])
    path = tmp_path / "short.parquet"
    pq.write_table(table.slice(0, 50), path)
    report = check_cube(path, load_configuration(config), rows=20)
    found = {item.column: item for item in report.mismatches}
    assert set(found) == {"(number of rows)", "gaia_parallax", "vista_separation_arcsec"}
    assert (found["(number of rows)"].found, found["(number of rows)"].expected) == ("50", "60")


TREES = {
    "plain": {},
    "RA 0, other bands' grids, cutouts of Gaia matches": {
        "ra": 0.0,
        "dec": -10.0,
        "settings": {"cutouts": {"rows": "gaia"}},
    },
    "pole, bands missing, a selection": {
        "ra": 200.0,
        "dec": -89.97,
        "bands": BAND_NAMES[:5],
        "settings": {"cutouts": {"rows": "mag_pstotal_r < 19 and ellipticity_det > 0.1"}},
    },
    "no cutouts, surveys left out": {
        "settings": {"cutouts": {"rows": "none", "size_px": 33}, "ztf": None, "gaia_xp": None}
    },
    "no row in any survey": {"surveys_have_rows": False, "bands": ("G", "Z")},
    "no source": {"num_sources": 0, "surveys_have_rows": False},
}


@pytest.mark.parametrize("name", TREES)
def test_every_kind_of_run_passes(make_tree, name):
    tree = make_tree(**TREES[name])
    if "other bands" in name:
        tree.write_image("U", shift_px=(0.4, -60.2))
        tree.write_config(splus={**tree_splus(tree), "epoch_jyear": None})
        for band in BAND_NAMES[4:]:
            tree.write_image(band, **{"DATE-OBS": "2019-07-02T12:00:00"})
    if "surveys left out" in name:
        # Without scores, the pixels tell which of two coadds is the better.
        pixel = int(HEALPix(64, order="nested").lonlat_to_healpix(*(tree.at(0) * units.deg)))
        for program, seed in (("dark", 4), ("bright", 5)):
            folder = tree.root / f"desi/healpix/main/{program}/{pixel // 100}/{pixel}"
            coadd = folder / f"coadd-main-{program}-{pixel}.fits"
            tree.write_coadd(coadd, tree.desi_fibres(), seed, scores=False)
        tree.write_config(desi={"directory": "desi"})
    assert main(["build", "--config", str(tree.config), "-q"]) == 0
    report = check_cube(tree.cube, load_configuration(tree.config), rows=ALL_ROWS)
    assert report.mismatches == []
    assert report.rows_checked == tree.num_sources
    if "surveys left out" in name:
        assert report.sample["desi: several candidates"] == 2


def test_rows_in_another_order_are_found_and_the_list_is_bounded(tree):
    assert main(["build", "--config", str(tree.config), "-q"]) == 0
    table = pq.read_table(tree.cube)
    pq.write_table(table.take(np.arange(len(table))[::-1]), tree.cube)
    report = check_cube(tree.cube, load_configuration(tree.config))
    assert {"id", "ra", "mag_pstotal_r"} <= {item.column for item in report.mismatches}
    assert len(report.mismatches) == 100
    assert report.num_mismatches > 200


def test_tables_are_read_with_all_their_kinds_of_columns(tmp_path):
    count = 6
    lists = np.array([np.arange(k, dtype=np.float32) for k in range(count)], dtype=object)
    columns = [
        fits.Column("null", "J", array=np.arange(count), null=3),
        fits.Column("unsigned", "J", array=np.arange(count, dtype=np.uint32) + 5, bzero=2**31),
        fits.Column("logical", "L", array=np.arange(count) % 2 == 0),
        fits.Column("lists", "PE()", array=lists),
        fits.Column("text", "5A", array=np.array(["ab", "", "c", "d  ", "e", "f"])),
        fits.Column("complex", "C", array=np.arange(count) * (1 + 2j)),
        fits.Column("square", "4E", dim="(2,2)", array=np.ones((count, 2, 2), np.float32)),
    ]
    path = tmp_path / "table.fits"
    fits.BinTableHDU.from_columns(columns).writeto(path)
    expected = open_table(path).rows(np.array([1, 3, 4]))
    found = read_table(path).take([1, 3, 4])
    kinds = {field.name: field.type for field in found.schema}
    values = {name: cells(found[name]) for name in kinds}
    for k, row in enumerate(expected):
        one = {name: column[k] for name, column in values.items()}
        assert differences(one, row, list(kinds), kinds) == []
        other = {name: column[k - 1] for name, column in values.items()}
        assert {"null", "unsigned", "lists", "text"} <= set(
            differences(other, row, list(kinds), kinds)
        )


@pytest.mark.parametrize("axes", [(1, 2), (2, 1)])
def test_pixels_follow_the_header(tmp_path, axes):
    # 36 pixels to an arcminute, the origin at pixel (10, 20) counted from 0; y runs south.
    first, second = axes
    header = fits.Header()
    header[f"CTYPE{first}"], header[f"CTYPE{second}"] = "RA---TAN", "DEC--TAN"
    header[f"CRVAL{first}"], header[f"CRVAL{second}"] = 0.0, -40.0
    header[f"CRPIX{first}"], header[f"CRPIX{second}"] = 11.0, 21.0
    header[f"CDELT{first}"], header[f"CDELT{second}"] = -1.0 / 2160, -1.0 / 2160
    header["RADESYS"] = "ICRS"
    path = tmp_path / "image.fits"
    fits.PrimaryHDU(np.zeros((64, 48), np.float32), header).writeto(path)
    ra = np.array([360.0 - 1 / 60 / np.cos(np.deg2rad(40.0)), 0.0, np.nan, 180.0])
    dec = np.array([-40.0, -40.0 - 1 / 60, -40.0, 40.0])
    image = BandImage.open(path)
    assert image.shape == (64, 48)
    found = dict(zip(axes, image.pixels(ra, dec), strict=True))
    assert found[1][:2] == pytest.approx([46.0, 10.0], abs=1e-3)
    assert found[2][:2] == pytest.approx([20.0, 56.0], abs=1e-2)
    assert np.isnan(found[1][2:]).all()  # an unknown position, and the antipode


def tree_splus(tree):
    return {
        "catalogue": "main/{field}_dual.fits",
        "images": ["idr6/{field}/{field}_{band}.fits.fz"],
    }


@pytest.mark.parametrize(
    ("spoil", "named"),
    [
        (lambda tree: tree.cube.unlink(), "datacube_"),
        (lambda tree: tree.cube.write_bytes(tree.cube.read_bytes()[:-100]), "datacube_"),
        (lambda tree: pq.write_table(pa.table({"ra": [1.0]}), tree.cube), "datacube_"),
        (lambda tree: (tree.root / "specz.parquet").write_bytes(b"PAR1 and no more"), "specz"),
        (lambda tree: (tree.root / "allStar.fits").unlink(), "allStar.fits"),
        (lambda tree: tree.image_path("R").write_bytes(b"SIMPLE  = not"), "_R.fits.fz"),
        (lambda tree: (tree.root / "desi_tiles.csv").write_text("TILEID\n1\n"), "desi_tiles"),
    ],
)
def test_a_file_that_cannot_be_read_is_one_line(tree, spoil, named, capsys):
    assert main(["build", "--config", str(tree.config), "-q"]) == 0
    spoil(tree)
    capsys.readouterr()
    assert main(["check", str(tree.cube), "--config", str(tree.config)]) == 1
    message = capsys.readouterr().err.strip()
    assert named in message
    assert "\n" not in message


def test_nothing_of_the_build_is_imported():
    forbidden = ("matching", "astrometry", "cutouts", "surveys", "assemble", "pipeline", "schema")
    script = (
        "import sys, splus_hypercube.checking as _\n"
        f"names = {forbidden!r}\n"
        "print(*[n for n in sys.modules if n.startswith('splus_hypercube.')"
        " and n.split('.')[1] in names])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == ""


def test_the_sample_has_every_kind():
    rare = np.zeros(1000, bool)
    rare[777] = True
    strata = {"rare": rare, "none": np.zeros(1000, bool), "common": ~rare}
    for seed in range(5):
        rows = choose_rows(1000, 10, strata, seed)
        assert 777 in rows
        assert len(rows) == 10
        assert np.all(np.diff(rows) > 0)
    assert choose_rows(1000, 1, strata, 0).size == 2  # one of each kind comes first
    assert choose_rows(4, 10, {}, 0).tolist() == [0, 1, 2, 3]
    assert choose_rows(1000, 10, {}, 3).tolist() == choose_rows(1000, 10, {}, 3).tolist()
    assert choose_rows(1000, 10, {}, 3).tolist() != choose_rows(1000, 10, {}, 4).tolist()


@pytest.mark.parametrize(
    ("kind", "found", "expected", "same"),
    [
        (pa.float64(), float(2**60), 2**60 + 1, False),
        (pa.float64(), 3.0, 3, True),
        (pa.float32(), float(np.float32(0.1)), 0.1, True),
        (pa.float32(), float(np.float32(0.1)) * (1 + 1e-6), 0.1, False),
        (pa.float64(), None, float("nan"), True),
        (pa.float64(), 0.0, float("nan"), False),
        (pa.int64(), 2**60 + 1, np.int64(2**60 + 1), True),
        (pa.int64(), 0, None, False),
        (pa.string(), "abc", b"abc  ", True),
        (pa.string(), None, "  ", True),
        (pa.string(), "12.5", 12.5, True),
        (pa.list_(pa.float32()), [], None, False),
        (pa.list_(pa.int64()), [1, 2], [1, 2, 3], False),
        (pa.list_(pa.float32(), 4), [1.0, 2.0, 3.0, 4.0], np.array([[1, 2], [3, 4.0]]), True),
        (pa.list_(pa.float64(), 2), [1.0, -1.0], np.complex128(1 - 1j), True),
        (pa.bool_(), True, np.True_, True),
        (pa.float64(), 359.9999999, Near(0.0, 1e-6, 360.0), True),
        (pa.float64(), None, Near(0.0, 1e-6), False),
        (pa.int32(), 3, Between(2, 3), True),
        (pa.int32(), None, Between(0, 3), False),
    ],
)
def test_equal_and_unequal_values(kind, found, expected, same):
    cell = cells(pa.chunked_array([pa.array([found], kind)]))[0]
    wrong = differences({"x": cell}, {"x": expected}, ["x"], {"x": kind})
    assert wrong == ([] if same else ["x"])
