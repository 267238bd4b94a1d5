from __future__ import annotations

import json
import os
from pathlib import Path
from types import SimpleNamespace

import pytest
from iqaframes import star_field, write_mef

from cfht_iqa.__main__ import main
from cfht_iqa.mock import MockPlan, write_mock


def pytest_configure(config):
    # The tests are also run from an sdist, without the settings of the repository.
    config.addinivalue_line("markers", "real: reads real data; skipped where there are none")


@pytest.fixture
def run(capsys):
    """Runs the command; gives exit status, stdout and stderr."""

    def command(*words):
        status = main([str(word) for word in words])
        captured = capsys.readouterr()
        assert "Traceback" not in captured.err
        return status, captured.out, captured.err

    return command


@pytest.fixture
def run_json(run):
    """Runs the command with --json; gives exit status and the object."""

    def command(*words):
        status, out, _ = run(*words, "--json", "-q")
        return status, json.loads(out)

    return command


@pytest.fixture
def exposure(tmp_path):
    """Two CCDs with a star field each."""
    ccds = {"ccd00": star_field(1), "ccd01": star_field(2)}
    return write_mef(tmp_path / "1234567o.fits", ccds)


def made_chain(folder, plan):
    """A mock through the chain up to the splits."""
    exposures = write_mock(folder / "mock", plan, progress=False)

    def do(*words):
        assert main([*map(str, words), "-q"]) == 0

    do("extract", *exposures, "--output", folder / "cat")
    catalogues = sorted((folder / "cat").glob("*.cat.fits"))
    do("catalogue", *catalogues, "--output", folder / "c.parquet")
    do("train-som", folder / "c.parquet", "--output", folder / "som", "--height", 6, "--width", 7)
    words = ["--catalogue", folder / "c.parquet", "--som", folder / "som"]
    do("represent", *exposures, *words, "--output", folder / "rep")
    do("label", folder / "mock" / "labels.txt", "--output", folder / "labels.csv")
    words = ["--catalogue", folder / "c.parquet", "--labels", folder / "labels.csv"]
    do("split", *words, "--output", folder / "splits.csv")
    return SimpleNamespace(
        folder=folder,
        exposures=exposures,
        catalogues=catalogues,
        catalogue=folder / "c.parquet",
        som=folder / "som",
        rep=folder / "rep",
        labels=folder / "labels.csv",
        splits=folder / "splits.csv",
    )


def tables_of(chain):
    """Options that name the tables of a chain."""
    return [
        *("--representatives", chain.rep),
        *("--labels", chain.labels),
        *("--splits", chain.splits),
    ]


def trained_model(chain, epochs):
    """A model trained on a chain."""
    folder = chain.folder / "model"
    words = ["train", *tables_of(chain), "--som", chain.som, "--output", folder]
    assert main([*map(str, words), "--epochs", str(epochs), "-q"]) == 0
    return folder


@pytest.fixture(scope="session")
def chain(tmp_path_factory):
    """A mock of four exposures per class through the chain up to the splits."""
    plan = MockPlan(per_class=4, n_ccds=2, shape=(448, 384), sources_per_ccd=9000.0, seed=3)
    return made_chain(tmp_path_factory.mktemp("chain"), plan)


@pytest.fixture(scope="session")
def tables(chain):
    """Options that name the tables of the chain."""
    return tables_of(chain)


@pytest.fixture(scope="session")
def model(chain):
    """A model trained for a few epochs on the mock."""
    return trained_model(chain, 12)


@pytest.fixture(scope="session")
def emmi_model(tmp_path_factory):
    """A model trained on a mock with the pixel scale of the real frame of EMMI."""
    plan = MockPlan(
        per_class=10,
        n_ccds=1,
        shape=(800, 800),
        star_share=0.4,
        margin="narrow",
        pixel_scale_arcsec=0.27,
        seed=7,
    )
    return trained_model(made_chain(tmp_path_factory.mktemp("emmi"), plan), 40)


@pytest.fixture(scope="session")
def real_data():
    """The folder of real CCD frames and catalogues."""
    default = Path(__file__).parents[3].parent / "shared" / "data"
    folder = Path(os.environ.get("ASTRO_REAL_DATA", default)) / "ccd"
    if not folder.is_dir():
        pytest.skip(f"no real CCD data in {folder}; set ASTRO_REAL_DATA")
    return folder
