"""Figures and evaluation."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
from sconeevents import make_events, write_shard

import scone_io
from scone_io.evaluation import roc_auc
from scone_io.grid import PRESETS
from scone_io.heatmap import normalised


def test_same_input_and_seed_give_the_same_bytes(run, mock_folder, tmp_path):
    snids = scone_io.open(mock_folder).snids[[3, 40]].tolist()
    words = ["--snid", ",".join(map(str, snids)), "--statistics", "--stat-samples", "20"]
    for name in ("a", "b"):
        folder = tmp_path / name
        assert run("plot", mock_folder, "-o", folder, *words, "--seed", "1")[0] == 0
    expected = {f"snid_{snid}.png" for snid in snids} | {"statistics.png", "index.html"}
    assert {path.name for path in (tmp_path / "a").iterdir()} == expected
    for name in expected:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    page = (tmp_path / "a" / "index.html").read_text()
    assert set(re.findall(r'src="([^"]+)"', page)) == expected - {"index.html"}
    assert "Synthetic data" in page
    assert run("plot", mock_folder, "-o", tmp_path / "a", *words)[0] == 1
    assert run("plot", mock_folder, "-o", tmp_path / "a", *words, "--overwrite")[0] == 0


def test_samples_come_from_the_whole_file(run, mock_folder, tmp_path):
    drawn = set()
    for seed in range(4):
        words = ["--num-samples", "1", "--seed", seed, "--json"]
        out = run("plot", mock_folder, "-o", tmp_path / str(seed), *words)[1]
        drawn.add(json.loads(out)["outputs"][0].rsplit("/", 1)[1])
    assert len(drawn) > 1


def test_pdf_and_index(run, mock_folder, tmp_path):
    import shutil

    folder = tmp_path / "h"
    shutil.copytree(mock_folder, folder)
    assert run("index", folder)[0] == 0
    snid = int(scone_io.open(folder).snids[5])
    words = ["--index", folder / "snid_index.parquet", "--snid", snid, "--pdf"]
    for name in ("a", "b"):
        assert run("plot", "-o", tmp_path / name, *words)[0] == 0
    first, second = (tmp_path / name / f"snid_{snid}.pdf" for name in ("a", "b"))
    assert first.read_bytes() == second.read_bytes()
    assert first.read_bytes().startswith(b"%PDF")
    assert run("plot", "-o", tmp_path / "c")[0] == 2
    assert run("plot", mock_folder, "-o", tmp_path / "c", "--snid", "-1")[0] == 1
    assert not (tmp_path / "c").exists()


def test_awkward_events_are_drawn(run, tmp_path):
    made = make_events(4, grid=PRESETS["scone"], label=0, z=None, z_err=None)
    made[0].image[:] = 0.0
    made[1].image[3, 5, 0] = np.nan
    made[2].image[:] = np.nan
    made[3].image[..., 0] *= -1.0
    path = write_shard(tmp_path / "x.tfrecord", made, grid=PRESETS["scone"])
    words = ["--num-samples", "9", "--statistics"]
    assert run("plot", path, "-o", tmp_path / "f", *words)[0] == 0
    empty = tmp_path / "empty.tfrecord"
    empty.touch()
    assert run("plot", empty, "-o", tmp_path / "g", "--statistics")[0] == 0


def test_normalisation_is_that_of_training_and_guarded():
    rng = np.random.default_rng(1)
    image = rng.normal(10.0, 5.0, size=(4, 3, 5, 2))
    image[1, ..., 0] = -1.0
    image[2, 0, 0, 0] = np.nan
    found = normalised(image)
    assert np.array_equal(found[0], image[0] / image[0, ..., 0].max())
    assert not found[1].any()
    assert np.isfinite(found).all()
    assert found[2, 0, 0, 0] == 0.0
    assert np.array_equal(normalised(image[3]), found[3])


def test_evaluation_agrees_with_scikit_learn(run, mock_folder, tmp_path):
    metrics = pytest.importorskip("sklearn.metrics")
    shards = scone_io.open(mock_folder)
    truth = np.array([event.label == 1 for event in shards])
    rng = np.random.default_rng(2)
    chance = np.round(np.clip(0.3 + 0.4 * truth + rng.normal(0, 0.25, len(truth)), 0, 1), 2)
    rows = [f"{snid},{value}" for snid, value in zip(shards.snids, chance, strict=True)]
    path = tmp_path / "p.csv"
    path.write_text("\n".join(["snid,PROB_SCONE", *rows, "-7,0.5"]) + "\n")
    picture = tmp_path / "e.png"
    words = ["--predictions", path, "-o", picture, "--json"]
    status, out, _ = run("evaluate", mock_folder, *words)
    result = json.loads(out)
    assert status == 0
    called = chance >= 0.5
    assert result["confusion_matrix"] == metrics.confusion_matrix(truth, called).tolist()
    assert result["roc_auc"] == pytest.approx(metrics.roc_auc_score(truth, chance))
    assert result["accuracy"] == pytest.approx(metrics.accuracy_score(truth, called))
    assert (result["num_matched"], result["num_predictions_without_event"]) == (60, 1)
    low, high = result["accuracy_interval_95"]
    assert low < result["accuracy"] < high
    assert picture.read_bytes()[1:4] == b"PNG"


def test_area_of_one_class_is_unknown():
    assert roc_auc(np.array([True, True]), np.array([0.1, 0.2])) is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a,b\n1,2\n",
        "snid,PROB_SCONE\n1,2\n",
        "snid,PROB_SCONE\nx,0.5\n",
        "snid,PROB_SCONE\n1\n",
        "snid,PROB_SCONE\n1,0.5\n1,0.6\n",
        "snid,PROB_SCONE\n-5,0.5\n",
        "snid,PROB_SCONE\n1,nan\n",
    ],
)
def test_wrong_predictions_are_one_error(run, mock_folder, tmp_path, text):
    path = tmp_path / "p.csv"
    path.write_text(text)
    status, out, err = run("evaluate", mock_folder, "--predictions", path)
    assert (status, out) == (1, "")
    assert len(err.strip().splitlines()) == 1
