"""Every command in a README or a tutorial does what the page says, from an empty folder on."""

from __future__ import annotations

import argparse
import importlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from isolated_install import find_packages
from site_blocks import Step, command_fault, option_faults, read_steps, same_shape

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = find_packages(ROOT)


@dataclass(frozen=True)
class NotRun:
    """Commands that no test runs; whether their verbs and options exist is checked all the same.

    Attributes
    ----------
    page : str
        Where they stand; ``*`` for every page.
    start : str
        How such a command, or script, begins.
    reason : str
    """

    page: str
    start: str
    reason: str


NOT_RUN = (
    NotRun("docs/getting-started.md", "make ", "takes minutes; other tests do the same"),
    NotRun("*", "python -m pip install", "installs packages"),
    NotRun(
        "docs/packages/scone-io/how-to.md",
        "scone-io heatmaps curves/MOCK_HEAD.FITS -o mine.tfrecord --overwrite",
        "a cluster",
    ),
    NotRun(
        "docs/packages/splus-hypercube/how-to.md",
        "splus-hypercube build --config mock/hypercube.yaml --out cubes --scheduler",
        "a cluster",
    ),
    NotRun("docs/packages/sdss-spectra/how-to.md", "sdss-spectra fetch", "the internet"),
    NotRun("docs/packages/manga-ssftt/how-to.md", "manga-ssftt download", "the internet"),
    NotRun(
        "docs/packages/manga-ssftt/how-to.md",
        "manga-ssftt process --root tree --catalog tree/dapall-v3_1_1-3.1.0.fits --scheduler",
        "a cluster",
    ),
    NotRun("packages/manga-ssftt/README.md", "manga-ssftt hsi-benchmark", "takes minutes"),
    NotRun(
        "docs/packages/cfht-iqa/how-to.md",
        "cfht-iqa extract mock/*.fits -o catalogues --scheduler",
        "a cluster",
    ),
    NotRun(
        "docs/packages/cfht-iqa/how-to.md",
        "cfht-iqa extract mock/*.fits -o by-sextractor",
        "a program that is not a Python package",
    ),
    NotRun(
        "docs/packages/astromodal-tokenizers/how-to.md",
        "astromodal-tokenizers encode --config tokens.yaml --scheduler",
        "a cluster",
    ),
    NotRun(
        "docs/packages/astromodal-transformer/how-to.md",
        "astromodal-transformer train --config run.yaml --overwrite --set model.preset=base",
        "eight GPUs",
    ),
    NotRun(
        "packages/astromodal-transformer/README.md",
        "astromodal-transformer evaluate --config run.yaml --checkpoint run --json \\\n"
        "    --set tokens=other/tokens",
        "another sky of fifteen fields",
    ),
    NotRun(
        "README.md", "make ", "takes minutes; the tests of tools/demo.py and of the rest run it"
    ),
)

# The settings of the tutorials of the astromodal packages, which READMEs leave at larger values.
_SMALL_SKY = (
    "--fields 2 --sources 2000 --image-size 2400 --seed 1",
    "--fields 1 --sources 300 --image-size 500 --cutout-size 32 --seed 1",
)
_LARGE_CODEBOOKS = (
    "printf 'scalar: {min_values: 100}\\nimage: {width: 8, epochs: 3}\\n' > tokens.yaml\n"
    "printf 'spectrum: {epochs: 4}\\nsplit: {nside: 4096}\\n' >> tokens.yaml"
)

