from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table

from manga_ssftt.mock.tree import DAPALL_NAME


def files(root, kind):
    return sorted((root / "raw").glob(f"*/*/*-{kind}-*"))


def process(root, *words):
    return ("process", "--root", root, "--catalog", root / DAPALL_NAME, *words)


def failures(root):
    lines = (root / "processed" / "failures.jsonl").read_text().splitlines()
    return {entry["plateifu"]: entry["reason"] for entry in map(json.loads, lines)}


def without_hdu(path, name):
    with fits.open(path) as hdus:
        fits.HDUList([hdu for hdu in hdus if hdu.name != name]).writeto(path, overwrite=True)


def cut(path):
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])


def not_fits(path):
    path.write_bytes(b"<html>404</html>" * 100)


def no_channel(path):
    with fits.open(path) as hdus:
        for number in range(1, 36):
            if hdus["EMLINE_GFLUX"].header[f"C{number:02d}"] == "NII-6585":
                del hdus["EMLINE_GFLUX"].header[f"C{number:02d}"]
                break
        hdus.writeto(path, overwrite=True)


def no_lines(path):
    with fits.open(path) as hdus:
        hdus["EMLINE_GFLUX"].data[:] = 0
        hdus.writeto(path, overwrite=True)


def other_shape(path):
    with fits.open(path) as hdus:
        for name in ("EMLINE_GFLUX", "EMLINE_GFLUX_IVAR", "EMLINE_GFLUX_MASK", "SPX_ELLCOO"):
            hdus[name].data = np.ascontiguousarray(hdus[name].data[:, :-2])
        hdus.writeto(path, overwrite=True)


FAULTS = [
    ("LOGCUBE", cut, "cut short"),
    ("MAPS", cut, "cut short"),
    ("LOGCUBE", lambda path: without_hdu(path, "IVAR"), "no HDU 'IVAR'"),
    ("MAPS", lambda path: without_hdu(path, "EMLINE_GFLUX_MASK"), "no HDU 'EMLINE_GFLUX_MASK'"),
    ("MAPS", no_channel, "no channel NII-6585"),
    ("MAPS", no_lines, "no labelled spaxel"),
    ("MAPS", other_shape, "spaxels"),
    ("LOGCUBE", not_fits, "FITS"),
    ("LOGCUBE", lambda path: path.unlink(), "no such file"),
]


@pytest.mark.parametrize(("kind", "spoil", "words"), FAULTS)
def test_a_fault_is_named_isolated_and_mended(own_tree, run, plateifus, kind, spoil, words):
    path = files(own_tree, kind)[0]
    good = path.read_bytes()
    spoil(path)
    names = plateifus[:2]
    status, out, err = run(*process(own_tree, *names, "-q"))
    assert status == 3
    assert list(failures(own_tree)) == names[:1]
    assert words in failures(own_tree)[names[0]]
    # Old versions of matplotlib warn of their own settings.
    assert len([line for line in err.splitlines() if "matplotlib" not in line]) == 1
    assert names[0] in err
    assert not (own_tree / f"processed/cubes/{names[0].split('-')[0]}/{names[0]}.h5").exists()
    assert (own_tree / f"processed/cubes/{names[1].split('-')[0]}/{names[1]}.h5").exists()
    path.write_bytes(good)
    status, out, err = run(*process(own_tree, *names, "-q"))
    assert status == 0
    assert "1 done, 1 skipped, 0 failed" in out
    assert not (own_tree / "processed" / "failures.jsonl").exists()


@pytest.mark.parametrize("values", [(np.nan, np.nan), (-999.0, -999.0), (-9999.0, 0.0)])
def test_a_galaxy_without_a_redshift_fails(own_tree, run, plateifus, values):
    path = own_tree / DAPALL_NAME
    table = Table.read(path, hdu=1)
    table["NSA_Z"][0], table["Z"][0] = values
    table.write(path, overwrite=True)
    status, _, err = run(*process(own_tree, "-q"))
    assert status == 3
    assert "a positive redshift in NSA_Z or Z" in err
    assert list(failures(own_tree)) == plateifus[:1]


def test_a_galaxy_that_is_not_listed_fails(own_tree, run, plateifus):
    path = own_tree / DAPALL_NAME
    Table.read(path, hdu=1)[1:].write(path, overwrite=True)
    status, _, err = run(*process(own_tree, "-q"))
    assert status == 3
    assert f"no row with PLATEIFU {plateifus[0]}" in err


def test_files_of_another_galaxy_are_refused(own_tree, run, plateifus):
    first, second = files(own_tree, "MAPS")[:2]
    shutil.copy(second, first)
    status, _, err = run(*process(own_tree, plateifus[0], "-q"))
    assert status == 3
    assert f"PLATEIFU is {plateifus[1]}; expected {plateifus[0]}" in err


