"""Input that is wrong in one place: one line names the file or option, and nothing else happens."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
import torch
from astropy.io import fits
from manga_drp_layout import write_drp_logcube
from safetensors.numpy import load_file, save_file
from scipy.io import savemat

from astro_common.errors import ConfigurationError, InputError
from manga_ssftt.cubes import read_cube
from manga_ssftt.galaxy_file import GalaxyFile
from manga_ssftt.hsi.scene import mock_image, read_ground_truth
from manga_ssftt.mock.tree import DAPALL_NAME


def one_line(err):
    """The message, if it is one line."""
    lines = err.strip().splitlines()
    assert len(lines) == 1, err
    return lines[0]


def process(root, *words):
    return ("process", "--root", root, "--catalog", root / DAPALL_NAME, *words, "-q")


def train(tree, out, *words):
    command = ("train", "--root", tree, "--split-dir", tree / "split", "--out", out, "--epochs", 1)
    return (*command, "--model", "simplenet", "--patch-size", 1, *words, "-q")


@pytest.fixture(scope="module")
def model(tree, tmp_path_factory):
    """A small trained network; tests do not change it."""
    from manga_ssftt.__main__ import main

    out = tmp_path_factory.mktemp("model")
    assert main([str(word) for word in train(tree, out)]) == 0
    return out / "best.ckpt"


def test_a_mask_of_stellar_velocities_that_holds_no_bits_is_named(own_tree, run, plateifus):
    path = next((own_tree / "raw").glob(f"*/*/manga-{plateifus[0]}-MAPS-*"))
    with fits.open(path) as hdus:
        hdus["STELLAR_VEL_MASK"].data = hdus["STELLAR_VEL_MASK"].data.astype(np.float32)
        hdus.writeto(path, overwrite=True)
    status, _, err = run(*process(own_tree, plateifus[0], "--velocity", "spaxel"))
    assert status == 3
    assert "HDU STELLAR_VEL_MASK holds float32; expected integers" in one_line(err)


def test_wavelengths_that_no_extinction_law_knows_are_named(mock_raw, plateifus, tmp_path):
    source = next((mock_raw / "raw").glob(f"*/*/manga-{plateifus[0]}-LOGCUBE-*"))
    path = write_drp_logcube(tmp_path / "cube.fits", source)
    with fits.open(path, mode="update") as hdus:
        hdus["WAVE"].data = hdus["WAVE"].data / 2
    with pytest.raises(InputError, match=r"HDU WAVE.*3030"):
        read_cube(path, deredden=True)


def test_a_column_of_redshifts_that_holds_text_is_named(own_tree, run, plateifus, tmp_path):
    path = tmp_path / "catalog.csv"
    path.write_text(f"PLATEIFU,NSA_Z\n{plateifus[0]},0.03\n{plateifus[1]},unknown\n")
    words = ("process", plateifus[0], "--root", own_tree, "--catalog", path, "-q")
    status, _, err = run(*words)
    assert status == 3
    assert "no numbers in column NSA_Z" in one_line(err)


@pytest.mark.parametrize("place", [("-1", "3"), ("3", "99")])
@pytest.mark.parametrize("verb", ["train", "stats"])
def test_a_split_with_spaxels_outside_the_galaxy_is_named(
    tree, run, plateifus, tmp_path, place, verb
):
    split = tmp_path / "split"
    split.mkdir()
    for part in ("train", "val", "test"):
        rows = ["plateifu,y,x", f"{plateifus[0]},7,7", f"{plateifus[0]},{','.join(place)}"]
        (split / f"{part}.csv").write_text("\n".join(rows) + "\n")
    words = list(train(tree, tmp_path / "m") if verb == "train" else ())
    if words:
        words[words.index("--split-dir") + 1] = split
    else:
        words = ["stats", "--root", tree, "--split-dir", split, "--out", tmp_path / "f", "-q"]
    status, _, err = run(*words)
    assert status == 1
    assert "spaxel" in one_line(err)
    assert f"({', '.join(place)})" in err


@pytest.mark.parametrize("attribute", ["wcs", "provenance"])
def test_galaxies_with_a_damaged_attribute_are_named(tree, plateifus, tmp_path, attribute):
    import h5py

    source = next((tree / "processed").glob(f"cubes/*/{plateifus[0]}.h5"))
    for value in (None, "{no header"):
        path = tmp_path / f"{value}.h5"
        shutil.copy(source, path)
        with h5py.File(path, "r+") as file:
            del file.attrs[attribute]
            if value is not None:
                file.attrs[attribute] = value
        with GalaxyFile(path) as file, pytest.raises(InputError, match=f"{attribute}|celestial"):
            getattr(file, attribute)


def test_patches_that_are_older_than_the_statistics_are_not_skipped(
    own_tree, tree, run_json, plateifus, tmp_path
):
    assert run_json(*process(own_tree, plateifus[0])[:-1])["done"] == plateifus[:1]
    stats = shutil.copy(tree / "stats.safetensors", tmp_path / "stats.safetensors")
    words = ("process", "--root", own_tree, "--skip-fits", "--patch-norm", "PCA", "--stats", stats)
    assert len(run_json(*words)["patches"]) == 1
    assert len(run_json(*words)["skipped_patches"]) == 1
    save_file({name: values[:3] if name == "components" else values
               for name, values in load_file(stats).items()}, stats)  # fmt: skip
    failed = run_json(*words, status=3)["failed"]
    assert "--overwrite" in failed[0]["reason"]
    (path,) = run_json(*words, "--overwrite")["patches"]
    assert np.load(path, allow_pickle=False).shape[3] == 3


@pytest.mark.parametrize(
    ("n_components", "n_wave", "words"),
    [(2, 2040, "at least 3 bands"), (12, 2039, "2039 wavelengths")],
)
def test_statistics_that_do_not_fit_are_refused_before_a_model_is_replaced(
    tree, model, run, tmp_path, n_components, n_wave, words
):
    few = tmp_path / "few.safetensors"
    tensors = load_file(tree / "stats.safetensors")
    tensors["components"] = tensors["components"][:n_components]
    save_file({name: values[..., :n_wave].copy() for name, values in tensors.items()}, few)
    out = tmp_path / "m"
    shutil.copytree(model.parent, out)
    before = sorted((path.name, path.read_bytes()) for path in out.iterdir())
    options = ("--model", "ssftt", "--patch-norm", "PCA", "--stats", few, "--patch-size", 5)
    status, _, err = run(*train(tree, out, *options, "--overwrite"))
    assert status == 2
    assert words in one_line(err)
    assert sorted((path.name, path.read_bytes()) for path in out.iterdir()) == before


@pytest.mark.parametrize(
    ("name", "value"), [("std", 0.0), ("mean", np.nan), ("components", np.inf)]
)
def test_statistics_that_cannot_be_are_refused(tree, run, tmp_path, name, value):
    path = tmp_path / "spoilt.safetensors"
    tensors = load_file(tree / "stats.safetensors")
    tensors[name].flat[7] = value
    save_file(tensors, path)
    status, _, err = run(*train(tree, tmp_path / "m", "--patch-norm", "PCA", "--stats", path))
    assert status == 1
    assert str(path) in one_line(err)


@pytest.mark.parametrize("words", [("--accelerator", "abacus"), ("--strategy", "hope")])
def test_hardware_that_is_not_there_is_named(tree, run, tmp_path, words):
    status, _, err = run(*train(tree, tmp_path / "m", *words))
    assert status == 2
    assert words[1] in one_line(err)


@pytest.mark.parametrize(
    "words",
    [
        ("evaluate", "--checkpoint", "C", "--root", "R", "--split-dir", "S", "--out", "O"),
        ("train", "--root", "R", "--split-dir", "S", "--out", "O"),
        ("split", "--root", "R", "--catalog", "C", "--out", "O"),
        ("mock", "--root", "R"),
        ("hsi-benchmark", "--image", "a", "--ground-truth", "b", "--out", "O"),
    ],
)
@pytest.mark.parametrize("seed", ["-1", "4294967296", "x"])
def test_seeds_that_no_generator_takes_are_refused(run, tmp_path, monkeypatch, words, seed):
    monkeypatch.chdir(tmp_path)
    status, _, err = run(*words, "--seed", seed)
    assert status == 2
    assert "--seed" in err
    assert list(tmp_path.iterdir()) == []


def spoilt(model, path, change):
    content = torch.load(model, weights_only=True)
    change(content)
    torch.save(content, path)
    return path


def test_a_network_whose_training_diverged_is_refused(tree, model, run, tmp_path):
    def diverge(content):
        next(iter(content["state_dict"].values())).fill_(float("nan"))

    path = spoilt(model, tmp_path / "nan.ckpt", diverge)
    words = ("--root", tree, "--split-dir", tree / "split", "--out", tmp_path / "e", "-q")
    status, _, err = run("evaluate", "--checkpoint", path, *words)
    assert status == 1
    assert "not finite" in one_line(err)


@pytest.mark.parametrize("key", ["norm", "n_wave", "window", "n_bands", "target"])
def test_checkpoints_that_lack_a_key_are_refused(tree, model, run, tmp_path, key):
    def remove(content):
        del content["hyper_parameters"]["configuration"][key]

    path = spoilt(model, tmp_path / "c.ckpt", remove)
    galaxy = next((tree / "processed").glob("cubes/*/*.h5"))
    status, _, err = run("predict", galaxy, "--checkpoint", path, "-o", tmp_path / "o.fits", "-q")
    assert status == 1
    assert key in one_line(err)


@pytest.mark.parametrize(
    "content",
    [
        {"confusion_matrix": [[1]]},
        {"confusion_matrix": "none", "task": "BPT", "class_ids": [1], "oa": 1.0, "n": 1},
        {"confusion_matrix": [[1]], "task": "BPT", "class_ids": [77], "oa": 1.0, "n": 1},
        [{"epoch": 0, "val_loss": "high"}],
        [7],
    ],
)
def test_files_that_are_no_figures_are_named(run, tmp_path, content):
    path = tmp_path / "metrics.json"
    path.write_text(json.dumps(content))
    status, _, err = run("plot", path, "-o", tmp_path / "figures", "-q")
    assert status == 1
    assert str(path) in one_line(err)


def test_damaged_predictions_are_named(tree, model, run, tmp_path):
    galaxy = next((tree / "processed").glob("cubes/*/*.h5"))
    whole = tmp_path / "whole.fits"
    assert run("predict", galaxy, "--checkpoint", model, "-o", whole, "-q")[0] == 0
    content = whole.read_bytes()
    for number, size in enumerate((0, 100, 2880, 4000, len(content) // 2, len(content) - 2880)):
        path = tmp_path / f"{number}.fits"
        path.write_bytes(content[:size])
        status, _, err = run("plot", path, "-o", tmp_path / "figures", "-q")
        assert status == 1, size
        assert str(path) in one_line(err)


def test_scenes_without_enough_bands_are_refused(run, tmp_path):
    truth = np.kron([[1, 2], [2, 1]], np.ones((10, 10), np.uint8))
    savemat(tmp_path / "gt.mat", {"gt": truth})
    savemat(tmp_path / "two.mat", {"cube": np.random.default_rng(1).random((20, 20, 2))})
    words = ("--ground-truth", tmp_path / "gt.mat", "--out", tmp_path / "o", "--patch-size", 3)
    status, _, err = run("hsi-benchmark", "--image", tmp_path / "two.mat", *words, "-q")
    assert status == 2
    assert "2 components" in one_line(err)


@pytest.mark.parametrize("noise", ["-1", "nan", "inf"])
def test_noise_that_cannot_be_is_refused(run, tmp_path, noise):
    savemat(tmp_path / "gt.mat", {"gt": np.kron([[1, 2]], np.ones((9, 9), np.uint8))})
    words = ("--mock-image", "--ground-truth", tmp_path / "gt.mat", "--out", tmp_path / "o", "-q")
    status, _, err = run("hsi-benchmark", *words, "--mock-noise", noise)
    assert status == 2
    assert "--mock-noise" in one_line(err)


def test_damaged_scenes_are_refused(tmp_path):
    truth = np.tile(np.repeat(np.arange(3), 12).reshape(6, 6), (20, 20))
    savemat(tmp_path / "gt.mat", {"gt": truth}, do_compression=True)
    content = (tmp_path / "gt.mat").read_bytes()
    random = np.random.default_rng(0)
    for _ in range(60):
        damaged = bytearray(content)
        damaged[random.integers(128, len(content))] ^= 1 << int(random.integers(8))
        (tmp_path / "damaged.mat").write_bytes(damaged)
        try:
            found = read_ground_truth(tmp_path / "damaged.mat")
        except InputError:
            continue
        np.testing.assert_array_equal(found, truth)


def test_a_ground_truth_that_is_not_finite_is_refused(tmp_path):
    for value in (np.nan, np.inf):
        truth = np.repeat(np.arange(3.0), 12).reshape(6, 6)
        truth[0, 0] = value
        savemat(tmp_path / "gt.mat", {"gt": truth})
        with pytest.raises(InputError, match="no classes"):
            read_ground_truth(tmp_path / "gt.mat")


def test_mock_images_have_their_noise():
    truth = np.ones((40, 40), np.int64)
    quiet, loud = (mock_image(truth, noise=noise, seed=1) for noise in (0.0, 0.2))
    assert np.std(loud - quiet) == pytest.approx(0.2, rel=0.01)


def test_no_component_is_missing_silently():
    from manga_ssftt.hsi.benchmark import Protocol, run_protocol
    from manga_ssftt.hsi.scene import Scene

    truth = np.kron([[1, 2]], np.ones((6, 6), np.int64))
    split = np.where(truth > 0, 2, 0).astype(np.uint8)
    split[0, 0], split[0, 6] = 1, 1
    image = np.random.default_rng(1).random((*truth.shape, 8)).astype(np.float32)
    with pytest.raises(ConfigurationError, match="--n-components"):
        run_protocol(Scene(image, truth), split, Protocol(patch_size=3, train_only_pca=True))
