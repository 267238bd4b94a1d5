"""What the tests of the whole repository share: where it is and which packages it holds."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from isolated_install import Package, find_packages

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = find_packages(ROOT)


@dataclass(frozen=True)
class Finished:
    """How a process ended."""

    status: int
    stdout: str
    stderr: str


@pytest.fixture(scope="session")
def root() -> Path:
    """The repository."""
    return ROOT


@pytest.fixture(params=PACKAGES, ids=lambda package: package.name)
def package(request: pytest.FixtureRequest) -> Package:
    """Each distribution in turn."""
    return request.param


@pytest.fixture(params=[package for package in PACKAGES if package.commands], ids=lambda p: p.name)
def commanding_package(request: pytest.FixtureRequest) -> Package:
    """Each distribution that has a command in turn."""
    return request.param


@pytest.fixture(scope="session")
def finish() -> Callable[..., Finished]:
    """Run a process to its end, without a terminal: ``finish(word, ..., folder=path)``."""

    def run(*words: str | Path, folder: Path | None = None) -> Finished:
        done = subprocess.run(
            [str(word) for word in words],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            # argparse folds its help at the width of the terminal.
            env=os.environ | {"COLUMNS": "100"},
        )
        return Finished(done.returncode, done.stdout, done.stderr)

    return run


@pytest.fixture(scope="session")
def verbs_of(finish: Callable[..., Finished]) -> Callable[[str], list[str]]:
    """Read the verbs of a command from its help: ``verbs_of(command)``."""

    def read(command: str) -> list[str]:
        text = finish(Path(sys.executable).parent / command, "--help").stdout
        # argparse indents the members of a group by four blanks, and their help further.
        listed = text.partition("\nverbs:\n")[2]
        verbs = re.findall(r"^ {4}([a-z][a-z-]*)(?: |$)", listed, re.MULTILINE)
        assert verbs, text
        return verbs

    return read
