#!/usr/bin/env python
"""Install each wheel of dist/ alone into a bare environment and use it there.

What a package imports and does not declare is missing there, as is everything that the developer's
environment holds by chance. Each module is imported, each command is asked for its help and its
version, and the commands in SMOKE_RUNS do a small job.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tarfile
import tempfile
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]

# Jobs of each command, run in an empty folder, with the files that must exist afterwards; what a
# job prints is kept as <verb>.out.
SMOKE_RUNS: dict[str, tuple[tuple[tuple[str, ...], ...], tuple[str, ...]]] = {
    # Without a hypercube there is nothing to learn from; the settings are all that can be had.
    "astromodal-tokenizers": ((("config",),), ("config.out",)),
    # Steps of training on sequences that are made up.
    "astromodal-transformer": (
        (
            ("config",),
            (
                *("bench", "--vocabulary-size", "500", "--d-model", "32", "--layers", "1"),
                *("--heads", "2", "--sequence-length", "32", "--batch-size", "2", "--steps", "2"),
            ),
        ),
        ("config.out", "bench.out"),
    ),
    "cfht-iqa": (
        (
            (
                *("mock", "mock", "--per-class", "1", "--classes", "GOOD", "--ccds", "2"),
                *("--ccd-size", "512x768"),
            ),
            ("extract", "mock/9080000o.fits", "--output", "catalogues"),
        ),
        ("catalogues/*.cat.fits",),
    ),
    "manga-ssftt": (
        (
            ("mock", "--root", "manga", "--n-galaxies", "1", "--size", "12"),
            ("process", "--root", "manga", "--catalog", "manga/dapall-v3_1_1-3.1.0.fits"),
        ),
        ("manga/processed/cubes/*/*.h5", "manga/processed/labels/BPT/*.png"),
    ),
    "scone-io": (
        (
            ("mock", "mock", "--events", "20"),
            ("verify", "mock"),
            ("extract", "mock", "-o", "events.csv"),
            ("plot", "mock", "-o", "figures"),
        ),
        ("mock/truth.json", "events.csv", "figures/index.html"),
    ),
    "sdss-spectra": (
        (
            ("mock", "spectra", "--per-class", "2", "--classes", "AGM"),
            ("preprocess", "spectra", "-o", "clean.parquet"),
            ("metadata", "spectra", "-o", "metadata.csv"),
        ),
        ("clean.parquet", "metadata.csv"),
    ),
    "splus-hypercube": (
        (
            ("mock", "mock", "--fields", "1", "--sources", "40", "--image-size", "200"),
            ("build", "--config", "mock/hypercube.yaml", "--out", "cubes"),
        ),
        ("mock/truth.parquet", "cubes/datacube_*.parquet"),
    ),
}

# Modules that need an extra, by the beginning of their names: a bare environment has none.
NEED_EXTRAS: dict[str, tuple[str, ...]] = {
    "astro_common": (
        "astro_common.benchmarking",
        "astro_common.configuration",
        "astro_common.figures",
    ),
    "cfht_iqa": ("cfht_iqa.model.", "cfht_iqa.pipeline", "cfht_iqa.report.page"),
    "scone_io": ("scone_io.model.", "scone_io.tensorflow_data", "scone_io.torch_data"),
}

# The dependency groups of the root pyproject.toml from which tests import.
TEST_GROUPS = ("tests", "peers")

# `python -c` gets the import name; __main__ modules are left to the command itself.
_IMPORT_ALL = """
import importlib, pkgutil, sys
package = importlib.import_module(sys.argv[1])
names = [info.name for info in pkgutil.walk_packages(package.__path__, package.__name__ + ".")]
extras = tuple(sys.argv[2:])
for name in names:
    if not name.endswith("__main__") and not name.startswith(extras):
        importlib.import_module(name)
