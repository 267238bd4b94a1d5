"""The root files know every package, and the targets do what they promise."""

from __future__ import annotations

import os
import re
import shutil
import tomllib
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from isolated_install import SMOKE_RUNS, Package, find_packages


@pytest.fixture(scope="module")
def settings(root: Path) -> dict[str, Any]:
    """The tool tables of the root pyproject.toml."""
    return tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["tool"]


def test_tools_know_the_package(package: Package, settings: dict[str, Any]) -> None:
    name = package.import_name
    assert name in settings["importlinter"]["root_packages"]
    assert name in settings["coverage"]["run"]["source_pkgs"]
    assert name in settings["ruff"]["lint"]["isort"]["known-first-party"]
    assert f"packages/{package.name}/src" in settings["mypy"]["mypy_path"]


def test_projects_are_kept_apart(settings: dict[str, Any], root: Path) -> None:
    apart = settings["importlinter"]["contracts"][0]
    assert apart["type"] == "layers"
    projects, common = apart["layers"]
    assert common == "astro_common"
    found = {package.import_name for package in find_packages(root)} - {common}
    assert set(re.split(r"\s*\|\s*", projects)) == found


def test_pinned_settings_name_no_package_that_is_gone(settings: dict[str, Any], root: Path) -> None:
    names = {package.import_name for package in find_packages(root)}
    assert set(settings["importlinter"]["root_packages"]) == names
    assert set(settings["coverage"]["run"]["source_pkgs"]) == names


def test_each_command_does_a_job_when_installed_alone(commanding_package: Package) -> None:
    for command in commanding_package.commands:
        jobs, outputs = SMOKE_RUNS[command]
        assert jobs
        assert outputs


def test_test_modules_have_names_of_their_own(root: Path) -> None:
    # With importmode=importlib equal names work, but a report that names one is ambiguous.
    modules = [*root.glob("packages/*/tests/**/*.py"), *root.glob("tests/**/*.py")]
    counted = Counter(path.name for path in modules if path.name != "conftest.py")
    assert [name for name, count in counted.items() if count > 1] == []
    assert "__init__.py" not in counted


@pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")
def test_help_is_the_default_and_lists_every_target(root: Path, finish: Callable) -> None:
    text = (root / "Makefile").read_text(encoding="utf-8")
    targets = re.findall(r"^\.PHONY: ([a-z-]+)$", text, re.MULTILINE)
    targets += [f"test-{package.name}" for package in find_packages(root)]
    done = finish("make", "-C", root, "--no-print-directory")
    assert done.status == 0
    listed = {line.split()[0] for line in done.stdout.splitlines() if line.startswith("  ")}
    assert listed == set(targets)
    assert {"setup", "demo", "test-all", "lint", "types", "imports", "clean"} <= listed


@pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")
@pytest.mark.parametrize("found", ["an older Python", "no Python at all"])
def test_set_up_says_which_python_it_needs(
    root: Path, finish: Callable, tmp_path: Path, found: str
) -> None:
    fake = tmp_path / "fake-python"
    if found == "an older Python":
        # Answers the version check as Python 3.10 would.
        fake.write_text("#!/bin/sh\nexit 1\n", encoding="utf-8")
        fake.chmod(0o755)
    done = finish("make", "-C", root, "setup", f"VENV={tmp_path / 'venv'}", f"PYTHON={fake}")
    assert done.status == 2
    assert "no Python >= 3.11" in done.stderr
    assert str(fake) in done.stderr
    assert not (tmp_path / "venv").exists()


def test_check_script_can_be_run(root: Path) -> None:
    script = root / ".ci" / "run"
    assert os.access(script, os.X_OK)
    text = script.read_text(encoding="utf-8")
    assert text.startswith("#!/usr/bin/env bash\n")
    assert "set -euo pipefail" in text
    assert text.rstrip().endswith("make test-all")