def test_outputs_of_another_configuration_stay(own_tree, run, plateifus):
    assert run(*process(own_tree, plateifus[0], "-q"))[0] == 0
    path = next((own_tree / "processed").glob("cubes/*/*.h5"))
    before = path.read_bytes()
    status, _, err = run(*process(own_tree, plateifus[0], "--n-pixels", 100, "-q"))
    assert status == 3
    assert "--overwrite" in err
    assert path.read_bytes() == before
    command = process(own_tree, plateifus[0], "--n-pixels", 100, "--overwrite", "-q")
    assert run(*command)[0] == 0
    assert path.read_bytes() != before


def test_labels_whose_replacement_was_interrupted_are_not_taken_for_done(
    own_tree, run, plateifus, monkeypatch
):
    from manga_ssftt import label_files

    words = process(own_tree, plateifus[0], "--maps-only", "-q")
    assert run(*words)[0] == 0
    before = np.load(own_tree / f"processed/labels/BPT/{plateifus[0]}.npy")

    def interrupted(*_words):
        raise KeyboardInterrupt

    monkeypatch.setattr(label_files, "_as_hdus", interrupted)
    assert run(*words, "--snr-min", 30, "--overwrite")[0] == 130
    assert np.any(np.load(own_tree / f"processed/labels/BPT/{plateifus[0]}.npy") != before)
    monkeypatch.undo()
    # The new map lies beside nothing that says it is of the first configuration.
    status, out, _ = run(*words)
    assert (status, "1 done, 0 skipped" in out) == (0, True)
    assert np.array_equal(np.load(own_tree / f"processed/labels/BPT/{plateifus[0]}.npy"), before)


def test_a_damaged_output_is_not_taken_for_done(own_tree, run, plateifus):
    assert run(*process(own_tree, plateifus[0], "-q"))[0] == 0
    path = next((own_tree / "processed").glob("cubes/*/*.h5"))
    cut(path)
    status, _, err = run(*process(own_tree, plateifus[0], "-q"))
    assert status == 3
    assert "--overwrite" in err


