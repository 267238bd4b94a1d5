"""Stars that a model knows are not judged, and damaged models are one clear line."""

from __future__ import annotations

import contextlib
import io
import json
import shutil

import numpy as np
import pytest
from sdssfiles import rows_of, write_classes, write_spec

from astro_common.errors import AstroError
from sdss_spectra.__main__ import main
from sdss_spectra.model.architecture import Network
from sdss_spectra.model.bins import Bins
from sdss_spectra.model.inputs import InputSettings
from sdss_spectra.model.training import Labelled, TrainingSettings, train_network
from sdss_spectra.preprocessing.resample import LogGrid

SMALL = [
    "--epochs", "1", "--members", "1", "--width", "4", "--depth", "3", "--n-pixels", "256",
    "--loglam-step", "0.0016", "--test-fraction", "0.3", "--seed", "1",
]  # fmt: skip


def train(folder, group_by):
    """A data set, and a tiny model of it."""
    write_classes(folder / "data", per_class=5)
    words = ["train", str(folder / "data"), "-o", str(folder / "m"), "--group-by", group_by]
    with contextlib.redirect_stdout(io.StringIO()):
        assert main([*words, *SMALL]) == 0
    return folder


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    return train(tmp_path_factory.mktemp("by_star"), "star")


@pytest.fixture(scope="module")
def trained_by_plate(tmp_path_factory):
    return train(tmp_path_factory.mktemp("by_plate"), "star+plate-mjd")


def numbers_of(model, part):
    """Fibres, which `write_classes` counts, of the stars of a part."""
    return [int(row["spec_id"].rsplit("-", 1)[1]) for row in rows_of(model / f"{part}_split.csv")]


@pytest.mark.parametrize("known_by", ["identifier", "position"])
@pytest.mark.parametrize("grouped", ["trained", "trained_by_plate"])
def test_known_stars_in_files_of_another_release_are_left_out(
    grouped, known_by, tmp_path, run, request
):
    """The same stars on another plate, in files of other names, with another place or number."""
    trained = request.getfixturevalue(grouped)
    for number in range(1, 21):
        write_spec(
            tmp_path / "later" / "A" / f"other-{number}.fits",
            seed=100 + number,
            plate=7000 + number,
            mjd=57000,
            fiber=number if known_by == "position" else 500 + number,
            thing_id=5000 + number if known_by == "identifier" else 0,
        )
    status, out, _ = run("evaluate", tmp_path / "later", "--model", trained / "m", "--json")
    assert status == 0
    result = json.loads(out)
    assert result["spectra"] == len(numbers_of(trained / "m", "test")) > 0
    assert result["left_out_as_known"] == 20 - result["spectra"]


def test_unreadable_files_are_listed_beside_an_evaluation(trained, tmp_path, run):
    shutil.copytree(trained / "data", tmp_path / "data")
    (tmp_path / "data" / "A" / "bad.fits").write_bytes(b"SIMPLE")
    words = ["evaluate", tmp_path / "data", "--model", trained / "m", "--json"]
    assert run(*words)[0] == 3
    assert not (tmp_path / "failures.jsonl").exists()
    assert run(*words, "-o", tmp_path / "e.json")[0] == 3
    (line,) = (tmp_path / "failures.jsonl").read_text().splitlines()
    assert json.loads(line)["path"].endswith("A/bad.fits")


def damaged_copy(trained, tmp_path):
    shutil.copytree(trained / "m", tmp_path / "m")
    return tmp_path / "m"


def one_line(run, verb, trained, model, tmp_path):
    words = {
        "predict": ["predict", trained / "data", "--model", model, "-o", tmp_path / "p.csv"],
        "evaluate": ["evaluate", trained / "data", "--model", model],
    }[verb]
    status, out, err = run(*words)
    assert (status, out) == (1, "")
    assert err.count("\n") == 1
    return err


@pytest.mark.parametrize(
    "content", ["spec_id,leakage_group\na\n", "spec_id\na\n", "\0\n", "spec_id,leakage_group\n,b\n"]
)
def test_a_damaged_split_is_one_clear_line(trained, tmp_path, run, content):
    model = damaged_copy(trained, tmp_path)
    (model / "train_split.csv").write_text(content)
    assert "train_split.csv" in one_line(run, "evaluate", trained, model, tmp_path)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("record", None),
        ("record", [1]),
        ("members", 10**12),
        ("members", "two"),
        ("bins", {"classes": [1, 2, 3, 4]}),
        ("bins", {"classes": []}),
        ("inputs", {"clip": "wide"}),
        ("network", {"depth": None}),
        ("temperature", [1.0]),
        ("preprocessing", {"and_bits": ["NONSENSE"]}),
        ("preprocessing", {"grid": {"loglam_start": 3.55, "loglam_step": "x", "n_pixels": 256}}),
    ],
)
def test_a_damaged_description_is_one_clear_line(trained, tmp_path, run, key, value):
    model = damaged_copy(trained, tmp_path)
    description = json.loads((model / "model.json").read_text())
    if value is None:
        del description[key]
    elif isinstance(value, dict):
        description[key] |= value
    else:
        description[key] = value
    (model / "model.json").write_text(json.dumps(description))
    err = one_line(run, "predict", trained, model, tmp_path)
    assert "model.json" in err


@pytest.mark.parametrize("flag", [b"\x01\x00", b"\x40\x00"])
def test_weights_that_claim_to_be_encrypted_are_one_clear_line(trained, tmp_path, run, flag):
    model = damaged_copy(trained, tmp_path)
    content = bytearray((model / "weights.npz").read_bytes())
    place = content.index(b"PK\x01\x02") + 8
    content[place : place + 2] = flag
    (model / "weights.npz").write_bytes(bytes(content))
    assert "weights.npz" in one_line(run, "predict", trained, model, tmp_path)


def test_an_array_in_place_of_the_weights_is_one_clear_line(trained, tmp_path, run):
    model = damaged_copy(trained, tmp_path)
    with (model / "weights.npz").open("wb") as file:
        np.save(file, np.zeros(3))
    assert "weights.npz" in one_line(run, "predict", trained, model, tmp_path)


def tiny(flux):
    """Arguments of a training that takes a second."""
    count = len(flux)
    data = Labelled(
        flux, np.ones_like(flux), np.zeros(flux.shape, bool), np.arange(count) % 2,
        np.full(count, np.nan),
    )  # fmt: skip
    none = Labelled(flux[:0], flux[:0], data.mask[:0], data.classes[:0], np.zeros(0))
    return (data, none), {
        "loglam": LogGrid(3.55, 1.6e-3, flux.shape[1]).loglam,
        "network": Network(depth=1, width=2, dense_units=4),
        "inputs": InputSettings(),
        "bins": Bins(("A", "F")),
        "augmentation": None,
    }


def test_the_largest_seed_trains_two_networks():
    flux = np.random.default_rng(1).uniform(0.5, 1.5, (4, 64)).astype(np.float32)
    data, options = tiny(flux)
    settings = TrainingSettings(epochs=1, members=2, views=1)
    weights, _ = train_network(*data, settings=settings, seed=2**32 - 1, **options)
    assert not np.array_equal(weights[0][0], weights[1][0])


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_a_loss_that_is_no_number_ends_the_training():
    flux = np.ones((4, 64), np.float32)
    flux[0, 3] = np.inf
    data, options = tiny(flux)
    with pytest.raises(AstroError, match="--learning-rate"):
        train_network(*data, settings=TrainingSettings(epochs=2, members=1), seed=1, **options)
