from __future__ import annotations

import os
from pathlib import Path

import pytest
from sconeevents import make_events, write_shard

from scone_io.__main__ import main
from scone_io.mock import write_mock_shards


def pytest_configure(config):
    # The tests are also run from an sdist, without the settings of the repository.
    config.addinivalue_line("markers", "real: reads real data; skipped where there are none")


@pytest.fixture
def shard(tmp_path):
    """Twelve small events with their grid."""
    return write_shard(tmp_path / "small.tfrecord", make_events(12))


@pytest.fixture(scope="session")
def mock_folder(tmp_path_factory):
    """Two shards of 30 full-size events each; tests do not change them."""
    folder = tmp_path_factory.mktemp("mock") / "heatmaps"
    write_mock_shards(folder, num_shards=2, num_events=30, seed=5)
    return folder


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
    """The folder of real survey files."""
    default = Path(__file__).parents[3].parent / "shared" / "data"
    folder = Path(os.environ.get("ASTRO_REAL_DATA", default)) / "supernova"
    if not folder.is_dir():
        pytest.skip(f"no real supernova data in {folder}; set ASTRO_REAL_DATA")
    return folder
