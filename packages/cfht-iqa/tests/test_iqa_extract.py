from __future__ import annotations

import json
import shutil

import numpy as np
import pyarrow.parquet as pq
import pytest
from astropy.io import fits
from iqaframes import PRIMARY, star_field, write_mef
from scipy import ndimage
from scipy.spatial import cKDTree

from cfht_iqa.extraction.sextractor_engine import find_sextractor
from cfht_iqa.ldac import read_tables

needs_sextractor = pytest.mark.skipif(
    not any(map(shutil.which, ("source-extractor", "sex", "sextractor"))),
    reason="SExtractor is not installed",
)
ENGINES = ["sep", pytest.param("sextractor", marks=needs_sextractor)]


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    ("layout", "names"),
    [
        ("fits-ldac", ["LDAC_IMHEAD", "LDAC_OBJECTS"] * 2),
        ("fits-1.0", ["OBJECTS"] * 2),
    ],
)
def test_catalogue_has_one_table_per_ccd(run, exposure, tmp_path, engine, layout, names):
    words = ["--output", tmp_path / "out", "--engine", engine, "--format", layout]
    assert run("extract", exposure, *words)[0] == 0
    with fits.open(tmp_path / "out" / "1234567o.cat.fits") as file:
        assert [hdu.name for hdu in file[1:]] == names
        objects = [hdu for hdu in file if hdu.name.endswith("OBJECTS")]
        assert [hdu.header["CCD"] for hdu in objects] == ["ccd00", "ccd01"]
        for hdu in objects:
            assert set(hdu.columns.names) >= {
                *("X_IMAGE", "Y_IMAGE", "ISO0", "ELONGATION", "ELLIPTICITY"),
                *("CLASS_STAR", "BACKGROUND", "FLAGS"),
            }
            assert 30 < len(hdu.data) < 80
            assert hdu.data["ELLIPTICITY"] == pytest.approx(
                1 - 1 / hdu.data["ELONGATION"], abs=0.01
            )
        kinds = {hdu.header["STARCLAS"] for hdu in objects}
        assert len(kinds) == 1
        assert ("nominal seeing" in kinds.pop()) is (engine == "sep")
        carriers = file[1::2] if layout == "fits-ldac" else objects
        assert [hdu.header["EXPTIME"] for hdu in carriers] == [120.5, 120.5]
        if layout == "fits-ldac":
            cards = fits.Header.fromstring("\n".join(file[1].data["Field Header Card"][0]), "\n")
            assert cards["EXPTIME"] == 120.5
            assert cards["EXTNAME"] == "ccd00"
            assert cards["FILTER"] == "r.MP9601"


@pytest.mark.parametrize("engine", ENGINES)
def test_position_area_and_saturation(run, tmp_path, engine):
    bright = [(100.0, 80.0, 20_000.0), (200.0, 220.0, 90_000.0)]
    image = star_field(5, n=25, bright=bright)
    path = write_mef(tmp_path / "1o.fits", {"ccd00": image})
    assert run("extract", path, "--output", tmp_path, "--engine", engine)[0] == 0
    (table,) = read_tables(tmp_path / "1o.cat.fits", ["X_IMAGE", "Y_IMAGE", "ISO0", "FLAGS"])
    x, y, area, flags = (column.to_numpy() for column in table.rows.columns)
    for (px, py, _), saturated in zip(bright, (False, True), strict=True):
        nearest = np.hypot(x - px - 1, y - py - 1).argmin()
        assert x[nearest] == pytest.approx(px + 1, abs=0.3)
        assert y[nearest] == pytest.approx(py + 1, abs=0.3)
        assert bool(flags[nearest] & 4) is saturated
    # The area is that of the connected pixels over five sigma of the unfiltered image.
    over = image - np.median(image) > 5 * 1.4826 * np.median(np.abs(image - np.median(image)))
    labels, _ = ndimage.label(over, np.ones((3, 3)))
    nearest = np.hypot(x - 101, y - 81).argmin()
    assert area[nearest] == pytest.approx((labels == labels[80, 100]).sum(), rel=0.06)