assert sys.prefix in package.__file__, package.__file__
print(len(names))
"""


class StepError(Exception):
    """A step in an isolated environment did not do what it should."""


@dataclass(frozen=True)
class Package:
    """What this script needs to know of one distribution."""

    name: str
    version: str
    commands: tuple[str, ...]
    requirements: tuple[str, ...]
    folder: Path
    extras: tuple[str, ...] = ()

    @property
    def import_name(self) -> str:
        """The name of its import package (str)."""
        return self.name.replace("-", "_")


def find_packages(root: Path) -> list[Package]:
    """Read the distributions under packages/, sorted by name."""
    packages = []
    for path in sorted(root.glob("packages/*/pyproject.toml")):
        project: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))["project"]
        commands = tuple(sorted(project.get("scripts", {})))
        needed = tuple(project.get("dependencies", []))
        extras = tuple(sorted(project.get("optional-dependencies", {})))
        packages.append(
            Package(project["name"], project["version"], commands, needed, path.parent, extras)
        )
    return packages


def find_wheel(package: Package, folder: Path) -> Path:
    """Return the wheel of a package in dist/.

    Raises
    ------
    StepError
        There is not exactly one of the package's version.
    """
    pattern = f"{package.import_name}-{package.version}-*.whl"
    wheels = sorted(folder.glob(pattern))
    if len(wheels) != 1:
        raise StepError(f"found {len(wheels)} files {folder.name}/{pattern}; run make build")
    return wheels[0]


def run_step(command: Sequence[str | Path], folder: Path, environment: dict[str, str]) -> str:
    """Run one step and return what it printed.

    Raises
    ------
    StepError
        The command's exit status is not 0; the message ends with the last lines that it wrote.
    """
    words = [str(word) for word in command]
    done = subprocess.run(
        words, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        shown = " ".join("<code>" if "\n" in word else word for word in words)
        tail = "\n".join((done.stdout + done.stderr).strip().splitlines()[-15:])
        raise StepError(f"status {done.returncode} from {shown}\n{tail}")
    return done.stdout


def bare_environment() -> dict[str, str]:
    """Return this process's environment without what leads Python back to the repository."""
    hidden = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "UV_PROJECT")
    return {key: value for key, value in os.environ.items() if key not in hidden}


def normalise(requirement: str) -> str:
    """Return the name of a requirement as packages are compared: lower case, single hyphens."""
    name = re.split(r"[^A-Za-z0-9._-]", requirement.strip(), maxsplit=1)[0]
    return re.sub(r"[-_.]+", "-", name).lower()