# What is made smaller here than on the page, so that all pages together take minutes, and in such a
# way that a README begins as the tutorial does: the page, the text, what stands in its place. A
# place that ends in an ellipsis is filled with the command of the tutorial that begins so.
SMALLER: tuple[tuple[str, str, str], ...] = (
    ("packages/astromodal-tokenizers/README.md", *_SMALL_SKY),
    ("packages/astromodal-tokenizers/README.md", _LARGE_CODEBOOKS, "cat > tokens.yaml ..."),
    (
        "packages/astromodal-tokenizers/README.md",
        "--out report\n",
        "--out report --no-comparison\n",
    ),
    ("packages/astromodal-transformer/README.md", *_SMALL_SKY),
    ("packages/astromodal-transformer/README.md", _LARGE_CODEBOOKS, "cat > tokens.yaml ..."),
    ("packages/astromodal-transformer/README.md", "touch run.yaml", "cat > run.yaml ..."),
    (
        "packages/astromodal-transformer/README.md",
        " --set model.preset=tiny training.max_minutes=5\n",
        "\n",
    ),
    (
        "packages/astromodal-transformer/README.md",
        '--given "mag_*" "gaiaxp_*" --target specz_z gaia_teff_gspphot',
        '--given "mag_*" --target gaia_teff_gspphot',
    ),
    (
        "packages/cfht-iqa/README.md",
        "--per-class 10 --ccds 4",
        "--per-class 3 --classes GOOD,BGP,RBT --ccds 1",
    ),
    ("packages/cfht-iqa/README.md", "output: run\\n'", "output: run\\ntrain: {epochs: 3}\\n'"),
    ("packages/cfht-iqa/README.md", "--som som -o model\n", "--som som -o model --epochs 3\n"),
    (
        "packages/manga-ssftt/README.md",
        "--n-galaxies 12 --size 20",
        "--n-galaxies 3 --size 12 --seed 1",
    ),
    ("packages/manga-ssftt/README.md", "--fractions 0.6 0.2 0.2", "--fractions 0.34 0.33 0.33"),
    ("packages/manga-ssftt/README.md", "--epochs 20", "--epochs 2"),
    ("packages/sdss-spectra/README.md", "--per-class 40", "--per-class 6 --classes AGM --seed 1"),
    ("packages/sdss-spectra/README.md", "--epochs 5", "--epochs 1"),
    ("packages/scone-io/README.md", "--events 200", "--events 40 --seed 1"),
    (
        "packages/splus-hypercube/README.md",
        "--sources 100 --image-size 400 --seed 1",
        "--sources 60 --image-size 300 --cutout-size 48 --seed 1",
    ),
)

_VARIABLE = re.compile(r"[A-Z_]+=")

# Options of pip that stand in the running text of READMEs.
FOREIGN_OPTIONS = {"--find-links"}


def pages() -> list[str]:
    """Return the paths of all READMEs and tutorials, relative to the repository."""
    found = [ROOT / "README.md", *ROOT.glob("packages/*/README.md")]
    found += [*ROOT.glob("docs/packages/*/tutorial.md"), ROOT / "docs" / "getting-started.md"]
    return sorted(path.relative_to(ROOT).as_posix() for path in found)


def text_of(page: str) -> str:
    """Return a page, with what is made smaller."""
    text = (ROOT / page).read_text(encoding="utf-8")
    for where, given, smaller in SMALLER:
        if where == page:
            assert given in text, (page, given)
            text = text.replace(given, in_tutorial(page, smaller))
    return text


def in_tutorial(page: str, text: str) -> str:
    """Return a replacement, or the command of the package's tutorial that it is the start of."""
    start, ellipsis, _ = text.partition(" ...")
    if not ellipsis:
        return text
    tutorial = ROOT / "docs" / Path(page).parent / "tutorial.md"
    steps = read_steps(tutorial.read_text(encoding="utf-8"))
    return next(step.text for step in steps if step.text.startswith(start))


def steps_of(page: str) -> list[Step]:
    """Return what a page says is to be run; a tutorial is followed by its recipes."""
    steps = read_steps(text_of(page))
    recipes = page.replace("tutorial.md", "how-to.md")
    if recipes != page:
        steps += read_steps(text_of(recipes))
    return steps


def steps_to_run(page: str) -> list[Step]:
    """Return the steps of a page that a test runs."""
    return [step for step in steps_of(page) if reason_not_to_run(page, step) is None]


def reason_not_to_run(page: str, step: Step) -> NotRun | None:
    """Return the line of the table that a step falls under."""
    recipes = page.replace("tutorial.md", "how-to.md")
    for line in NOT_RUN:
        if line.page in ("*", page, recipes) and step.text.startswith(line.start):
            return line
    return None


