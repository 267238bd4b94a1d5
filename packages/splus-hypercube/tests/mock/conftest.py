from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq
import pytest

from splus_hypercube.bands import BANDS
from splus_hypercube.mock import write_mock
from splus_hypercube.mock.camera import CAMERA
from splus_hypercube.mock.fields import MockField, mock_fields
from splus_hypercube.mock.images import Apertures
from splus_hypercube.mock.sky import Sky, make_sky
from splus_hypercube.mock.splus import SplusCatalogue, make_catalogue

SEED = 20
SOURCES = 140
SIZE_PX = 300


@pytest.fixture(scope="session")
def mock_tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An ordinary field, one across RA 0 h, one with the pole, and a bare one."""
    folder = tmp_path_factory.mktemp("mock") / "tree"
    write_mock(folder, fields=4, sources=SOURCES, image_size_px=SIZE_PX, seed=SEED)
    return folder


@pytest.fixture(scope="session")
def mock_truth(mock_tree: Path):
    return pq.read_table(mock_tree / "truth.parquet")


@pytest.fixture(scope="session")
def mock_field() -> MockField:
    return mock_fields(1, size_px=1000, seed=SEED)[0]


@pytest.fixture(scope="session")
def mock_sky(mock_field: MockField) -> Sky:
    """Enough sources for statistics."""
    return make_sky(mock_field, 2000)


@pytest.fixture(scope="session")
def mock_catalogue(mock_sky: Sky) -> SplusCatalogue:
    """The S-PLUS catalogue of that sky as if all sources were point-like, without images."""
    fluxes = {}
    for band in BANDS:
        exposure = CAMERA[band.name]
        total = 10 ** (-0.4 * (mock_sky.mags[band.catalogue_name] - exposure.zero_point))
        fluxes[band.name] = total * exposure.aperture_fraction
    return make_catalogue(mock_sky, Apertures(fluxes, fluxes))
