from __future__ import annotations

import os
from pathlib import Path

import pytest
from sdssfiles import write_classes, write_spec

from sdss_spectra.__main__ import main


def pytest_configure(config):
    # The tests are also run from an sdist, without the settings of the repository.
    config.addinivalue_line("markers", "real: reads real data; skipped where there are none")
    config.addinivalue_line("markers", "slow: takes more than a few seconds")


@pytest.fixture
def spec(tmp_path):
    """One spec-lite file."""
    return write_spec(tmp_path / "data" / "spec-0266-51602-0001.fits")


@pytest.fixture(scope="session")
def classes(tmp_path_factory):
    """A folder for each of four classes, six stars each; tests do not change it."""
    return write_classes(tmp_path_factory.mktemp("classes") / "data")


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
def real_data():
    """The folder of real spectra."""
    default = Path(__file__).parents[3].parent / "shared" / "data"
    folder = Path(os.environ.get("ASTRO_REAL_DATA", default)) / "sdss"
    if not folder.is_dir():
        pytest.skip(f"no real spectra in {folder}; set ASTRO_REAL_DATA")
    return folder
