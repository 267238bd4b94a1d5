"""Hundreds of damaged files: each is read as what it says, or refused in one line."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

from astro_common.errors import AstroError
from astro_common.testing import damaged
from cfht_iqa.mock.exposures import MockPlan, write_mock
from cfht_iqa.som import load_map


@pytest.fixture
def attack(run, tmp_path):
    """Runs a command on damaged copies of a file; gives how many were refused."""

    def command(path, trials, words, statuses):
        content = path.read_bytes()
        rng = np.random.default_rng(len(content))
        refused = 0
        for _ in range(trials):
            path.write_bytes(damaged(content, rng))
            shutil.rmtree(tmp_path / "out", ignore_errors=True)
            (tmp_path / "out").mkdir()
            status, _, err = run(*words)
            assert status in statuses, err
            if status != 0:
                refused += 1
                assert path.name.split(".")[0] in err
        return refused

    return command


@pytest.mark.parametrize("kind", ["fits", "fits.fz", "fits.gz"])
def test_damaged_exposures(kind, attack, tmp_path):
    plan = MockPlan(
        per_class=1,
        classes=("GOOD",),
        n_ccds=2,
        shape=(160, 180),
        sources_per_ccd=6000.0,
        layout=kind,
    )
    (path,) = write_mock(tmp_path / "mock", plan, progress=False)
    words = ("extract", path, "--output", tmp_path / "out", "-q")
    assert 5 < attack(path, 40, words, (0, 1)) < 40


def test_damaged_source_catalogues(attack, chain, tmp_path):
    one, other = (shutil.copy(path, tmp_path) for path in chain.catalogues[:2])
    words = ("catalogue", one, other, "--output", tmp_path / "out" / "c.parquet")
    assert 10 < attack(tmp_path / chain.catalogues[0].name, 80, words, (0, 3)) < 80


def test_damaged_catalogue_tables(attack, chain, tmp_path):
    path = tmp_path / "table.parquet"
    shutil.copy(chain.catalogue, path)
    words = ("train-som", path, "--output", tmp_path / "out" / "som", "--epochs", 1)
    words += ("--height", 4, "--width", 5)
    assert 20 < attack(path, 60, words, (0, 1)) <= 60


@pytest.mark.parametrize("name", ["labels.txt", "labels.csv"])
def test_damaged_labels(name, attack, chain, tmp_path):
    path = tmp_path / name
    shutil.copy(chain.labels if name == "labels.csv" else chain.folder / "mock" / name, path)
    words = ("label", path, "--output", tmp_path / "out" / "o.csv")
    assert 10 < attack(path, 100, words, (0, 1)) <= 100


@pytest.mark.parametrize("name", ["som.safetensors", "som.json"])
def test_damaged_maps(name, chain, tmp_path):
    folder = tmp_path / "som"
    shutil.copytree(chain.som, folder)
    path = folder / name
    content = path.read_bytes()
    rng = np.random.default_rng(1)
    messages = []
    for _ in range(150):
        path.write_bytes(damaged(content, rng))
        try:
            trained = load_map(folder)
        except AstroError as error:
            messages.append(str(error))
        else:
            assert np.isfinite(trained.som.weights_).all()
    assert len(messages) > 60
    assert not any("\n" in message for message in messages)
