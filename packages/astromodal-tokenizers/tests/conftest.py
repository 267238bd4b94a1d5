from __future__ import annotations

import shutil

import pytest
import torch
from cubefile import CubeRun

from astromodal_tokenizers.__main__ import main


def pytest_configure(config):
    # The tests are also run from an sdist, without the settings of the repository.
    config.addinivalue_line("markers", "real: reads real data; skipped where there are none")


@pytest.fixture(autouse=True, scope="session")
def one_thread():
    torch.set_num_threads(1)


@pytest.fixture
def make_run(tmp_path):
    """Makes runs; takes settings of the configuration."""

    def make(**settings):
        return CubeRun(tmp_path / "run", **settings)

    return make


@pytest.fixture(scope="session")
def fitted_run(tmp_path_factory):
    """A run of which all tokenizers are fitted and all fields encoded; not to be changed."""
    run = CubeRun(tmp_path_factory.mktemp("fitted") / "run").write()
    assert main(["fit", "all", "--config", str(run.config), "-q"]) == 0
    assert main(["encode", "--config", str(run.config), "-q"]) == 0
    return run


@pytest.fixture
def own_run(fitted_run, tmp_path):
    """A copy of the fitted run that a test may damage."""
    shutil.copytree(fitted_run.root, tmp_path / "own")
    return CubeRun(tmp_path / "own")
