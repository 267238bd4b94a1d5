"""Shards made of light curves."""

from __future__ import annotations

import csv
import json
import logging
import shutil
import subprocess
import sys

import numpy as np
import pytest
from astropy.io import fits

import scone_io
from astro_common.errors import ConfigurationError
from scone_io.extinction import ccm89
from scone_io.gaussian_process import GaussianProcess, starting_kernel
from scone_io.grid import PRESETS, GridSpec, read_grid
from scone_io.light_curves import LightCurve, band_wavelengths, peak_estimate, trigger_mjd
from scone_io.making import HeatmapError, Recipe, make_heatmap
from scone_io.mock import write_mock_light_curves
from scone_io.snana import open_head, phot_path, read_light_curves

BANDS = {"g": 4826.85, "r": 6223.24, "i": 7545.98, "z": 8590.90}


@pytest.fixture(scope="module")
def curves(tmp_path_factory):
    folder = tmp_path_factory.mktemp("curves")
    write_mock_light_curves(folder, num_events=12, seed=3)
    return folder


@pytest.fixture
def head(curves, tmp_path):
    shutil.copytree(curves, tmp_path / "lc")
    return tmp_path / "lc" / "MOCK_HEAD.FITS"


def change(head, function):
    """Rewrite HEAD and PHOT after a function has changed their tables."""
    phot = phot_path(head)
    with fits.open(head) as first, fits.open(phot) as second:
        first, second = (fits.HDUList([hdu.copy() for hdu in file]) for file in (first, second))
    function(first, second)
    first.writeto(head, overwrite=True)
    second.writeto(phot, overwrite=True)


def test_records_come_in_the_order_of_head(run, head, tmp_path):
    out = tmp_path / "out.tfrecord"
    status, text, _ = run("heatmaps", head, "-o", out, "--json")
    assert status == 0
    assert json.loads(text)["records"] == 12
    table = fits.getdata(head)
    events = list(scone_io.open(out))
    assert [event.snid for event in events] == table["SNID"].tolist()
    assert [event.label for event in events] == (table["SIM_TYPE_INDEX"] == 1).astype(int).tolist()
    assert [event.z for event in events] == table["REDSHIFT_FINAL"].tolist()
    notes = read_grid(tmp_path / "out.tfrecord.grid.json").notes
    assert notes["synthetic"] is True
    assert notes["kernel_optimized"] is True
    # Light curves peak where the truth has it, to what the observations tell.
    days = [PRESETS["scone"].times[event.flux.sum(axis=0).argmax()] for event in events]
    assert abs(np.median(days)) < 6.0
    assert not (tmp_path / "failures.jsonl").exists()
    assert not (tmp_path / "out.tfrecord.snids.csv").exists()
    assert run("heatmaps", head, "-o", out)[0] == 1


def test_number_of_processes_changes_no_byte(head, tmp_path):
    made = []
    for workers in ("1", "2"):
        out = tmp_path / f"{workers}.tfrecord"
        words = ["heatmaps", head, "-o", out, "--workers", workers, "-q"]
        subprocess.run([sys.executable, "-m", "scone_io", *map(str, words)], check=True)
        made.append(out.read_bytes())
    assert made[0] == made[1]


def test_a_cluster_makes_the_same_heatmaps(run, head, tmp_path):
    distributed = pytest.importorskip("distributed")
    cluster = distributed.LocalCluster(
        n_workers=1,
        threads_per_worker=2,
        processes=True,
        dashboard_address=":0",
        silence_logs=logging.CRITICAL,
    )
    with cluster:
        words = ("--scheduler", cluster.scheduler_address, "-q")
        assert run("heatmaps", head, "-o", tmp_path / "there.tfrecord", *words)[0] == 0
    assert run("heatmaps", head, "-o", tmp_path / "here.tfrecord", "-q")[0] == 0
    there, here = (scone_io.open(tmp_path / f"{name}.tfrecord") for name in ("there", "here"))
    assert there.snids.tolist() == here.snids.tolist()
    # A cluster's processes have other numbers of threads, on which the last digits depend.
    for first, second in zip(there, here, strict=True):
        assert np.allclose(first.image, second.image, rtol=1e-6, atol=1e-6 * second.image.max())


