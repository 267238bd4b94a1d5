"""The report with a model: supplement, release shift, and the mark of synthetic data."""

from __future__ import annotations

import json
import shutil

import pytest
from astropy.io import fits
from sdssfiles import rows_of

from astro_common.errors import InputError
from sdss_spectra import pipeline
from sdss_spectra.__main__ import main
from sdss_spectra.reporting import report

SMALL = [
    "--epochs", "1", "--members", "1", "--width", "4", "--depth", "3", "--n-pixels", "256",
    "--loglam-step", "0.0016", "--validation-fraction", "0.2", "--test-fraction", "0.3",
]  # fmt: skip


@pytest.fixture(scope="module")
def mock(tmp_path_factory):
    """Synthetic stars of three classes, others for a second release, and a tiny model."""
    folder = tmp_path_factory.mktemp("mock")
    for name, seed in (("dr17", "1"), ("dr18", "2")):
        words = ["mock", folder / name, "--per-class", "6", "--classes", "AGM", "--seed", seed]
        assert main([str(word) for word in words]) == 0
    assert (
        main(["train", str(folder / "dr17"), "-o", str(folder / "m"), "--seed", "1", *SMALL]) == 0
    )
    return folder


def test_without_another_release_the_page_says_so(mock, tmp_path, run):
    status, out, _ = run("report", mock / "dr17", "-o", tmp_path / "r", "--model", mock / "m")
    assert status == 0
    assert "Figure 5: not drawn" in out
    assert "--shift" in out
    page = (tmp_path / "r" / "index.html").read_text()
    assert "name another with --shift" in page
    assert "These data are synthetic" in page
    assert not list((tmp_path / "r" / "figures").glob("figure5*"))


def test_with_another_release_and_ablations_all_is_there(mock, tmp_path, run):
    table = tmp_path / "ablation.csv"
    table.write_text(
        "experiment,description,accuracy,macro_f1,notes\nBaseline,all steps,0.75,0.5,few\n"
        "No_QC,no bits,,,nothing held out\n"
    )
    status, out, _ = run(
        "report", mock / "dr17", "-o", tmp_path / "r", "--model", mock / "m",
        "--shift", mock / "dr18", "--ablation", table,
    )  # fmt: skip
    assert status == 0
    assert "not drawn" not in out
    report = tmp_path / "r"
    assert {path.name for path in (report / "figures").glob("figure5*")} == {
        "figure5_release_shift.png", "figure5_release_shift.svg",
    }  # fmt: skip
    for part in ("train", "validation", "test"):
        kept = report / "supplement" / "splits" / f"{part}_split.csv"
        assert kept.read_bytes() == (mock / "m" / f"{part}_split.csv").read_bytes()
    kept = rows_of(report / "supplement" / "ablation_studies.csv")
    assert kept == rows_of(table)
    assert "Ablation" in (report / "index.html").read_text()


@pytest.mark.parametrize(
    ("option", "content", "said"),
    [
        ("--model", None, "model.json"),
        ("--shift", None, "no such file or folder"),
        ("--example", None, "cannot be read"),
        ("--ablation", None, "cannot be read"),
        ("--ablation", "experiment,accuracy\nBaseline,0.9\n", "no such table"),
        ("--ablation", "experiment,description,accuracy,macro_f1,notes\na,b,high,0.1,c\n", "high"),
    ],
)
def test_a_wrong_report_leaves_nothing(mock, tmp_path, run, option, content, said):
    given = tmp_path / "given"
    if content is not None:
        given.write_text(content)
    status, out, err = run("report", mock / "dr17", "-o", tmp_path / "r", option, given)
    assert status == 1
    assert out == ""
    assert said in err
    assert err.count("\n") == 1
    assert not (tmp_path / "r").exists()


def test_a_page_never_lies_beside_the_tables_of_another(mock, tmp_path, run, monkeypatch):
    def fail(*_, **__):
        raise InputError("release", "it cannot be read")

    (tmp_path / "r").mkdir()
    (tmp_path / "r" / "index.html").write_text("the page of before")
    monkeypatch.setattr(report, "draw_model", fail)
    assert run("report", mock / "dr17", "-o", tmp_path / "r", "--overwrite")[0] == 1
    assert (tmp_path / "r" / "tables" / "metadata.csv").exists()
    assert not (tmp_path / "r" / "index.html").exists()


def test_learning_curves_of_synthetic_data_say_so(mock, tmp_path, capsys):
    words = ["--epochs", "1", "--input-length", "128", "--no-show-history"]
    curves = tmp_path / "curves.svg"
    assert pipeline.main([str(mock / "dr17"), "--history-plot", str(curves), *words]) == 0
    capsys.readouterr()
    assert "synthetic" in curves.read_text().lower()


def test_releases_in_folders_of_one_name_are_told_apart(mock, tmp_path, run):
    shutil.copytree(mock / "dr18", tmp_path / "older" / "dr17")
    status, _, _ = run(
        "report", mock / "dr17", "-o", tmp_path / "r", "--model", mock / "m",
        "--shift", tmp_path / "older" / "dr17",
    )  # fmt: skip
    assert status == 0
    told = json.loads((tmp_path / "r" / "evaluation.json").read_text())
    assert len(told) == 2
    assert {name.split("/")[-1] for name in told} == {"dr17"}
    assert (tmp_path / "r" / "figures" / "figure5_release_shift.png").exists()


def test_a_damaged_history_is_one_clear_line(mock, tmp_path, run):
    shutil.copytree(mock / "m", tmp_path / "m")
    (tmp_path / "m" / "history.csv").write_text("member,epoch,loss\n0,one,0.5\n")
    status, _, err = run("report", mock / "dr17", "-o", tmp_path / "r", "--model", tmp_path / "m")
    assert status == 1
    assert "history.csv" in err


def test_releases_are_told_by_the_same_identifiers_as_in_training(mock, tmp_path, run):
    shutil.copytree(mock / "dr17", tmp_path / "d")
    for number, path in enumerate(sorted((tmp_path / "d").rglob("*.fits"))):
        with fits.open(path, mode="update") as file:
            file[0].header["RUN2D"] = file[2].data["RUN2D"][0] = ["v5_13_2", "v6_0_4"][number % 2]
    strip = ["--catalog-strip-prefix", "spec-"]
    words = ["train", tmp_path / "d", "-o", tmp_path / "m", *strip, *SMALL, "--test-fraction", 0.7]
    assert run(*words, "--validation-fraction", 0)[0] == 0
    status, out, _ = run(
        "report", tmp_path / "d", "-o", tmp_path / "r", "--model", tmp_path / "m", *strip
    )
    assert status == 0
    assert "Figure 5" not in out
    assert {"DR17", "DR18"} < set(json.loads((tmp_path / "r" / "evaluation.json").read_text()))