def needed_by_tests() -> list[str]:
    """Read what the tests import besides the packages themselves."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    groups = settings["dependency-groups"]
    return [text for name in TEST_GROUPS for text in groups[name] if isinstance(text, str)]


def install(package: Package, wheels: Path, work: Path, *, lowest: bool, tests: bool) -> Path:
    """Make an environment with one wheel and its dependencies and return its ``bin`` folder.

    With `tests`, the package's extras and what the tests need come on top.
    """
    environment = bare_environment()
    # The option --find-links would replace the folders that this variable names.
    known = [name for name in environment.get("UV_FIND_LINKS", "").split(",") if name]
    environment["UV_FIND_LINKS"] = ",".join([*known, str(wheels)])
    uv = (sys.executable, "-m", "uv")
    target = work / "environment"
    run_step((*uv, "venv", "--quiet", "--python", sys.executable, target), work, environment)
    python = target / "bin" / "python"
    # "Direct" is what the command line names: the requirements stand there beside the wheel.
    pinned = ["-c", str(ROOT / "constraints.txt")]
    if lowest:
        pinned = ["--resolution", "lowest-direct", *package.requirements]
    # A wheel of an earlier build with the same version may still be in uv's cache.
    fresh = [word for own in find_packages(ROOT) for word in ("--refresh-package", own.name)]
    wheel = str(find_wheel(package, wheels))
    if tests and package.extras:
        wheel = f"{wheel}[{','.join(package.extras)}]"
    pip = (*uv, "pip")
    into = (*pip, "install", "--quiet", "--python", python)
    run_step((*into, *fresh, *pinned, wheel), work, environment)
    run_step((*pip, "check", "--python", python), work, environment)
    if tests:
        # It changes nothing of what was installed.
        held = work / "held.txt"
        frozen = run_step((*pip, "freeze", "--python", python), work, environment)
        pins = [line for line in frozen.splitlines() if "==" in line]
        held.write_text("\n".join(pins) + "\n", encoding="utf-8")
        there = {normalise(line.partition("==")[0]) for line in pins}
        wanted = [text for text in needed_by_tests() if normalise(text) not in there]
        tested = [] if lowest else ["-c", str(ROOT / "constraints.txt")]
        run_step((*into, "-c", held, *tested, *wanted), work, environment)
    return target / "bin"


def use(package: Package, binaries: Path, work: Path) -> str:
    """Import every module, ask each command for help and version, do its small job."""
    environment = bare_environment()
    python = binaries / "python"
    extras = NEED_EXTRAS.get(package.import_name, ())
    importing: tuple[str | Path, ...] = (python, "-c", _IMPORT_ALL, package.import_name, *extras)
    count = run_step(importing, work, environment).strip()
    done = [f"{count} modules imported"]
    for command in package.commands:
        run_step((binaries / command, "--help"), work, environment)
        run_step((python, "-m", package.import_name, "--help"), work, environment)
        version = run_step((binaries / command, "--version"), work, environment)
        if package.version not in version:
            raise StepError(f"{command} --version printed {version!r}, expected {package.version}")
        jobs, outputs = SMOKE_RUNS.get(command, ((), ()))
        for job in jobs:
            printed = run_step((binaries / command, *job), work, environment)
            if printed:
                (work / f"{job[0]}.out").write_text(printed, encoding="utf-8")
        for output in outputs:
            if not list(work.glob(output)):
                raise StepError(f"{command} wrote no {output}")
        done.append(" ".join([command, "--help", "--version", *(job[0] for job in jobs)]))
    return ", ".join(done)


def run_tests(package: Package, binaries: Path, work: Path) -> str:
    """Run the package's own tests in its environment and return pytest's closing line."""
    # Old versions warn of what newer ones changed; that is no fault of ours. Matplotlib would pass
    # on that its old style files are deprecated, on standard error, where tests look.
    options = ["-q", "-p", "no:cacheprovider", "-W", "default", "-W", "ignore::DeprecationWarning"]
    options += ["-n", "logical", "--maxprocesses", "4", "--dist", "loadfile"]
    options += ["--rootdir", str(ROOT), "-c", str(ROOT / "pyproject.toml")]
    command = [str(binaries / "python"), "-m", "pytest", *options, str(package.folder / "tests")]
    return run_step(command, work, bare_environment()).strip().splitlines()[-1]


def run_sdist_tests(package: Package, binaries: Path, folder: Path, work: Path) -> str:
    """Run the tests that the sdist holds, from where it is unpacked; return the closing line."""
    (sdist,) = folder.glob(f"{package.import_name}-{package.version}.tar.gz")
    with tarfile.open(sdist) as archive:
        archive.extractall(work / "sdist", filter="data")
    (unpacked,) = (work / "sdist").iterdir()
    options = ["-q", "-n", "logical", "--maxprocesses", "4", "--dist", "loadfile"]
    command = [str(binaries / "python"), "-m", "pytest", *options, "tests"]
    return run_step(command, unpacked, bare_environment()).strip().splitlines()[-1]


def main(argv: list[str] | None = None) -> int:
    """Try every package; 1 if one of them failed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--lowest",
        action="store_true",
        help="take the oldest versions that the package allows, and run its tests",
    )
    parser.add_argument(
        "--sdist", action="store_true", help="run the tests that each sdist holds, unpacked"
    )
    parser.add_argument("--dist", type=Path, default=ROOT / "dist", help="folder of the wheels")
    parser.add_argument("only", nargs="*", metavar="DIST", help="only these distributions")
    arguments = parser.parse_args(argv)
    packages = find_packages(ROOT)
    unknown = set(arguments.only) - {package.name for package in packages}
    if unknown:
        parser.error(f"no such distribution: {', '.join(sorted(unknown))}")
    failed = 0
    for package in packages:
        if arguments.only and package.name not in arguments.only:
            continue
        with tempfile.TemporaryDirectory(prefix="isolated-") as folder:
            work = Path(folder)
            try:
                built = arguments.dist.resolve()
                tests = arguments.lowest or arguments.sdist
                binaries = install(package, built, work, lowest=arguments.lowest, tests=tests)
                result = use(package, binaries, work)
                if arguments.lowest:
                    result += ", " + run_tests(package, binaries, work)
                if arguments.sdist:
                    result += ", sdist: " + run_sdist_tests(package, binaries, built, work)
            except StepError as error:
                failed += 1
                result = f"FAILED: {error}"
        print(f"{package.name} {package.version}: {result}", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
