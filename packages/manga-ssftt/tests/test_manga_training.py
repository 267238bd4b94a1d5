from __future__ import annotations

import csv
import json

import numpy as np
import pytest
from astropy.io import fits

from manga_ssftt.occlusion import occlude


def train(tree, out, *words, stats=True):
    command = ("train", "--root", tree, "--split-dir", tree / "split", "--out", out)
    if stats:
        command += ("--patch-norm", "PCA", "--stats", tree / "stats.safetensors")
    return (*command, "--patch-size", 5, "--batch-size", 64, "--epochs", 2, *words, "-q")


@pytest.mark.parametrize(
    "words",
    [
        ("--label-task", "logOH", "--head", "ordinal", "--bins", "extra"),
        ("--label-task", "joint", "--balance", "weights", "--schedule", "plateau"),
        ("--label-task", "BPT", "--model", "spectral", "--balance", "sampling"),
        ("--label-task", "logOH", "--head", "classification", "--precision", "bf16-mixed"),
    ],
)
def test_every_head_trains_evaluates_and_predicts(tree, run, tmp_path, words):
    assert run(*train(tree, tmp_path / "m", *words))[0] == 0
    checkpoint = tmp_path / "m" / "best.ckpt"
    command = ("evaluate", "--checkpoint", checkpoint, "--root", tree, "--no-baselines")
    status, _, err = run(*command, "--split-dir", tree / "split", "--out", tmp_path / "e", "-q")
    assert status == 0, err
    figures = json.loads((tmp_path / "e" / "metrics.json").read_text())
    assert 0 <= figures["oa"] <= 1
    assert figures["synthetic"] is True
    if "BPT" not in words:
        assert figures["mae_dex"] > 0
    galaxy = next((tree / "processed").glob("cubes/*/*.h5"))
    packed = tmp_path / "map.fits.gz"
    words = ("predict", galaxy, "--checkpoint", checkpoint, "-o", packed)
    assert run(*words, "-q")[0] == 0
    assert packed.read_bytes()[:2] == b"\x1f\x8b"
    assert run("plot", packed, galaxy, "-o", tmp_path / "figures", "-q")[0] == 0
    assert len(list((tmp_path / "figures").glob("*.png"))) == 2


