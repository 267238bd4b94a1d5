"""What every command of every package does alike."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from isolated_install import Package

# Libraries whose import takes a noticeable part of a second.
HEAVY = {
    "astropy",
    "astropy_healpix",
    "dask",
    "distributed",
    "matplotlib",
    "numpy",
    "pandas",
    "pyarrow",
    "pydantic",
    "scipy",
    "sklearn",
    "tensorflow",
    "torch",
}

# For each command, verbs whose configuration is absent.
ABSENT_CONFIGURATION = {
    "astromodal-tokenizers": [
        ["fit", "all", "--config", "absent.yaml"],
        ["encode", "--config", "absent.yaml"],
    ],
    "scone-io": [
        ["heatmaps", "MOCK_HEAD.FITS", "-o", "x.tfrecord", "--grid", "absent.yaml"],
    ],
    "splus-hypercube": [
        ["build", "--config", "absent.yaml"],
        ["validate", "absent.yaml"],
    ],
}


def script(command: str) -> Path:
    """Return the installed script of a command."""
    return Path(sys.executable).parent / command


def imported(importtime: str) -> set[str]:
    """Return the top-level modules named by the log of ``python -X importtime``."""
    names = (line.rsplit("|", 1)[1] for line in importtime.splitlines() if line.count("|") == 2)
    return {name.strip().split(".")[0] for name in names}


@pytest.fixture
def command(commanding_package: Package) -> str:
    """The command of each package, which is named after its distribution."""
    assert commanding_package.commands == (commanding_package.name,)
    return commanding_package.name


def test_help_is_the_result_and_names_the_verbs(
    command: str, finish: Callable, verbs_of: Callable
) -> None:
    done = finish(script(command), "--help")
    assert (done.status, done.stderr) == (0, "")
    assert done.stdout.startswith(f"usage: {command} ")
    assert len(verbs_of(command)) > 1


def test_module_and_script_say_the_same(
    command: str, commanding_package: Package, finish: Callable
) -> None:
    by_script = finish(script(command), "--help")
    by_module = finish(sys.executable, "-m", commanding_package.import_name, "--help")
    assert by_module == by_script


def test_every_verb_has_help(command: str, finish: Callable, verbs_of: Callable) -> None:
    for verb in verbs_of(command):
        done = finish(script(command), verb, "--help")
        assert (done.status, done.stderr) == (0, ""), verb
        assert done.stdout.startswith(f"usage: {command} {verb} ")


def test_help_imports_nothing_heavy(
    commanding_package: Package, finish: Callable, verbs_of: Callable
) -> None:
    python = (sys.executable, "-X", "importtime", "-m", commanding_package.import_name)
    overview = finish(*python, "--help")
    # The log lists what is imported at all, or the check below would pass on nothing.
    assert {"argparse", commanding_package.import_name} <= imported(overview.stderr)
    assert imported(overview.stderr) & HEAVY == set()
    for verb in verbs_of(commanding_package.name):
        done = finish(*python, verb, "--help")
        assert done.status == 0
        assert imported(done.stderr) & HEAVY == set(), verb


def test_version_is_that_of_the_distribution(
    command: str, commanding_package: Package, finish: Callable
) -> None:
    done = finish(script(command), "--version")
    assert (done.status, done.stderr) == (0, "")
    assert done.stdout == f"{command} {commanding_package.version}\n"


def test_no_verb_is_a_usage_error(command: str, finish: Callable) -> None:
    done = finish(script(command))
    assert (done.status, done.stdout) == (2, "")
    assert f"usage: {command} " in done.stderr


@pytest.mark.parametrize("word", ["--no-such-flag", "no-such-verb"])
def test_unknown_word_is_a_usage_error(command: str, finish: Callable, word: str) -> None:
    done = finish(script(command), word)
    assert (done.status, done.stdout) == (2, "")
    assert done.stderr.splitlines()[-1].startswith(f"{command}: error: ")
    assert "Traceback" not in done.stderr


def test_unknown_flag_of_a_verb_is_a_usage_error(
    command: str, finish: Callable, verbs_of: Callable
) -> None:
    for verb in verbs_of(command):
        done = finish(script(command), verb, "--no-such-flag")
        assert (done.status, done.stdout) == (2, ""), verb
        assert done.stderr.splitlines()[-1].startswith(f"{command} {verb}: error: ")
        assert "Traceback" not in done.stderr


def test_absent_configuration_is_one_line(command: str, finish: Callable, tmp_path: Path) -> None:
    for words in ABSENT_CONFIGURATION[command]:
        done = finish(script(command), *words, folder=tmp_path)
        assert (done.status, done.stdout) == (2, ""), words
        assert len(done.stderr.splitlines()) == 1, done.stderr
        assert done.stderr.startswith(f"{command}: ")
        assert "absent.yaml" in done.stderr
    assert list(tmp_path.iterdir()) == []
