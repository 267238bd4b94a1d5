from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from manga_ssftt.__main__ import main
from manga_ssftt.mock.tree import DAPALL_NAME, write_mock

N_GALAXIES, SIZE_PX, SEED = 6, 14, 11


def pytest_configure(config):
    # The tests are also run from an sdist, without the settings of the repository.
    config.addinivalue_line("markers", "real: reads real data; skipped where there are none")
    config.addinivalue_line("markers", "slow: takes more than a few seconds")


@pytest.fixture(autouse=True)
def _one_thread(monkeypatch):
    """Networks of tests are small: their threads would only wait for those of other workers."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(1)


@pytest.fixture(scope="session")
def mock_raw(tmp_path_factory):
    """Six small synthetic galaxies, not processed; tests do not change them."""
    root = tmp_path_factory.mktemp("mock") / "raw-tree"
    write_mock(root, n_galaxies=N_GALAXIES, size_px=SIZE_PX, seed=SEED, progress=False)
    return root


@pytest.fixture(scope="session")
def catalog(mock_raw):
    """The dapall file of the mock."""
    return mock_raw / DAPALL_NAME


@pytest.fixture(scope="session")
def tree(mock_raw, tmp_path_factory):
    """The mock, processed, with a split and statistics; tests do not change it."""
    root = tmp_path_factory.mktemp("processed") / "tree"
    shutil.copytree(mock_raw, root)
    table = root / DAPALL_NAME
    for words in (
        ("process", "--root", root, "--catalog", table, "-q"),
        (
            *("split", "--root", root, "--catalog", table, "--fractions", 0.6, 0.2, 0.2),
            *("--seed", 3, "--out", root / "split", "-q"),
        ),
        (
            *("stats", "--root", root, "--split-dir", root / "split", "--n-components", 12),
            *("--out", root / "stats.safetensors", "-q"),
        ),
    ):
        assert main([str(word) for word in words]) == 0
    return root


@pytest.fixture(scope="session")
def plateifus(catalog):
    """Names of the mock's galaxies."""
    return [str(name) for name in fits.getdata(catalog, 1)["PLATEIFU"]]


@pytest.fixture(scope="session")
def truth(mock_raw):
    """True maps of a galaxy, by HDU name."""

    def read(plateifu):
        with fits.open(mock_raw / "truth" / f"{plateifu}.fits") as hdus:
            return {hdu.name: np.array(hdu.data) for hdu in hdus[1:]}

    return read


@pytest.fixture
def own_tree(mock_raw, tmp_path):
    """A copy of two galaxies of the mock, to be changed."""
    root = tmp_path / "tree"
    names = sorted((mock_raw / "raw").glob("*/*"))[:2]
    for folder in names:
        shutil.copytree(folder, root / folder.relative_to(mock_raw))
    shutil.copy(mock_raw / DAPALL_NAME, root / DAPALL_NAME)
    return root


@pytest.fixture
def run(capsys):
    """Runs the command; gives exit status, stdout and stderr."""

    def command(*words):
        try:
            status = main([str(word) for word in words])
        except SystemExit as ended:
            status = int(ended.code or 0)
        captured = capsys.readouterr()
        assert "Traceback" not in captured.err
        return status, captured.out, captured.err

    return command


@pytest.fixture
def run_json(run):
    """Runs the command with --json; gives the object, having checked the exit status."""

    def command(*words, status=0):
        found, out, err = run(*words, "--json", "-q")
        assert found == status, err
        return json.loads(out)

    return command


@pytest.fixture(scope="session")
def real_data():
    """The folder of real survey files."""
    default = Path(__file__).parents[3].parent / "shared" / "data"
    folder = Path(os.environ.get("ASTRO_REAL_DATA", default))
    if not (folder / "manga").is_dir():
        pytest.skip(f"no real MaNGA data in {folder}; set ASTRO_REAL_DATA")
    return folder
