from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pyarrow.parquet as pq
import pytest
from astropy.io import fits
from sdssfiles import rows_of, write_image, write_spec

from sdss_spectra import pipeline
from sdss_spectra.dataset import load_dataset
from sdss_spectra.preprocessing.steps import Preprocessing
from sdss_spectra.readers import read_spectrum
from sdss_spectra.reporting import spectrum_figure


def test_help_and_version_are_there():
    for words in (["--help"], ["--version"], ["train", "--help"], ["pipeline", "--help"]):
        done = subprocess.run(
            [sys.executable, "-X", "importtime", "-m", "sdss_spectra", *words],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0
        assert "sdss-spectra" in done.stdout
        for heavy in ("numpy", "tensorflow", "astropy.io", "pyarrow"):
            assert f"| {heavy}\n" not in done.stderr.replace("  ", "")


def test_the_store_has_rows_and_its_grid(classes, tmp_path, run):
    status, _, _ = run(
        "preprocess", classes, "-o", tmp_path / "s.parquet", "--loglam-start", 3.6, "--loglam-step",
        1e-4, "--n-pixels", 1000, "--preproc-log", tmp_path / "log.csv",
    )  # fmt: skip
    assert status == 0
    table = pq.read_table(tmp_path / "s.parquet")
    assert table.column_names == ["spec_id", "source_path", "flux", "ivar", "mask"]
    assert len(table) == 24
    metadata = pq.read_schema(tmp_path / "s.parquet").metadata
    assert float(metadata[b"loglam_start"]) == 3.6
    assert float(metadata[b"loglam_step"]) == 1e-4
    assert int(metadata[b"n_pixels"]) == 1000
    row = table.to_pylist()[0]
    assert len(row["flux"]) == len(row["ivar"]) == len(row["mask"]) == 1000
    assert np.median(row["flux"]) == pytest.approx(1.0, abs=0.05)
    log = rows_of(tmp_path / "log.csv")
    names = [r["step_name"] for r in log if r["spec_id"] == row["spec_id"]]
    assert names[0] == "load_spectrum"
    assert "continuum_normalise" in names
    assert [r["step_order"] for r in log[:3]] == ["1", "2", "3"]
    assert log[0]["timestamp"].endswith("+00:00")


def test_hdf5_holds_the_same(classes, tmp_path, run):
    import h5py

    run("preprocess", classes, "-o", tmp_path / "s.parquet", "--n-pixels", 300)
    run("preprocess", classes, "-o", tmp_path / "s.h5", "--n-pixels", 300)
    table = pq.read_table(tmp_path / "s.parquet")
    with h5py.File(tmp_path / "s.h5") as file:
        assert file["flux"].shape == (24, 300)
        assert np.array_equal(file["flux"][3], np.float32(table["flux"][3].as_py()))
        assert file["spec_id"].asstr()[3] == table["spec_id"][3].as_py()


def test_hashes_do_not_depend_on_names_or_workers(tmp_path, run):
    write_spec(tmp_path / "one" / "a.fits", seed=5)
    write_spec(tmp_path / "two" / "other.fits", seed=5)
    write_spec(tmp_path / "two" / "x.fits", seed=6)
    hashes = []
    for folder, workers in (("one", 1), ("two", 2)):
        log = tmp_path / f"{folder}.csv"
        run(
            "preprocess", tmp_path / folder, "-o", tmp_path / f"{folder}.parquet", "--preproc-log",
            log, "--workers", workers, "--created-at", "2024-01-01T00:00:00Z",
        )  # fmt: skip
        rows = [row for row in rows_of(log) if row["spec_id"] in ("a", "other")]
        hashes.append([row["result_hash"] for row in rows])
    assert hashes[0] == hashes[1]


def test_stores_are_the_same_bytes_for_any_number_of_workers(classes, tmp_path, run):
    for suffix in ("parquet", "h5"):
        for workers in (1, 2):
            run("preprocess", classes, "-o", tmp_path / f"{workers}.{suffix}", "--workers", workers)
        assert (tmp_path / f"1.{suffix}").read_bytes() == (tmp_path / f"2.{suffix}").read_bytes()


def test_lines_of_a_spectrum(tmp_path, run):
    path = write_spec(tmp_path / "a.fits", temperature=9000, redshift=5e-4)
    status, _, _ = run("lines", path, "-o", tmp_path / "l.csv")
    assert status == 0
    rows = rows_of(tmp_path / "l.csv")
    assert list(rows[0]) == [
        "wavelength_A", "kind", "significance", "ew_A", "ew_err_A", "elem", "transition",
        "lambda_rest_A",
    ]  # fmt: skip
    by_name = {row["transition"]: row for row in rows}
    alpha = by_name["H\u03b1"]
    assert alpha["kind"] == "absorption"
    assert float(alpha["wavelength_A"]) == pytest.approx(6564.6, abs=1.0)
    assert float(alpha["ew_A"]) == pytest.approx(0.5 * 6 * np.sqrt(2 * np.pi), rel=0.1)
    assert 0 < float(alpha["ew_err_A"]) < 1


@pytest.mark.parametrize("verb", ["lines", "plot"])
@pytest.mark.parametrize("change", [(b"'loglam  '", b"'loglamx '"), None])
def test_a_spectrum_that_no_reader_foresaw_is_one_clear_line(tmp_path, run, verb, change):
    path = write_spec(tmp_path / "a.fits", n_pixels=3000 if change else 1)
    if change:
        path.write_bytes(path.read_bytes().replace(*change))
    status, out, err = run(verb, path, "-o", tmp_path / ("l.csv" if verb == "lines" else "l.png"))
    assert (status, out) == (1, "")
    assert err.startswith(f"sdss-spectra: {path}: ")
    assert err.count("\n") == 1


@pytest.mark.parametrize("start", [80.0, 400_000.0])
def test_lines_beyond_any_grid_are_one_clear_line(tmp_path, run, start):
    path = write_image(tmp_path / "x.fits", {"CRVAL1": start, "CD1_1": start / 100})
    status, _, err = run("lines", path, "-o", tmp_path / "l.csv")
    assert status == 1
    assert err.startswith(f"sdss-spectra: {path}: wavelengths from")
    assert err.count("\n") == 1


@pytest.mark.parametrize("suffix", ["png", "svg"])
def test_plots_are_drawn(spec, tmp_path, run, suffix):
    assert run("plot", spec, "-o", tmp_path / f"p.{suffix}")[0] == 0
    assert (tmp_path / f"p.{suffix}").stat().st_size > 5000


@pytest.mark.parametrize("factor", [1e-14, 1.0, 1e6])
def test_a_plot_fills_its_axes_whatever_the_unit(spec, tmp_path, monkeypatch, factor):
    seen = []

    def keep(made, path, **options):
        seen.extend(axis.get_ylim() for axis in made.axes)

    monkeypatch.setattr(spectrum_figure, "save_figure", keep)
    spectrum = read_spectrum(spec)
    scaled = replace(spectrum, flux=spectrum.flux * factor, ivar=spectrum.ivar / factor**2)
    spectrum_figure.draw_spectrum(scaled, tmp_path / "p.png")
    (low, high), _ = seen
    inside = scaled.flux[scaled.ivar > 0]
    assert np.ptp(inside) <= 1.2 * (high - low) <= 1.5 * np.ptp(inside)


@pytest.mark.parametrize(
    ("unit", "shown"),
    [
        ("1E-17 erg/cm^2/s/Ang", "10^{-17}"),
        ("erg /s /cm2 /angstroms", "Flux (erg s$^{-1}$ cm$^{-2}$ Å$^{-1}$)"),
        ("ADU", "Flux (ADU)"),
        (None, "unit not given"),
    ],
)
def test_units_of_the_flux_are_shown(unit, shown):
    assert shown in spectrum_figure.unit_label(unit)


def test_mock_files_have_the_layout_of_dr17_and_say_that_they_are_synthetic(tmp_path, run):
    status, _, _ = run("mock", tmp_path / "m", "--per-class", 2, "--classes", "AM", "--seed", 1)
    assert status == 0
    truth = json.loads((tmp_path / "m" / "truth.json").read_text())
    assert truth["synthetic"] is True
    paths = sorted((tmp_path / "m").rglob("*.fits"))
    assert len(paths) == 4
    with fits.open(paths[0]) as file:
        assert [hdu.name for hdu in file] == ["PRIMARY", "COADD", "SPECOBJ", "SPZLINE"]
        assert file[0].header["SYNTHET"] is True
        assert file[1].columns.names == [
            "flux", "loglam", "ivar", "and_mask", "or_mask", "wdisp", "sky", "model",
        ]  # fmt: skip
    spectrum = read_spectrum(paths[0])
    star = truth["stars"][paths[0].stem]
    assert spectrum.cards["Z"] * 299792.458 == pytest.approx(star["velocity_kms"], rel=1e-5)
    assert spectrum.signal_to_noise() == pytest.approx(star["snr"], rel=0.4)


def test_mock_is_the_same_for_the_same_seed(tmp_path, run):
    for name in ("a", "b"):
        run("mock", tmp_path / name, "--per-class", 1, "--classes", "G", "--seed", 7)
    first, second = (next((tmp_path / name).rglob("*.fits")).read_bytes() for name in ("a", "b"))
    assert first == second


def test_split_writes_three_tables(classes, tmp_path, run):
    status, out, _ = run("split", classes, "-o", tmp_path / "s", "--seed", 3, "--json")
    assert status == 0
    counts = json.loads(out)
    total = 0
    for part in ("train", "validation", "test"):
        rows = rows_of(tmp_path / "s" / f"{part}_split.csv")
        total += len(rows)
        assert counts[part] == len(rows)
        assert list(rows[0]) == [
            "spec_id", "seed", "leakage_group", "class", "signal_to_noise", "wavelength_min_A",
            "wavelength_max_A", "data_release",
        ]  # fmt: skip
        assert {row["seed"] for row in rows} == {"3"}
    assert total == 24


def test_the_pipeline_does_it_all(classes, tmp_path, capsys):
    status = pipeline.main(
        [
            str(classes), "--epochs", "1", "--input-length", "256", "--no-show-history",
            "--history-plot", str(tmp_path / "h.png"), "--metadata-table", str(tmp_path / "m.csv"),
            "--spectra-manifest", str(tmp_path / "n.parquet"), "--survey", "SDSS-IV",
            "--label-table", str(tmp_path / "l.csv"), "--preproc-log", str(tmp_path / "p.csv"),
            "--plot-example", str(next(classes.rglob("*.fits"))), "-o", str(tmp_path / "model"),
            "--data-release", "DR17", "--retrieval-date", "2024-01-15",
            "--survey-wavelength-calibrated", "--no-survey-flux-calibrated",
            "--calibration-reference", "one", "--calibration-reference", "two",
        ]
    )  # fmt: skip
    captured = capsys.readouterr()
    assert status == 0
    assert captured.out.splitlines()[:4] == ["B: 6", "A: 6", "F: 6", "K: 6"]
    assert "5000" in captured.err
    assert "validation accuracy" in captured.out
    (row, *_) = rows_of(tmp_path / "m.csv")
    assert row["data_release"] == "DR17"
    assert row["survey_wavelength_calibrated"] == "true"
    assert row["survey_flux_calibrated"] == "false"
    assert row["calibration_references"] == "one; two"
    assert pq.read_table(tmp_path / "n.parquet")["survey"][0].as_py() == "SDSS-IV"
    assert len(rows_of(tmp_path / "p.csv")) == 7 * 24
    assert (tmp_path / "h.png").stat().st_size > 5000
    assert list(tmp_path.glob("*-lines.png"))
    assert (tmp_path / "model" / "model.json").exists()


def test_an_example_that_is_missing_is_found_before_the_training(classes, tmp_path, capsys):
    words = [str(classes), "--plot-example", str(tmp_path / "none.fits"), "-o", str(tmp_path / "m")]
    assert pipeline.main([*words, "--metadata-table", str(tmp_path / "m.csv")]) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "none.fits" in captured.err
    assert captured.err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_numbers_too_large_for_the_model_are_bad_pixels(tmp_path):
    path = write_spec(tmp_path / "d" / "A" / "a.fits")
    with fits.open(path) as file:
        table = file[1].data
        flux = table["flux"].astype(float)
        flux[1000] = 1e60
        columns = [fits.Column("flux", "D", array=flux)]
        columns += [fits.Column(n, "D", array=table[n]) for n in ("loglam", "ivar", "wdisp")]
        file[1] = fits.BinTableHDU.from_columns(columns, name="COADD")
        file.writeto(tmp_path / "d" / "A" / "b.fits")
    (_, item) = load_dataset(tmp_path / "d", Preprocessing(normalise=False)).items
    assert np.isfinite(item.flux).all()
    assert np.isfinite(item.ivar).all()
    assert (item.flux[item.mask] == 0).all()
    assert (item.ivar[item.mask] == 0).all()


def test_the_report_without_a_model_says_what_is_missing(classes, tmp_path, run):
    status, out, _ = run("report", classes, "-o", tmp_path / "r", "--created-at", "2024-01-01")
    assert status == 0
    assert "Figure 4: not drawn" in out
    page = (tmp_path / "r" / "index.html").read_text()
    for title in ("Table A", "Table B", "Table C", "Table D", "Figure 1", "Figure 2", "Figure 3"):
        assert title in page
    assert "http" not in page.replace("http://www.w3.org", "")
    overview = rows_of(tmp_path / "r" / "tables" / "table_a_overview.csv")
    assert [row["count"] for row in overview] == ["6"] * 4


def test_ablations_are_run(classes, tmp_path, run):
    status, _, _ = run(
        "ablate", classes, "-o", tmp_path / "supplement" / "ablation_studies.csv", "--experiments",
        "Baseline,Wavelet", "--epochs", 1, "--members", 1, "--width", 4, "--depth", 3,
        "--n-pixels", 256, "--loglam-step", 0.0016, "--test-fraction", 0.3,
    )  # fmt: skip
    assert status == 0
    rows = rows_of(tmp_path / "supplement" / "ablation_studies.csv")
    assert [row["experiment"] for row in rows] == ["Baseline", "Wavelet"]
    assert list(rows[0]) == ["experiment", "description", "accuracy", "macro_f1", "notes"]
    assert 0 <= float(rows[0]["accuracy"]) <= 1


@pytest.mark.parametrize(
    "words",
    [
        ["preprocess", "DATA", "-o", "x.txt"],
        ["preprocess", "DATA", "-o", "x.parquet", "--loglam-step", "-1"],
        ["preprocess", "DATA", "-o", "x.parquet", "--and-mask-bits", "NONSENSE"],
        ["metadata", "DATA", "-o", "x.txt"],
        ["metadata", "DATA", "-o", "x.csv", "--retrieval-date", "yesterday"],
        ["manifest", "DATA", "-o", "x.csv", "--created-at", "soon"],
        ["split", "DATA", "-o", "s", "--test-fraction", "1.5"],
        ["train", "DATA", "-o", "t", "--kernels", "4,x"],
        ["train", "DATA", "-o", "t", "--dropout", "2"],
        ["pipeline", "DATA", "--input-length", "8"],
        ["pipeline", "DATA", "--input-length", "5000000"],
        ["pipeline", "DATA", "--plot-output", "x.png"],
        ["pipeline", "DATA", "--label-table", "x.csv", "--metadata-table", "./x.csv"],
        ["pipeline", "DATA", "--manifest-created-at", "soon"],
        ["preprocess", "DATA", "-o", "x.parquet", "--preproc-log", "x.parquet"],
        ["plot", "DATA", "-o", "x.jpeg"],
    ],
)
def test_wrong_options_end_with_2(classes, tmp_path, run, words, monkeypatch):
    monkeypatch.chdir(tmp_path)
    status, out, err = run(*(str(classes) if word == "DATA" else word for word in words))
    assert status == 2
    assert out == ""
    assert err.count("\n") == 1
    assert not list(tmp_path.glob("*.parquet"))