def test_a_killed_run_goes_on(own_tree, plateifus):
    command = [sys.executable, "-m", "manga_ssftt", *map(str, process(own_tree, "--workers", "1"))]
    running = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    cubes = own_tree / "processed" / "cubes"
    deadline = time.monotonic() + 60
    while not list(cubes.glob("*/*.h5")) and running.poll() is None:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    running.kill()
    running.communicate()
    finished = subprocess.run(command, capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stderr
    assert "skipped, 0 failed" in finished.stdout
    assert sorted(path.stem for path in cubes.glob("*/*.h5")) == plateifus[:2]
    assert not list(cubes.glob("*/.*"))


def test_ctrl_c_ends_in_one_line(mock_raw, tmp_path):
    words = ("mock", "--root", tmp_path / "m", "--n-galaxies", 500, "--size", 14, "-q")
    command = [sys.executable, "-m", "manga_ssftt", *map(str, words)]
    running = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 60
    while not list((tmp_path / "m").glob("truth/*.fits")):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    os.kill(running.pid, signal.SIGINT)
    out, err = running.communicate(timeout=240)
    assert running.returncode == 130
    assert err == "manga-ssftt: interrupted\n"
    assert out == ""
    assert not list((tmp_path / "m").glob("**/*.partial"))
    assert not (tmp_path / "m" / DAPALL_NAME).exists()


def test_an_interrupted_training_goes_on_with_the_same_options(run, tree, tmp_path, monkeypatch):
    from manga_ssftt.training.module import PatchModule

    words = ("train", "--root", tree, "--split-dir", tree / "split", "--model", "simplenet")
    words += ("--patch-size", 1, "--batch-size", 64, "--epochs", 3, "--out", tmp_path / "m", "-q")
    step = PatchModule.training_step

    def interrupted(self, batch, index):
        if self.current_epoch == 1:
            raise KeyboardInterrupt
        return step(self, batch, index)

    monkeypatch.setattr(PatchModule, "training_step", interrupted)
    before = signal.getsignal(signal.SIGINT)
    try:
        status, out, err = run(*words)
    finally:
        signal.signal(signal.SIGINT, before)  # Lightning ignores it from now on
    assert (status, out, err) == (130, "", "manga-ssftt: interrupted\n")
    monkeypatch.undo()
    status, _, err = run(*words, "--resume", "--patch-size", 3)
    assert status == 1
    assert "a run that differs in patch_size" in err
    assert run(*words, "--resume")[0] == 0
    history = json.loads((tmp_path / "m" / "history.json").read_text())
    assert [row["epoch"] for row in history] == [0, 1, 2]
    last = tmp_path / "m" / "last.ckpt"
    last.write_bytes(last.read_bytes()[:3000])
    status, _, err = run(*words, "--resume")
    assert status == 1
    assert err.startswith(f"manga-ssftt: {last}: no whole checkpoint")
    assert err.count("\n") == 1


def test_patches_that_are_there_are_skipped(run_json, own_tree):
    assert run_json(*process(own_tree))["failed"] == []
    words = ("process", "--root", own_tree, "--skip-fits", "--patch-norm", "global")
    words += ("--patch-size", 3)
    first = run_json(*words)
    assert len(first["patches"]) == 2
    again = run_json(*words)
    assert again["patches"] == []
    assert len(again["skipped_patches"]) == 2
    other = run_json(*words, "--patch-size", 1, status=3)
    assert "--overwrite" in other["failed"][0]["reason"]
    failures = (own_tree / "processed" / "failures.jsonl").read_text().splitlines()
    assert len(failures) == 2
    assert len(run_json(*words, "--patch-size", 1, "--overwrite")["patches"]) == 2
    assert not (own_tree / "processed" / "failures.jsonl").exists()


@pytest.mark.parametrize(
    ("words", "status"),
    [
        ((), 2),
        (("process", "--root", "R"), 2),
        (("process", "--root", "R", "--catalog", "nothing.fits"), 1),
        (("process", "x", "--root", "R", "--maps-only"), 2),
        (("process", "--root", "R", "--maps-only"), 1),
        (("process", "--root", "R", "--maps-only", "--window", "9", "8"), 2),
        (("process", "--root", "R", "--maps-only", "--calibration", "none"), 2),
        (("process", "--root", "R", "--skip-fits"), 2),
        (("patchify", "1-1", "--root", "R", "--patch-norm", "spectral"), 1),
        (("patchify", "1-1", "--root", "R", "--patch-norm", "spectral", "--patch-size", "4"), 2),
        (("stats", "--root", "R", "--split-dir", "S", "--out", "F"), 1),
        (("split", "--root", "R", "--catalog", "C", "--out", "O"), 1),
        (("train", "--root", "R", "--split-dir", "S", "--out", "O"), 1),
        (("train", "--root", "R", "--split-dir", "S", "--out", "O", "--lr", "7"), 2),
        (("evaluate", "--checkpoint", "C", "--root", "R", "--split-dir", "S", "--out", "O"), 1),
        (("predict", "a.h5", "--checkpoint", "C", "-o", "O"), 1),
        (("plot", "a.h5", "-o", "O"), 1),
        (("plot", "a.txt", "-o", "O"), 2),
        (("mock", "--root", "R", "--size", "3"), 2),
        (("download", "--root", "R"), 2),
        (("download", "8485-1901", "--root", "R", "--base-url", "file:///etc"), 2),
        (("hsi-benchmark", "--image", "a", "--ground-truth", "b", "--out", "O"), 1),
    ],
)
def test_wrong_words_end_in_one_line(run, tmp_path, monkeypatch, words, status):
    monkeypatch.chdir(tmp_path)
    found, out, err = run(*words)
    assert found == status
    assert out == ""
    if words and "usage" not in err:
        assert err.startswith("manga-ssftt: ")
        assert err.count("\n") == 1


def test_hostile_checkpoints_are_refused(run, tree, plateifus, tmp_path):
    import torch

    galaxy = next((tree / "processed").glob("cubes/*/*.h5"))

    class Evil:
        def __reduce__(self):
            return (os.system, (f"touch {tmp_path / 'pwned'}",))

    torch.save({"state_dict": {}, "evil": Evil()}, tmp_path / "evil.ckpt")
    torch.save({"state_dict": {}, "hyper_parameters": {}}, tmp_path / "other.ckpt")
    (tmp_path / "text.ckpt").write_text("no checkpoint")
    for name in ("evil", "other", "text"):
        status, _, err = run(
            "predict", galaxy, "--checkpoint", tmp_path / f"{name}.ckpt", "-o", tmp_path / "o.fits"
        )
        assert status == 1
        assert err.count("\n") == 1
        assert f"{name}.ckpt" in err
    assert not (tmp_path / "pwned").exists()
    assert not (tmp_path / "o.fits").exists()


def test_a_galaxy_on_another_grid_is_refused(own_tree, tree, run, plateifus, tmp_path):
    words = ("train", "--root", tree, "--split-dir", tree / "split", "--epochs", 1, "-q")
    words += ("--model", "simplenet", "--patch-size", 1, "--out", tmp_path / "m")
    assert run(*words)[0] == 0
    assert run(*process(own_tree, plateifus[0], "--n-pixels", 900, "-q"))[0] == 0
    galaxy = next((own_tree / "processed").glob("cubes/*/*.h5"))
    status, _, err = run(
        "predict", galaxy, "--checkpoint", tmp_path / "m" / "best.ckpt", "-o", tmp_path / "o.fits"
    )
    assert status == 1
    assert "900 wavelengths" in err
