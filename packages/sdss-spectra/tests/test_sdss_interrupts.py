"""Ctrl-C from outside: status 130, one line, nothing half-written."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import numpy as np
import pytest
from sdssfiles import write_spec

from sdss_spectra.model.architecture import Network
from sdss_spectra.model.bins import Bins
from sdss_spectra.model.classifier import Model
from sdss_spectra.model.files import save_model
from sdss_spectra.model.inputs import InputSettings
from sdss_spectra.preprocessing.resample import LogGrid
from sdss_spectra.preprocessing.steps import Preprocessing
from sdss_spectra.splits import COLUMNS, PARTS
from sdss_spectra.tables import write_table

FILES = 4000


@pytest.fixture(scope="module")
def many(tmp_path_factory):
    """Thousands of files, the first of which is damaged: its message says that work has begun."""
    folder = tmp_path_factory.mktemp("many") / "data"
    whole = [
        write_spec(folder / f"{letter}.fits", subclass=f"{letter}5", thing_id=number + 1)
        for number, letter in enumerate("BAFGKM")
    ]
    (folder / "000-damaged.fits").write_bytes(whole[0].read_bytes()[:5000])
    for number in range(FILES):
        os.link(whole[number % len(whole)], folder / f"x-{number:04d}.fits")
    return folder


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """An untrained model of two classes, with empty split tables."""
    folder = tmp_path_factory.mktemp("model")
    random = np.random.default_rng(1)
    network, bins = Network(architecture="cnn", depth=1, width=4, dense_units=8), Bins(("B", "A"))
    norm = [np.ones(4), np.zeros(4), np.zeros(4), np.ones(4)]
    arrays = [random.normal(size=(9, 2, 4)), *norm, random.normal(size=(64 * 4, 8)), np.zeros(8)]
    arrays += [random.normal(size=(8, 20)), np.zeros(20)]
    weights = [[np.asarray(array, np.float32) for array in arrays]]
    preprocessing = Preprocessing(grid=LogGrid(3.55, 0.0016, 256))
    save_model(
        folder, Model(network, InputSettings(), bins, preprocessing, weights), overwrite=False
    )
    for part in PARTS:
        write_table(folder / f"{part}_split.csv", COLUMNS, [], overwrite=False)
    return folder


def interrupted(words, sign, folder, number=signal.SIGINT):
    """Run a command, interrupt it once stderr holds `sign`, and give what it said."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    process = subprocess.Popen(
        [sys.executable, "-m", "sdss_spectra", *map(str, words)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment, cwd=folder,
    )  # fmt: skip
    said = []
    while sign not in "".join(said[-1:]):
        said.append(process.stderr.readline())
        assert said[-1], f"it ended before: {said}"
    process.send_signal(number)
    out, err = process.communicate(timeout=120)
    lines = ["".join(said), err]
    assert process.returncode == 130, lines
    assert err.strip().splitlines()[-1] == "sdss-spectra: interrupted"
    assert "Traceback" not in "".join(lines)
    return out


def left(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize(
    ("verb", "number"),
    [
        ("metadata", signal.SIGINT),
        ("preprocess", signal.SIGTERM),
        ("predict", signal.SIGINT),
        ("evaluate", signal.SIGINT),
    ],
)
def test_interrupted_readers_leave_nothing(many, model, tmp_path, verb, number):
    words = {
        "metadata": ["metadata", many, "-o", "m.csv"],
        "preprocess": ["preprocess", many, "-o", "s.parquet", "--preproc-log", "l.csv"],
        "predict": ["predict", many, "--model", model, "-o", "p.csv"],
        "evaluate": ["evaluate", many, "--model", model, "-o", "e.json", "--json"],
    }[verb]
    assert interrupted(words, "damaged.fits", tmp_path, number) == ""
    assert left(tmp_path) == []


def test_an_interrupted_pipeline_leaves_no_model(classes, tmp_path):
    words = ["pipeline", classes, "-o", "m", "--epochs", 100_000, "--input-length", 256]
    interrupted(words, "epoch 1:", tmp_path)
    assert left(tmp_path) == []


def test_an_interrupted_training_keeps_the_model_that_was_there(classes, tmp_path):
    (tmp_path / "m").mkdir()
    for name in ("model.json", "weights.npz", "train_split.csv"):
        (tmp_path / "m" / name).write_text(f"the {name} of before")
    words = ["train", classes, "-o", "m", "--overwrite", "--epochs", 100_000, "--patience", 0]
    interrupted([*words, "--n-pixels", 256, "--loglam-step", 0.0016], "epoch 1:", tmp_path)
    assert left(tmp_path / "m") == ["model.json", "train_split.csv", "weights.npz"]
    assert (tmp_path / "m" / "model.json").read_text() == "the model.json of before"
