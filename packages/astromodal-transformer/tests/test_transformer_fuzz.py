"""Hundreds of damaged files: each is read as what it says, or refused in one line."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

from astro_common.testing import damaged

TRIALS = 60


@pytest.fixture
def own(trained, tmp_path):
    """A copy of a trained run, to be damaged."""
    shutil.copytree(trained.root, tmp_path / "own")
    return tmp_path / "own"


@pytest.mark.parametrize(
    "name",
    [
        "tokens/vocabulary.json",
        "tokens/store/scalar/datacube_F1.arrow",
        "tokens/store/spectrum/datacube_F1.arrow",
        "tokens/store/image/datacube_F1.arrow",
        "tokens/codebooks/scalar.safetensors",
        "tokens/codebooks/spectrum.safetensors",
        "run/checkpoints/best/model.safetensors",
        "run/checkpoints/best/config.json",
        "run.yaml",
    ],
)
def test_damaged_files(name, own, trained, run, tmp_path):
    path = own / name
    content = path.read_bytes()
    rng = np.random.default_rng(len(content))
    words = ["predict", "--config", own / trained.config.name, "--field", "F1"]
    words += ["--checkpoint", own / trained.checkpoint().relative_to(trained.root)]
    words += ["--target", "specz_z", "--out", tmp_path / "p.parquet", "--overwrite", "-q"]
    refused = 0
    for _ in range(TRIALS):
        path.write_bytes(damaged(content, rng))
        status, _, err = run(*words)
        assert status in (0, 1, 2), err
        if status != 0:
            refused += 1
            assert len(err.strip().splitlines()) == 1
    assert 20 < refused <= TRIALS
