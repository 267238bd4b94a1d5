from __future__ import annotations

import subprocess
import sys
from importlib.metadata import version

import pytest

import astro_common


def test_version_is_that_of_the_distribution():
    assert astro_common.__version__ == version("astro-common")


def test_there_is_nothing_else_at_the_top():
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        astro_common.nonsense  # noqa: B018 - looking it up is the test


@pytest.mark.parametrize(
    "module", ["arrow_fields", "atomic", "jobs", "jsonable", "parquet", "provenance", "votable"]
)
def test_each_module_can_be_imported_first(module):
    code = f"import astro_common.{module}"
    subprocess.run([sys.executable, "-c", code], check=True)
