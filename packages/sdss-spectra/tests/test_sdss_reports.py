"""The report with a model: supplement, release shift, and the mark of synthetic data."""

from __future__ import annotations

import csv

import pytest

from sdss_spectra import pipeline
from sdss_spectra.__main__ import main

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


def rows_of(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


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


def test_learning_curves_of_synthetic_data_say_so(mock, tmp_path, capsys):
    words = ["--epochs", "1", "--input-length", "128", "--no-show-history"]
    curves = tmp_path / "curves.svg"
    assert pipeline.main([str(mock / "dr17"), "--history-plot", str(curves), *words]) == 0
    capsys.readouterr()
    assert "synthetic" in curves.read_text().lower()
