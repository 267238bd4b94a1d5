"""Damaged survey files and outputs: each is read as what it says, or listed and left out."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

from astro_common.testing import damaged


@pytest.fixture
def attack(run):
    """Runs a command on damaged copies of a file; gives how many were refused."""

    def command(path, trials, words, statuses, clean=None):
        content = path.read_bytes()
        rng = np.random.default_rng(len(content))
        refused = 0
        for _ in range(trials):
            path.write_bytes(damaged(content, rng))
            if clean is not None:
                shutil.rmtree(clean, ignore_errors=True)
            status, _, err = run(*words)
            assert status in statuses, err
            if status != 0:
                refused += 1
                assert len(err.strip().splitlines()) >= 1
        path.write_bytes(content)
        return refused

    return command


@pytest.mark.parametrize(("kind", "trials"), [("MAPS", 30), ("LOGCUBE", 8)])
def test_damaged_survey_files(kind, trials, attack, own_tree, plateifus, catalog):
    name = plateifus[0]
    (path,) = own_tree.glob(f"raw/*/*/manga-{name}-{kind}-*.fits.gz")
    words = ["process", name, "--root", own_tree, "--catalog", own_tree / catalog.name, "-q"]
    words += ["--maps-only"] if kind == "MAPS" else []
    refused = attack(path, trials, words, (0, 1, 3), clean=own_tree / "processed")
    assert 1 < refused < trials


def test_damaged_catalogues(attack, own_tree, plateifus, catalog):
    path = own_tree / catalog.name
    words = ["process", plateifus[0], "--root", own_tree, "--catalog", path, "--maps-only", "-q"]
    assert 5 < attack(path, 30, words, (0, 1, 3), clean=own_tree / "processed") < 30


def test_damaged_galaxies(attack, tree, plateifus, tmp_path):
    root = tmp_path / "tree"
    name = plateifus[0]
    (source,) = (tree / "processed" / "cubes").glob(f"*/{name}.h5")
    path = root / source.relative_to(tree)
    path.parent.mkdir(parents=True)
    shutil.copy(source, path)
    words = ["patchify", name, "--root", root, "--label-task", "BPT", "--patch-norm", "global"]
    words += ["--patch-size", 3, "-q"]
    patches = root / "processed" / "patches"
    assert 30 < attack(path, 120, words, (0, 1, 3), clean=patches) <= 120
