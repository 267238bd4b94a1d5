from __future__ import annotations

from pathlib import Path

import pytest

from refresh_constraints import (
    clean_pins,
    dependency_groups,
    oldest_python,
    package_requirements,
)


def test_pins_are_sorted_and_normalised() -> None:
    lines = ["# made by a tool", "", "zipp==4.1.2", "Typing_Extensions==4.16.0  # via numpy"]
    assert clean_pins(lines) == ["typing-extensions==4.16.0", "zipp==4.1.2"]


def test_local_version_label_is_dropped() -> None:
    assert clean_pins(["torch==2.13.0+cpu"]) == ["torch==2.13.0"]


def test_own_distributions_get_no_pin() -> None:
    assert clean_pins(["astro-common==0.1.0", "numpy==2.4.6"], ["astro_common"]) == ["numpy==2.4.6"]


@pytest.mark.parametrize(
    "line",
    [
        "astro-common @ file:///somewhere/astro-common",
        "-e ./packages/astro-common",
        "--find-links wheels",
        "numpy>=2",
        "backports-zstd==1.8.0 ; python_version < '3.14'",
    ],
)
def test_anything_but_a_pin_is_refused(line: str) -> None:
    with pytest.raises(ValueError, match="is not a plain name==version"):
        clean_pins([line])


def test_requirements_are_folders_with_all_extras(tmp_path: Path) -> None:
    folder = tmp_path / "packages" / "one"
    folder.mkdir(parents=True)
    (folder / "pyproject.toml").write_text(
        '[project]\nname = "one"\n[project.optional-dependencies]\nview = []\ndask = []\n',
        encoding="utf-8",
    )
    assert package_requirements(tmp_path) == {"one": f"one[dask,view] @ {folder.as_uri()}"}


def test_oldest_python_is_that_of_all_packages(tmp_path: Path, root: Path) -> None:
    assert oldest_python(root) == "3.11"
    for name, asked in (("one", ">=3.11"), ("two", ">=3.12")):
        folder = tmp_path / "packages" / name
        folder.mkdir(parents=True)
        text = f'[project]\nname = "{name}"\nrequires-python = "{asked}"\n'
        (folder / "pyproject.toml").write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match="the same minimum"):
        oldest_python(tmp_path)


def test_groups_are_those_of_the_root_file(root: Path) -> None:
    groups = dependency_groups(root)
    assert {"dev", "tests", "peers"} <= set(groups)
    assert groups == sorted(groups)


def test_every_developer_tool_is_pinned(root: Path) -> None:
    pinned = {
        line.split("==")[0]
        for line in (root / "constraints.txt").read_text(encoding="utf-8").splitlines()
    }
    assert {"pytest", "ruff", "mypy", "sphinx", "uv", "pip", "hatchling", "twine"} <= pinned