def test_heatmap_is_the_process_of_the_padded_observations(head):
    curve = next(iter(read_light_curves(open_head(head))))
    grid = PRESETS["legacy"]
    recipe = Recipe(grid, BANDS, optimize=False)
    image = make_heatmap(curve, recipe)
    mjd = np.append(curve.mjd, [curve.mjd.min() - 100, curve.mjd.max() + 100])
    wavelength = np.append([BANDS[band] for band in curve.band], [BANDS["r"]] * 2)
    flux, error = np.append(curve.flux, [0, 0]), np.append(curve.flux_err, [0.1, 0.1])
    process = GaussianProcess(mjd, wavelength, flux, error)
    kernel = starting_kernel(curve.flux, curve.flux_err)
    mean, variance = process.predict(kernel, curve.peak_mjd + grid.times, grid.wavelengths)
    factor = 10 ** (0.4 * 3.1 * curve.mwebv * ccm89(grid.wavelengths))[:, None]
    assert np.allclose(image[..., 0], mean * factor, rtol=1e-10)
    assert np.allclose(image[..., 1], np.sqrt(variance) * factor, rtol=1e-10)
    bare = make_heatmap(curve, Recipe(grid, BANDS, optimize=False, extinction="none"))
    assert np.allclose(bare[..., 0], mean, rtol=1e-10)
    published = make_heatmap(curve, Recipe(grid, BANDS, optimize=False, extinction="scone"))
    added = 3.1 * curve.mwebv * ccm89(grid.wavelengths)[:, None]
    assert np.allclose(published[..., 0], mean + added)
    assert np.array_equal(published[..., 1], bare[..., 1])


def test_an_event_that_fails_is_listed_and_not_lost(run, head, tmp_path):
    def spoil(head_file, phot_file):
        rows = phot_file[1].data
        start, stop = head_file[1].data["PTROBS_MIN"][4] - 1, head_file[1].data["PTROBS_MAX"][4]
        rows["BAND"][start:stop] = "MOCK-Q"

    change(head, spoil)
    out = tmp_path / "out.tfrecord"
    status, text, _ = run("heatmaps", head, "-o", out, "--json", "--no-optimize")
    assert status == 3
    snids = fits.getdata(head)["SNID"].tolist()
    report = json.loads(text)
    assert [entry["event"] for entry in report["failed"]] == [str(snids[4])]
    (entry,) = [json.loads(line) for line in (tmp_path / "failures.jsonl").read_text().splitlines()]
    assert entry["event"] == str(snids[4])
    assert "bands Q" in entry["reason"]
    assert [event.snid for event in scone_io.open(out)] == snids[:4] + snids[5:]
    bands = ",".join(f"{band}={value}" for band, value in {**BANDS, "Q": 5000.0}.items())
    words = ["--band-wavelengths", bands, "--overwrite", "--no-optimize"]
    assert run("heatmaps", head, "-o", out, *words)[0] == 0
    assert not (tmp_path / "failures.jsonl").exists()