def test_long_spectra_train_with_occlusion(tree, run, tmp_path):
    words = ("--patch-norm", "spectral", "--patch-size", 3, "--label-task", "logOH")
    assert run(*train(tree, tmp_path / "m", *words, stats=False))[0] == 0
    status, _, err = run(
        *("evaluate", "--checkpoint", tmp_path / "m" / "best.ckpt", "--root", tree, "-q"),
        *("--split-dir", tree / "split", "--out", tmp_path / "e", "--occlusion", "--no-baselines"),
    )
    assert status == 0, err
    figures = json.loads((tmp_path / "e" / "metrics.json").read_text())
    names = {row["name"] for row in figures["occlusion"]}
    assert {"H-alpha 6564", "[NII] 6585", "[OIII] 5008"} <= names
    assert "H-beta 4862" not in names  # outside the window
    with (tmp_path / "e" / "predictions.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == figures["n"]


def test_a_run_goes_on_where_it_ended(tree, run, tmp_path):
    out = tmp_path / "m"
    assert run(*train(tree, out))[0] == 0
    status, _, err = run(*train(tree, out))
    assert status == 1
    assert "--resume" in err
    assert run(*train(tree, out, "--resume", "--epochs", 4))[0] == 0
    history = json.loads((out / "history.json").read_text())
    assert [row["epoch"] for row in history] == [0, 1, 2, 3]
    assert all(row["synthetic"] for row in history)


def test_validation_classes_that_training_lacks_leave_the_curves_whole(tree, run, tmp_path):
    split = tmp_path / "split"
    split.mkdir()
    by_class = {}
    for path in sorted((tree / "processed" / "labels" / "BPT").glob("*.npy")):
        for y, x in np.argwhere((classes := np.load(path)) > 0):
            by_class.setdefault(int(classes[y, x]), []).append(f"{path.stem},{y},{x}")
    assert len(by_class) > 2
    rare = min(by_class, key=lambda label: len(by_class[label]))
    known = [row for label, rows in by_class.items() if label != rare for row in rows]
    for part, rows in (("train", known), ("val", by_class[rare]), ("test", known)):
        (split / f"{part}.csv").write_text("\n".join(["plateifu,y,x", *rows]) + "\n")
    command = list(train(tree, tmp_path / "m", "--model", "simplenet"))
    command[command.index("--split-dir") + 1] = split
    assert run(*command)[0] == 0

    def refuse(name):
        raise AssertionError(f"{name} is no JSON")

    text = (tmp_path / "m" / "history.json").read_text()
    history = json.loads(text, parse_constant=refuse)
    assert all(row["val_accuracy"] == 0 and "val_loss" not in row for row in history)
    assert run("plot", tmp_path / "m" / "history.json", "-o", tmp_path / "f", "-q")[0] == 0


def test_abundances_that_are_nowhere_have_no_interval(tree, run, run_json, tmp_path):
    assert run(*train(tree, tmp_path / "m", "--label-task", "joint"))[0] == 0
    split = tmp_path / "split"
    split.mkdir()
    rows = ["plateifu,y,x"]
    for path in sorted((tree / "processed" / "labels" / "BPT").glob("*.npy")):
        rows += [f"{path.stem},{y},{x}" for y, x in np.argwhere(np.load(path) > 1)]
    (split / "test.csv").write_text("\n".join(rows) + "\n")
    found = run_json(
        *("evaluate", "--checkpoint", tmp_path / "m" / "best.ckpt", "--root", tree),
        *("--split-dir", split, "--out", tmp_path / "e", "--no-baselines"),
    )
    assert (found["mae_dex"], found["mae_dex_ci"]) == (None, [None, None])


def test_the_same_seed_gives_the_same_network(tree, run, tmp_path):
    from safetensors.numpy import load_file

    for name in ("a", "b"):
        assert run(*train(tree, tmp_path / name))[0] == 0
    one, other = (load_file(tmp_path / name / "best.safetensors") for name in ("a", "b"))
    for name, value in one.items():
        np.testing.assert_array_equal(value, other[name])


def test_the_easy_split_is_named_leaky(tree, catalog, run, run_json, tmp_path):
    easy = tmp_path / "easy"
    words = ("split", "--root", tree, "--catalog", catalog, "--kind", "easy", "--out", easy)
    assert run_json(*words, "--plot")["leaky"] is True
    with (easy / "train.csv").open() as file:
        assert list(next(csv.DictReader(file))) == ["plateifu", "y", "x"]
    command = list(train(tree, tmp_path / "m"))
    command[command.index("--split-dir") + 1] = easy
    assert run(*command)[0] == 0
    checkpoint = ("evaluate", "--checkpoint", tmp_path / "m" / "best.ckpt", "--root", tree)
    words = (*checkpoint, "--no-baselines", "--split-dir", easy, "--out", tmp_path / "e")
    assert run_json(*words)["leaky"] is True
    hard = (*checkpoint, "--no-baselines", "--split-dir", tree / "split", "--out", tmp_path / "h")
    found = run_json(*hard, "--easy", tmp_path / "e" / "metrics.json")
    assert found["gap"]["oa"]["easy"] - found["gap"]["oa"]["hard"] == pytest.approx(
        found["gap"]["oa"]["gap"]
    )


def test_patches_are_cut_by_process_too(own_tree, run_json, plateifus):
    words = ("process", "--root", own_tree, "--skip-fits", "--patch-norm", "global")
    catalog = next(own_tree.glob("dapall*"))
    run_json("process", plateifus[0], "--root", own_tree, "--catalog", catalog)
    for path in (own_tree / "raw").glob("*/*/*"):
        path.unlink()
    found = run_json(*words)
    assert len(found["patches"]) == 1
    assert np.load(found["patches"][0], allow_pickle=False).shape[1:] == (7, 7, 2040)


def test_per_spaxel_velocities_line_up_the_lines(own_tree, run_json, truth, plateifus):
    import h5py

    catalog = next(own_tree.glob("dapall*"))
    peaks = {}
    for kind in ("systemic", "spaxel"):
        words = ("process", plateifus[0], "--root", own_tree, "--catalog", catalog)
        run_json(*words, "--velocity", kind, "--deredden", "--overwrite")
        path = next((own_tree / "processed").glob("cubes/*/*.h5"))
        with h5py.File(path) as file:
            flux, wave = file["cube"][()], file["wave"][()]
        near = (wave > 6545) & (wave < 6580)
        bright = flux[..., near].max(axis=2) > 0.3
        peaks[kind] = wave[near][flux[..., near].argmax(axis=2)][bright]
    assert len(peaks["spaxel"]) > 20
    assert np.abs(peaks["spaxel"] - 6564.63).max() < 1.7
    assert peaks["systemic"].std() > peaks["spaxel"].std()


def test_velocities_count_from_the_redshift_of_the_analysis(own_tree, run_json, plateifus):
    import h5py
    from astropy.table import Table

    catalog = next(own_tree.glob("dapall*"))
    table = Table.read(catalog, hdu=1)
    table["NSA_Z"][0] = table["Z"][0] + 0.002  # about 600 km/s from what the DAP started with
    table.write(catalog, overwrite=True)
    words = ("process", plateifus[0], "--root", own_tree, "--catalog", catalog)
    run_json(*words, "--velocity", "spaxel")
    path = next((own_tree / "processed").glob("cubes/*/*.h5"))
    with h5py.File(path) as file:
        flux, wave = file["cube"][()], file["wave"][()]
    near = (wave > 6545) & (wave < 6580)
    bright = flux[..., near].max(axis=2) > 0.3
    assert bright.sum() > 20
    assert np.abs(wave[near][flux[..., near].argmax(axis=2)][bright] - 6564.63).max() < 1.7


def test_occlusion_draws_a_straight_line():
    wave = np.linspace(5000, 6000, 101)
    cube = np.tile(2.0 + 0.001 * (wave - 5000), (2, 2, 1)).astype(np.float32)
    cube[..., 50] += 30
    bad = np.zeros(cube.shape, bool)
    found = occlude(cube, bad, wave, 5480, 5520)
    assert np.abs(found[..., 50] - 2.5).max() < 0.05
    np.testing.assert_array_equal(found[..., :48], cube[..., :48])
    np.testing.assert_array_equal(occlude(cube, bad, wave, 7000, 7100), cube)


def test_the_truth_says_that_it_is_synthetic(mock_raw, plateifus):
    assert fits.getheader(mock_raw / "truth" / f"{plateifus[0]}.fits")["SYNTHETI"] is True
