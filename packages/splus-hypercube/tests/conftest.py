from __future__ import annotations

import pytest
from surveytree import SurveyTree


def pytest_configure(config):
    # The tests are also run from an sdist, without the settings of the repository.
    config.addinivalue_line("markers", "real: reads real data; skipped where there are none")


@pytest.fixture
def tree(tmp_path):
    """A small survey tree of one field, every position chosen by hand."""
    return SurveyTree(tmp_path / "tree").write()


@pytest.fixture
def make_tree(tmp_path):
    """Makes survey trees; takes the options of `SurveyTree`."""

    def make(name="tree", **options):
        return SurveyTree(tmp_path / name, **options).write()

    return make