@needs_sextractor
def test_engines_agree(run, tmp_path):
    path = write_mef(tmp_path / "1o.fits", {"ccd00": star_field(8, (600, 500), n=220)})
    found = {}
    names = ["X_IMAGE", "Y_IMAGE", "ISO0", "ELLIPTICITY", "BACKGROUND", "FLAGS"]
    for engine in ("sep", "sextractor"):
        assert run("extract", path, "--output", tmp_path / engine, "--engine", engine)[0] == 0
        (table,) = read_tables(tmp_path / engine / "1o.cat.fits", names)
        found[engine] = {name: table.rows[name].to_numpy().astype(float) for name in names}
    ours, theirs = found["sep"], found["sextractor"]
    tree = cKDTree(np.c_[theirs["X_IMAGE"], theirs["Y_IMAGE"]])
    distance, index = tree.query(np.c_[ours["X_IMAGE"], ours["Y_IMAGE"]])
    matched = distance < 0.5
    assert matched.mean() > 0.97
    assert matched.sum() / len(theirs["X_IMAGE"]) > 0.97
    for name, tolerance in (("ISO0", 1.0), ("ELLIPTICITY", 0.02), ("BACKGROUND", 1.0)):
        gap = np.abs(ours[name][matched] - theirs[name][index[matched]])
        assert np.median(gap) <= 0.1 * tolerance
        assert np.percentile(gap, 95) <= tolerance
    # SExtractor flags neighbours (bit 1) only where it measures magnitudes.
    same = (ours["FLAGS"][matched].astype(int) & ~1) == (
        theirs["FLAGS"][index[matched]].astype(int) & ~1
    )
    assert same.mean() > 0.97


@pytest.mark.parametrize("suffix", [".fits", ".fits.gz", ".fits.fz"])
def test_name_of_the_catalogue(run, tmp_path, suffix):
    path = write_mef(
        tmp_path / f"77p{suffix}", {"ccd00": star_field(3)}, compressed=suffix.endswith("fz")
    )
    assert run("extract", path, "--output", tmp_path / "out")[0] == 0
    assert [item.name for item in (tmp_path / "out").iterdir()] == ["77p.cat.fits"]
    (table,) = read_tables(tmp_path / "out" / "77p.cat.fits", ["X_IMAGE"])
    assert table.ccd == "ccd00"


def test_primary_image_is_one_ccd(run_json, tmp_path):
    path = tmp_path / "single.fits"
    hdu = fits.PrimaryHDU(star_field(4).astype(np.float32))
    hdu.header.update(PRIMARY)
    hdu.writeto(path)
    status, result = run_json("extract", path, "--output", tmp_path)
    assert status == 0
    assert result["exposures"][0]["exposure"] == "single"
    assert len(list(read_tables(tmp_path / "single.cat.fits", ["X_IMAGE"]))) == 1


@pytest.mark.parametrize("engine", ENGINES)
def test_dead_and_half_dead_ccds_are_named(run_json, tmp_path, engine):
    half = star_field(2)
    half[:, :130] = 0.0
    noise = np.random.default_rng(3).normal(0.0, 3.0, half.shape)
    ccds = {"ccd00": star_field(1), "ccd01": half, "ccd02": np.zeros_like(half), "ccd03": noise}
    path = write_mef(tmp_path / "9o.fits", ccds)
    status, result = run_json("extract", path, "--output", tmp_path, "--engine", engine)
    assert status == 0
    (found,) = result["exposures"]
    assert found["dead"] == ["ccd02", "ccd03"]
    assert found["half_dead"] == ["ccd01"]
    tables = list(read_tables(tmp_path / "9o.cat.fits", ["X_IMAGE"]))
    assert [table.ccd for table in tables] == ["ccd00", "ccd01", "ccd02", "ccd03"]
    assert tables[2].rows.num_rows == tables[3].rows.num_rows == 0
    assert tables[1].rows.num_rows > 10
    assert (tables[1].rows["X_IMAGE"].to_numpy() > 125).all()