def test_names_that_are_no_numbers_get_their_row(run, head, tmp_path):
    def rename(head_file, phot_file):
        table = head_file[1]
        names = [f"{number}" if number % 3 else f"SN{number}a" for number in range(500, 512)]
        columns = [
            fits.Column("SNID", "16A", array=names) if column.name == "SNID" else column
            for column in table.columns
        ]
        head_file[1] = fits.BinTableHDU.from_columns(columns)

    change(head, rename)
    out = tmp_path / "out.tfrecord"
    assert run("heatmaps", head, "-o", out, "--no-optimize")[0] == 0
    found = [event.snid for event in scone_io.open(out)]
    named = {row: f"SN{500 + row}a" for row in range(12) if (500 + row) % 3 == 0}
    assert found == [row if row in named else 500 + row for row in range(12)]
    with (tmp_path / "out.tfrecord.snids.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert {int(row["id"]): row["snid"] for row in rows} == named


def test_pointers_of_an_older_file_are_not_believed(run, head, tmp_path, caplog):
    def shift(head_file, phot_file):
        head_file[1].data["PTROBS_MIN"][5:] += 7
        head_file[1].data["PTROBS_MAX"][5:] += 7

    expected = [curve.mjd for curve in read_light_curves(open_head(head))]
    change(head, shift)
    found = [curve.mjd for curve in read_light_curves(open_head(head))]
    assert "taking the ends" in caplog.text
    assert all(map(np.array_equal, found, expected))

    def drop_separator(head_file, phot_file):
        rows = phot_file[1].data
        rows["MJD"][head_file[1].data["PTROBS_MAX"][0]] = 59000.0

    change(head, drop_separator)
    assert run("heatmaps", head, "-o", tmp_path / "x.tfrecord", "--no-optimize", "-q")[0] == 3
    assert "are not one light curve" in (tmp_path / "failures.jsonl").read_text()


def test_unknown_surveys_and_wrong_options_are_usage_errors(run, head, tmp_path):
    out = tmp_path / "out.tfrecord"

    def rename(head_file, phot_file):
        head_file[0].header["SURVEY"] = "MYSURVEY"

    for words in (
        ["--band-wavelengths", "g=x"],
        ["--band-wavelengths", "g=4800"],
        ["--grid", "early"],
        ["--days-after-trigger", "nan"],
        ["--ia-types", "Ia"],
        ["--scone-extinction", "--no-extinction"],
    ):
        try:
            status = run("heatmaps", head, "-o", out, *words)[0]
        except SystemExit as stop:
            status = stop.code
        assert status == 2, words
        assert not out.exists()
    change(head, rename)
    status, _, err = run("heatmaps", head, "-o", out)
    assert status == 2
    assert "MYSURVEY" in err
    phot_path(head).unlink()
    assert run("heatmaps", head, "-o", out, "--survey", "LSST")[0] == 1
    with pytest.raises(ConfigurationError):
        phot_path(tmp_path / "curves.fits")


@pytest.mark.filterwarnings("ignore::astropy.io.fits.verify.VerifyWarning")
def test_zero_point_of_the_file_is_brought_to_that_of_the_grid(run, head, tmp_path):
    first, second = tmp_path / "a.tfrecord", tmp_path / "b.tfrecord"
    assert run("heatmaps", head, "-o", first, "--no-optimize")[0] == 0

    def brighten(head_file, phot_file):
        head_file[0].header["ZP_FLUXCAL"] = 25.0
        phot_file[1].data["FLUXCAL"] /= 10.0
        phot_file[1].data["FLUXCALERR"] /= 10.0

    change(head, brighten)
    assert run("heatmaps", head, "-o", second, "--no-optimize")[0] == 0
    for ours, other in zip(scone_io.open(first), scone_io.open(second), strict=True):
        assert np.allclose(ours.image, other.image, rtol=1e-4, atol=1e-3)


def light_curve(mjd, flux, error, **changes):
    values = {"snid": "1", "row": 0, "band": np.array(["r"] * len(mjd)), "peak_mjd": None}
    arrays = {"mjd": np.array(mjd, float), "flux": np.array(flux, float)}
    return LightCurve(**{**values, **arrays, "flux_err": np.array(error, float), **changes})


def test_trigger_is_the_second_detection_a_day_later():
    curve = light_curve([1, 2, 2.5, 4, 5], [1, 60, 70, 40, 90], [10] * 5)
    assert trigger_mjd(curve) == 5.0
    assert trigger_mjd(light_curve([1, 1.5], [90, 90], [10, 10])) is None
    weights = np.array([36.0, 49.0, 16.0, 81.0])
    expected = np.sum(np.array([2, 2.5, 4, 5]) * weights) / weights.sum()
    assert peak_estimate(curve) == pytest.approx(expected)
    assert peak_estimate(light_curve([1.0], [1.0], [10.0])) is None


def test_early_heatmaps_see_nothing_that_comes_later():
    grid = GridSpec(reference="trigger")
    recipe = Recipe(grid, BANDS, optimize=False, days_after_trigger=3.0)
    mjd, error = np.arange(0.0, 40.0, 2.0), np.full(20, 5.0)
    flux = np.where(mjd < 10, 0.0, 100.0)
    early = make_heatmap(light_curve(mjd, flux, error), recipe)
    changed = np.where(mjd > 15.5, -500.0, flux)
    assert np.array_equal(make_heatmap(light_curve(mjd, changed, error), recipe), early)
    with pytest.raises(HeatmapError, match="no trigger"):
        make_heatmap(light_curve(mjd, 0 * flux, error), recipe)
    with pytest.raises(HeatmapError, match="PEAKMJD"):
        make_heatmap(light_curve(mjd, 0 * flux, error), Recipe(PRESETS["scone"], BANDS))
    with pytest.raises(HeatmapError, match="1 usable"):
        make_heatmap(light_curve([1.0], [90.0], [1.0]), Recipe(PRESETS["scone"], BANDS))


def test_observations_marked_as_bad_are_left_out():
    mjd, flux, error = np.arange(10.0), np.full(10, 50.0), np.full(10, 3.0)
    recipe = Recipe(PRESETS["scone"], BANDS, optimize=False)
    good = light_curve(mjd, flux, error, peak_mjd=5.0)
    marked = light_curve(
        np.append(mjd, [3.5, 4.5]),
        np.append(flux, [9999.0, np.nan]),
        np.append(error, [-1.0, 3.0]),
        peak_mjd=5.0,
    )
    assert np.array_equal(make_heatmap(good, recipe), make_heatmap(marked, recipe))


def test_csv_pairs_give_the_same_as_fits(run, head, tmp_path):
    table, rows = fits.getdata(head), fits.getdata(phot_path(head))
    with (tmp_path / "X_HEAD.csv").open("w") as file:
        file.write("SNID,PEAKMJD,REDSHIFT_FINAL,REDSHIFT_FINAL_ERR,MWEBV,SIM_TYPE_INDEX\n")
        for row in table:
            values = [row[name].item() for name in file_columns()]
            file.write(",".join(map(repr, values)) + "\n")
    with (tmp_path / "X_PHOT.csv").open("w") as file:
        file.write("SNID,MJD,FLT,FLUXCAL,FLUXCALERR\n")
        for row in table:
            for seen in rows[row["PTROBS_MIN"] - 1 : row["PTROBS_MAX"]]:
                numbers = [seen["FLUXCAL"].item(), seen["FLUXCALERR"].item()]
                band = seen["BAND"].strip()
                file.write(
                    f"{row['SNID']},{seen['MJD'].item()!r},{band},{numbers[0]!r},{numbers[1]!r}\n"
                )
    first, second = tmp_path / "a.tfrecord", tmp_path / "b.tfrecord"
    assert run("heatmaps", head, "-o", first, "--no-optimize")[0] == 0
    words = ["--no-optimize", "--survey", "LSST"]
    assert run("heatmaps", tmp_path / "X_HEAD.csv", "-o", second, *words)[0] == 0
    assert second.read_bytes() == first.read_bytes()
    (tmp_path / "X_PHOT.csv").write_text("SNID\n1\n")
    assert run("heatmaps", tmp_path / "X_HEAD.csv", "-o", second, *words, "--overwrite")[0] == 1


def file_columns():
    return (
        "SNID",
        "PEAKMJD",
        "REDSHIFT_FINAL",
        "REDSHIFT_FINAL_ERR",
        "MWEBV",
        "SIM_TYPE_INDEX",
    )


def test_wavelengths_are_parsed():
    assert band_wavelengths("g=4866.46,r=6214.62") == {"g": 4866.46, "r": 6214.62}
    for text in ("", "g", "g=0", "gr=5000", "g=inf", "g=5000,"):
        with pytest.raises(ConfigurationError):
            band_wavelengths(text)
