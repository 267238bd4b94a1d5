"""What every command of every package does alike."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
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
    "astromodal-transformer": [
        ["train", "--config", "absent.yaml"],
        ["evaluate", "--config", "absent.yaml", "--checkpoint", "best"],
    ],
    "cfht-iqa": [
        ["run", "absent.yaml"],
    ],
    "manga-ssftt": [
        ["process", "--root", ".", "--catalog", "dapall.fits", "--calibration", "absent.yaml"],
    ],
    "scone-io": [
        ["heatmaps", "MOCK_HEAD.FITS", "-o", "x.tfrecord", "--grid", "absent.yaml"],
    ],
    # It has no configuration file; a table is named by its extension.
    "sdss-spectra": [
        ["metadata", ".", "-o", "absent.yaml"],
    ],
    "splus-hypercube": [
        ["build", "--config", "absent.yaml"],
        ["validate", "absent.yaml"],
    ],
}

# For each command, verbs whose input is absent; they say so and write nothing.
ABSENT_INPUT = {
    "astromodal-tokenizers": [["inspect", "absent.npz"]],
    "astromodal-transformer": [["export", "--checkpoint", "absent", "--out", "model"]],
    "cfht-iqa": [["train-som", "absent.parquet", "--output", "som"]],
    "manga-ssftt": [
        ["predict", "absent.h5", "--checkpoint", "absent.ckpt", "-o", "map.fits"],
        ["stats", "--root", "absent", "--split-dir", "absent", "--out", "s.safetensors"],
    ],
    "scone-io": [["info", "absent.tfrecord"], ["extract", "absent.tfrecord", "-o", "x.csv"]],
    "sdss-spectra": [
        ["lines", "absent.fits", "-o", "lines.csv"],
        ["plot", "absent.fits", "-o", "spectrum.png"],
    ],
    "splus-hypercube": [
        ["inspect", "absent.parquet"],
        ["view", "absent.parquet"],
        ["crossmatch", "absent.fits", "absent.csv", "--radius", "1", "-o", "pairs.parquet"],
    ],
}

# For each command, one that makes something; run again, it must not replace what is there.
MAKING = {
    "manga-ssftt": ["mock", "--root", "made", "--n-galaxies", "1", "--size", "8"],
    "scone-io": ["mock", "made", "--events", "3"],
    "sdss-spectra": ["mock", "made", "--per-class", "1", "--classes", "A"],
    "splus-hypercube": [
        *("mock", "made", "--fields", "1", "--sources", "8", "--image-size", "80"),
    ],
}

# For each command, one that would go on for minutes.
LONG = {
    "astromodal-tokenizers": ["fit", "image", "--config", "tokens.yaml"],
    "astromodal-transformer": ["bench", "--d-model", "256", "--layers", "6", "--steps", "9999"],
    "cfht-iqa": ["mock", "made", "--per-class", "200"],
    "manga-ssftt": ["mock", "--root", "made", "--n-galaxies", "900", "--size", "30"],
    "scone-io": ["mock", "made", "--events", "200000"],
    "sdss-spectra": ["mock", "made", "--per-class", "9000"],
    "splus-hypercube": ["mock", "made", "--fields", "90", "--sources", "2000"],
}
SIGTERM_BIT = 1 << (signal.SIGTERM - 1)


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
        # What a verb without required arguments does not know is the whole command's to refuse.
        last = done.stderr.splitlines()[-1]
        assert last.startswith((f"{command} {verb}: error: ", f"{command}: error: unrecognized "))
        assert "Traceback" not in done.stderr


def test_absent_configuration_is_one_line(command: str, finish: Callable, tmp_path: Path) -> None:
    for words in ABSENT_CONFIGURATION[command]:
        done = finish(script(command), *words, folder=tmp_path)
        assert (done.status, done.stdout) == (2, ""), words
        assert len(done.stderr.splitlines()) == 1, done.stderr
        assert done.stderr.startswith(f"{command}: ")
        assert "absent.yaml" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_absent_input_is_one_line(command: str, finish: Callable, tmp_path: Path) -> None:
    for words in ABSENT_INPUT[command]:
        done = finish(script(command), *words, folder=tmp_path)
        assert (done.status, done.stdout) == (1, ""), words
        assert len(done.stderr.splitlines()) == 1, done.stderr
        assert done.stderr.startswith(f"{command}: absent")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", sorted(MAKING))
def test_what_is_there_is_not_replaced(name: str, finish: Callable, tmp_path: Path) -> None:
    first = finish(script(name), *MAKING[name], folder=tmp_path)
    assert first.status == 0, first.stderr
    made = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.is_file()}
    assert made
    again = finish(script(name), *MAKING[name], folder=tmp_path)
    assert again.status in (1, 2)
    assert "exist" in again.stderr or "--overwrite" in again.stderr
    assert "Traceback" not in again.stderr
    assert {path: path.stat().st_mtime_ns for path in made} == made


@pytest.mark.parametrize("name", sorted(MAKING))
def test_json_is_one_object(name: str, finish: Callable, tmp_path: Path) -> None:
    done = finish(script(name), *MAKING[name], "--json", folder=tmp_path)
    assert done.status == 0, done.stderr
    assert isinstance(json.loads(done.stdout), dict)


@pytest.mark.parametrize("name", sorted(MAKING))
def test_without_a_terminal_nothing_is_written_for_one(
    name: str, finish: Callable, tmp_path: Path
) -> None:
    done = finish(script(name), *MAKING[name], folder=tmp_path)
    assert done.status == 0, done.stderr
    # Bars that redraw themselves and colours would fill a log with escape sequences.
    for text in (done.stdout, done.stderr):
        assert "\r" not in text
        assert "\x1b" not in text


def is_ready(process: subprocess.Popen[str]) -> bool:
    """Whether a command has read its arguments: it catches SIGTERM from then on."""
    status = Path(f"/proc/{process.pid}/status").read_text(encoding="utf-8")
    caught = next(line for line in status.splitlines() if line.startswith("SigCgt:"))
    return bool(int(caught.split()[1], 16) & SIGTERM_BIT)


@pytest.fixture
def long_input(command: str, finish: Callable, tmp_path: Path) -> None:
    """What the long run of a command reads, where it reads anything."""
    if command != "astromodal-tokenizers":
        return
    hypercube = script("splus-hypercube")
    sizes = ("--fields", "1", "--sources", "40", "--image-size", "120")
    finish(hypercube, "mock", "sky", *sizes, folder=tmp_path)
    done = finish(hypercube, "build", "--config", "sky/hypercube.yaml", folder=tmp_path)
    assert done.status == 0, done.stderr
    (tmp_path / "tokens.yaml").write_text(
        "hypercube: sky/hypercube/datacube_{field}.parquet\nimage: {epochs: 99999}\n"
    )


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads /proc")
@pytest.mark.parametrize("kind", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_is_one_line_and_leaves_nothing_half_written(
    command: str, long_input: None, tmp_path: Path, kind: signal.Signals
) -> None:
    process = subprocess.Popen(
        [script(command), *LONG[command]],
        cwd=tmp_path,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 60.0
    while process.poll() is None and not is_ready(process) and time.monotonic() < deadline:
        time.sleep(0.02)
    time.sleep(2.0)
    assert process.poll() is None, process.communicate()
    process.send_signal(kind)
    stdout, stderr = process.communicate(timeout=120)
    assert process.returncode == 130, stderr
    assert stdout == ""
    assert stderr.splitlines()[-1] == f"{command}: interrupted"
    assert "Traceback" not in stderr
    assert [path for path in tmp_path.rglob("*") if path.name.endswith(".partial")] == []