@pytest.mark.parametrize("key", ["EXPTIME", "PIXSCAL1"])
def test_missing_key_fails_that_exposure_alone(run, exposure, tmp_path, key):
    rest = {name: value for name, value in PRIMARY.items() if name != key}
    bad = write_mef(tmp_path / "bad.fits", {"ccd00": star_field(3)}, rest)
    out = tmp_path / "out"
    status, _, err = run("extract", bad, "--output", out)
    assert status == 1
    assert key in err
    status, _, _ = run("extract", bad, exposure, "--output", out)
    assert status == 3
    lines = (out / "failures.jsonl").read_text().splitlines()
    assert len(lines) == 1
    assert json.loads(lines[0])["exposure"] == "bad"
    assert key in lines[0]
    assert sorted(item.name for item in out.iterdir()) == ["1234567o.cat.fits", "failures.jsonl"]
    option = {"EXPTIME": "--exptime-s", "PIXSCAL1": "--pixel-scale-arcsec"}[key]
    assert run("extract", bad, "--output", out, option, 0.5)[0] == 0
    assert not (out / "failures.jsonl").exists()


def test_workers_and_a_second_run_change_nothing(run, run_json, exposure, tmp_path):
    assert run("extract", exposure, "--output", tmp_path / "a")[0] == 0
    assert run("extract", exposure, "--output", tmp_path / "b", "--workers", 2)[0] == 0
    first = (tmp_path / "a" / "1234567o.cat.fits").read_bytes()
    assert first == (tmp_path / "b" / "1234567o.cat.fits").read_bytes()
    status, result = run_json("extract", exposure, "--output", tmp_path / "a")
    assert (status, result["exposures"][0]["skipped"]) == (0, True)
    status, _, err = run("extract", exposure, "--output", tmp_path / "a", "--threshold-sigma", 3)
    assert status == 1
    assert "--overwrite" in err
    assert len(err.splitlines()) == 1


def test_truncated_file_is_one_line_and_leaves_nothing(run, tmp_path):
    path = write_mef(tmp_path / "1o.fits.fz", {"ccd00": star_field(3)}, compressed=True)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) * 2 // 3])
    status, _, err = run("extract", path, "--output", tmp_path / "out", "-q")
    assert status == 1
    assert "1o.fits.fz" in err
    assert [item.name for item in (tmp_path / "out").iterdir()] == ["failures.jsonl"]


def test_crashing_sextractor_fails_the_exposure(run, exposure, tmp_path, monkeypatch):
    fake = tmp_path / "bin" / "source-extractor"
    fake.parent.mkdir()
    fake.write_text("#!/bin/sh\nkill -SEGV $$\n")
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", f"{fake.parent}:/bin:/usr/bin")
    assert find_sextractor() == fake
    out = tmp_path / "out"
    status, _, err = run("extract", exposure, "--output", out, "--engine", "sextractor")
    assert status == 1
    assert "SIGSEGV" in err
    assert [item.name for item in out.iterdir()] == ["failures.jsonl"]