def run_step(step: Step, folder: Path, variables: Sequence[Step] = ()) -> str:
    """Run one step in a folder, with the variables of earlier ones; return what it printed."""
    binaries = str(Path(sys.executable).parent)
    environment = os.environ | {
        "PATH": os.pathsep.join([binaries, os.environ["PATH"]]),
        "COLUMNS": "100",
        # No window is opened, and one core is used, as other tests run beside this one.
        "MPLBACKEND": "agg",
        "OMP_NUM_THREADS": "1",
    }
    script = "\n".join(known.text for known in (*variables, step))
    command = ["bash", "-euo", "pipefail", "-c", script]
    if step.kind == "python":
        command = [sys.executable, "-c", step.text]
    done = subprocess.run(
        command,
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"line {step.line}: {step.text}\n{done.stdout}{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def parsers() -> Mapping[str, argparse.ArgumentParser]:
    """The parser of each command by its name."""
    commands = [package for package in PACKAGES if package.commands]
    modules = {p.name: importlib.import_module(f"{p.import_name}.__main__") for p in commands}
    return {name: module.build_parser() for name, module in modules.items()}


def common_length(one: Sequence[str], other: Sequence[str]) -> int:
    """Return how many first items two sequences share."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((at for at, (left, right) in pairs if left != right), min(len(one), len(other)))


class Folders:
    """Folders in which the first steps of pages have been run.

    Many pages begin with the same steps from an empty folder; these are run once.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._reached: dict[tuple[str, ...], tuple[Path, list[str]]] = {}
        ways = [tuple(step.text for step in steps_to_run(page)) for page in pages()]
        self._shared = {
            way[: common_length(way, other)]
            for number, way in enumerate(ways)
            for other in ways[:number]
        }

    def run(self, steps: Sequence[Step], folder: Path) -> list[str]:
        """Run steps in an empty folder; return what each printed, with paths from the folder on."""
        texts = tuple(step.text for step in steps)
        done = max((way for way in self._reached if texts[: len(way)] == way), key=len, default=())
        printed: list[str] = []
        if done:
            source, before = self._reached[done]
            shutil.copytree(source, folder, dirs_exist_ok=True)
            printed = list(before)
        for number in range(len(done), len(steps)):
            variables = [step for step in steps[:number] if _VARIABLE.match(step.text)]
            step = steps[number]
            if _VARIABLE.match(step.text):
                printed.append("")  # set for the commands that follow
            else:
                printed.append(run_step(step, folder, variables).replace(f"{folder}/", ""))
            way = texts[: number + 1]
            if way in self._shared and way not in self._reached:
                kept = self._root / str(len(self._reached))
                shutil.copytree(folder, kept)
                self._reached[way] = (kept, list(printed))
        return printed


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Folders:
    """The folders that all pages share."""
    return Folders(tmp_path_factory.mktemp("reached"))


@pytest.mark.slow
@pytest.mark.parametrize("page", pages())
def test_what_a_page_says_works(page: str, folders: Folders, tmp_path: Path) -> None:
    steps = steps_to_run(page)
    for step, printed in zip(steps, folders.run(steps, tmp_path), strict=True):
        for line in step.prints:
            found = [same_shape(line, own) for own in printed.splitlines()]
            assert any(found), f"{step.text}\nexpected: {line}\nprinted: {printed}"


@pytest.mark.parametrize("page", pages())
def test_verbs_and_options_of_commands_exist(
    page: str, parsers: Mapping[str, argparse.ArgumentParser]
) -> None:
    for step in steps_of(page):
        if step.kind == "command":
            assert command_fault(step.text, parsers) == "", step.text


def test_options_in_the_running_text_exist(parsers: Mapping[str, argparse.ArgumentParser]) -> None:
    texts = {name: [ROOT / "packages" / name / "README.md"] for name in parsers}
    for name, paths in texts.items():
        paths += sorted((ROOT / "docs" / "packages" / name).glob("*.md"))
        for path in paths:
            faults = option_faults(path.read_text(encoding="utf-8"), parsers[name])
            foreign = tuple(FOREIGN_OPTIONS)
            assert [fault for fault in faults if not fault.endswith(foreign)] == [], path


def test_every_package_has_a_tutorial_that_runs_something() -> None:
    for package in PACKAGES:
        page = f"docs/packages/{package.name}/tutorial.md"
        assert len(steps_to_run(page)) > 2, page


@pytest.mark.parametrize("name", [package.name for package in PACKAGES if package.commands])
def test_quick_start_begins_with_the_mock(name: str) -> None:
    steps = read_steps(text_of(f"packages/{name}/README.md"))
    first = next(step.text for step in steps if "pip install" not in step.text)
    assert " mock " in first, first


def test_what_is_not_run_is_on_a_page() -> None:
    reasons = [reason_not_to_run(page, step) for page in pages() for step in steps_of(page)]
    assert [line for line in NOT_RUN if line not in reasons] == []
