from __future__ import annotations

import shutil

import pytest
import torch
from tokenfolder import TokenFolder

from astromodal_transformer.__main__ import main


@pytest.fixture(autouse=True, scope="session")
def one_thread():
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def written_tokens(tmp_path_factory):
    """Tokens that no test changes."""
    return TokenFolder(tmp_path_factory.mktemp("tokens")).write()


@pytest.fixture
def tokens(written_tokens, tmp_path):
    """Tokens with a configuration of their own, which a test may change and damage."""
    shutil.copytree(written_tokens.tokens, tmp_path / "own" / "tokens")
    own = TokenFolder(tmp_path / "own")
    own.vocabulary = written_tokens.vocabulary
    own.checksums = written_tokens.checksums
    own.arrays = written_tokens.arrays
    own.write_config()
    return own


@pytest.fixture
def run(capsys):
    """Runs the command; gives exit status, stdout and stderr."""

    def command(*words):
        status = main([str(word) for word in words])
        captured = capsys.readouterr()
        assert "Traceback" not in captured.err
        return status, captured.out, captured.err

    return command


@pytest.fixture(scope="session")
def trained(tmp_path_factory):
    """A run that has been trained; not to be changed."""
    folder = TokenFolder(tmp_path_factory.mktemp("trained")).write()
    assert main(["train", "--config", str(folder.config), "-q"]) == 0
    return folder


@pytest.fixture(scope="session")
def trained_causal(tmp_path_factory):
    """A causal run that has been trained; not to be changed."""
    folder = TokenFolder(tmp_path_factory.mktemp("causal"))
    folder.settings["model"] = {**folder.settings["model"], "objective": "causal"}
    folder.write()
    assert main(["train", "--config", str(folder.config), "-q"]) == 0
    return folder