def test_absent_sextractor_is_one_line(run, exposure, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    words = ["--output", tmp_path / "out", "--engine", "sextractor"]
    status, _, err = run("extract", exposure, *words)
    assert status == 2
    assert len(err.splitlines()) == 1
    assert "--engine sep" in err


def test_bias_can_be_taken_off(run, exposure, tmp_path):
    assert run("extract", exposure, "--output", tmp_path / "a")[0] == 0
    assert run("extract", exposure, "--output", tmp_path / "b", "--subtract-bias")[0] == 0
    levels = []
    for name in "ab":
        table = next(read_tables(tmp_path / name / "1234567o.cat.fits", ["BACKGROUND"]))
        levels.append(np.median(table.rows["BACKGROUND"].to_numpy()))
    assert levels[0] - levels[1] == pytest.approx(1000.0, abs=1.5)


def test_catalogue_columns(run, exposure, tmp_path):
    assert run("extract", exposure, "--output", tmp_path, "--format", "fits-1.0")[0] == 0
    out = tmp_path / "c.parquet"
    assert run("catalogue", tmp_path / "1234567o.cat.fits", "--output", out)[0] == 0
    table = pq.read_table(out)
    assert table.column_names == [
        *("exposure", "ccd", "x_image", "y_image", "iso0", "elongation", "ellipticity"),
        *("class_star", "background", "flags", "exptime_s", "filter", "runid"),
    ]
    assert str(table.schema.field("flags").type).startswith("int")
    row = table.slice(0, 1).to_pylist()[0]
    assert (row["exposure"], row["ccd"], row["exptime_s"]) == ("1234567o", "ccd00", 120.5)
    assert (row["filter"], row["runid"]) == ("r.MP9601", "03BQ99")


def test_ldac_of_another_program(run, tmp_path):
    """ISOAREA_IMAGE for ISO0, EXPTIME in one string of all cards, tables known by EXTNAME."""
    header = fits.Header([("EXTNAME", "ccd07"), ("EXPTIME", 33.25), ("FILTER", "u.MP9301")])
    text = header.tostring(sep="", endcard=True, padding=False)
    cards = fits.Column("Field Header Card", f"{len(text)}A", array=[text])
    columns = [
        fits.Column("X_IMAGE", "E", array=[10.0, 20.0]),
        fits.Column("Y_IMAGE", "E", array=[11.0, 21.0]),
        fits.Column("ISOAREA_IMAGE", "J", array=[5, 9]),
        fits.Column("ELONGATION", "E", array=[1.0, 2.0]),
        fits.Column("FLAGS", "I", array=[0, 3]),
    ]
    units = [
        fits.PrimaryHDU(),
        fits.BinTableHDU.from_columns([fits.Column("WHAT", "J", array=[1])], name="OTHER"),
        fits.BinTableHDU.from_columns([cards], name="LDAC_IMHEAD"),
        fits.BinTableHDU.from_columns(columns, name="LDAC_OBJECTS"),
    ]
    path = tmp_path / "44o.ldac"
    fits.HDUList(units).writeto(path)
    assert run("catalogue", path, "--output", tmp_path / "c.parquet")[0] == 0
    table = pq.read_table(tmp_path / "c.parquet").to_pydict()
    assert table["exposure"] == ["44o", "44o"]
    assert table["ccd"] == ["ccd07", "ccd07"]
    assert table["iso0"] == [5, 9]
    assert table["exptime_s"] == [33.25, 33.25]
    assert table["ellipticity"] == [0.0, 0.5]
    assert table["class_star"] == [None, None]


def test_ascii_head(run, tmp_path):
    lines = [
        "#   1 X_IMAGE   Object position along x   [pixel]",
        "#   2 Y_IMAGE   Object position along y   [pixel]",
        "#   3 ISO0      Isophotal area at level 0 [pixel**2]",
        "#   4 EXT_NUMBER FITS extension number",
        "  10.5 20.5 33 1",
        "  11.5 21.5 44 2",
    ]
    path = tmp_path / "5o.cat"
    path.write_text("\n".join(lines) + "\n")
    status, _, err = run("catalogue", path, "--output", tmp_path / "c.parquet")
    assert (status, "EXPTIME" in err) == (1, True)
    words = ["--output", tmp_path / "c.parquet", "--exptime-s", 60]
    assert run("catalogue", path, *words)[0] == 0
    table = pq.read_table(tmp_path / "c.parquet").to_pydict()
    assert (table["ccd"], table["iso0"]) == (["HDU1", "HDU2"], [33, 44])
    path.write_text("\n".join(lines)[:-8])
    status, _, err = run("catalogue", path, *words, "--overwrite")
    assert (status, "line 6" in err) == (1, True)


def test_damaged_catalogue_among_sound_ones(run, exposure, tmp_path):
    assert run("extract", exposure, "--output", tmp_path)[0] == 0
    sound = tmp_path / "1234567o.cat.fits"
    broken = tmp_path / "2o.cat.fits"
    broken.write_bytes(sound.read_bytes()[: sound.stat().st_size // 2])
    out = tmp_path / "c.parquet"
    assert run("catalogue", sound, broken, "--output", out)[0] == 3
    assert set(pq.read_table(out)["exposure"].to_pylist()) == {"1234567o"}
    assert "2o" in (tmp_path / "failures.jsonl").read_text()
