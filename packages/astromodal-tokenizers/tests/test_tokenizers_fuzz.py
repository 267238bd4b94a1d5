"""Hundreds of damaged files: each is read as what it says, or refused in one line."""

from __future__ import annotations

import numpy as np
import pytest

from astro_common.testing import damaged
from astromodal_tokenizers.__main__ import main


@pytest.fixture
def attack(capsys):
    """Runs a command on damaged copies of a file; gives how many were refused."""

    def command(path, trials, words, statuses):
        content = path.read_bytes()
        rng = np.random.default_rng(len(content))
        refused = 0
        for _ in range(trials):
            path.write_bytes(damaged(content, rng))
            status = main([str(word) for word in words])
            message = capsys.readouterr().err.strip()
            assert "Traceback" not in message
            assert status in statuses, message
            if status != 0:
                refused += 1
                assert message
        path.write_bytes(content)
        return refused

    return command


def decode(run, tmp_path):
    words = ["decode", "--config", run.config, "--field", "F1", "--overwrite", "-q"]
    return [*words, "--out", tmp_path / "decoded.parquet"]


def test_damaged_hypercubes(attack, own_run):
    words = ["encode", "--config", own_run.config, "--field", "F1", "--overwrite", "-q"]
    assert 10 < attack(own_run.cube(), 60, words, (0, 1)) < 60


@pytest.mark.parametrize("family", ["scalar", "spectrum", "image"])
def test_damaged_tokens(family, attack, own_run, tmp_path):
    path = own_run.tokens(family)
    assert 30 < attack(path, 60, decode(own_run, tmp_path), (0, 1)) <= 60


@pytest.mark.parametrize("family", ["scalar", "spectrum", "image"])
def test_damaged_codebooks(family, attack, own_run, tmp_path):
    path = own_run.output / "codebooks" / f"{family}.safetensors"
    assert 30 < attack(path, 60, decode(own_run, tmp_path), (0, 1)) <= 60


def test_damaged_configurations(attack, own_run, tmp_path):
    assert 30 < attack(own_run.config, 80, decode(own_run, tmp_path), (0, 1, 2)) <= 80
