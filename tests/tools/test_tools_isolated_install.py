from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

import isolated_install
from isolated_install import (
    Package,
    StepError,
    bare_environment,
    find_packages,
    find_wheel,
    run_step,
    use,
)


@pytest.fixture
def fake(tmp_path: Path) -> Package:
    return Package("some-dist", "1.2.3", ("some-dist",), (), tmp_path)


def fake_command(folder: Path, body: str) -> Path:
    """Write a ``bin`` folder whose python and some-dist both run a shell script."""
    binaries = folder / "bin"
    binaries.mkdir()
    for name in ("python", "some-dist"):
        path = binaries / name
        path.write_text(f"#!/bin/sh\n{body}\n", encoding="utf-8")
        path.chmod(0o755)
    return binaries


def test_packages_are_found_by_their_project_table(root: Path) -> None:
    packages = {package.name: package for package in find_packages(root)}
    cube = packages["splus-hypercube"]
    assert cube.import_name == "splus_hypercube"
    assert cube.commands == ("splus-hypercube",)
    assert cube.folder == root / "packages" / "splus-hypercube"
    assert "astro-common" in packages


def test_the_wheel_of_this_version_is_taken(fake: Package, tmp_path: Path) -> None:
    with pytest.raises(StepError, match=r"found 0 files .*run make build"):
        find_wheel(fake, tmp_path)
    wheel = tmp_path / "some_dist-1.2.3-py3-none-any.whl"
    for path in (wheel, tmp_path / "some_dist-1.2.2-py3-none-any.whl"):
        path.touch()
    assert find_wheel(fake, tmp_path) == wheel


def test_a_step_returns_what_it_printed(tmp_path: Path) -> None:
    printed = run_step((sys.executable, "-c", "print('result')"), tmp_path, bare_environment())
    assert printed == "result\n"


def test_a_step_that_fails_says_how(tmp_path: Path) -> None:
    code = "import sys; print('the reason', file=sys.stderr); sys.exit(3)"
    with pytest.raises(StepError, match=r"status 3 from (.|\n)*the reason"):
        run_step((sys.executable, "-c", code), tmp_path, bare_environment())


def test_nothing_leads_back_to_the_repository(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", os.fspath(Path.cwd()))
    monkeypatch.setenv("VIRTUAL_ENV", "anything")
    assert not {"PYTHONPATH", "VIRTUAL_ENV"} & set(bare_environment())
    assert bare_environment()["PATH"] == os.environ["PATH"]


def test_the_version_must_be_that_of_the_package(fake: Package, tmp_path: Path) -> None:
    binaries = fake_command(tmp_path, "echo some-dist 9.9.9")
    with pytest.raises(StepError, match=r"expected 1\.2\.3"):
        use(fake, binaries, tmp_path)


def test_a_job_must_write_its_files(
    fake: Package, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    binaries = fake_command(tmp_path, "echo some-dist 1.2.3; test $1 != make || touch $2")
    runs = {"some-dist": ((("make", "one.txt"),), ("one.txt", "two.*"))}
    monkeypatch.setattr(isolated_install, "SMOKE_RUNS", runs)
    with pytest.raises(StepError, match=r"some-dist wrote no two\.\*"):
        use(fake, binaries, tmp_path)
    (tmp_path / "two.txt").touch()
    assert "some-dist --help --version make" in use(fake, binaries, tmp_path)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("torch==2.13.0", "torch"),
        ("Dask[distributed]", "dask"),
        ("types_PyYAML >= 6", "types-pyyaml"),
    ],
)
def test_names_of_requirements_are_compared_alike(text, name):
    assert isolated_install.normalise(text) == name


def test_tests_need_what_their_groups_name():
    needed = {isolated_install.normalise(text) for text in isolated_install.needed_by_tests()}
    assert {"pytest", "hypothesis", "torch"} <= needed
