#!/usr/bin/env python
"""Show the whole way on synthetic data: survey files, hypercubes, checks, tokens, a model, reports.

Everything is made by the commands that a user would type, and each is shown before it runs. The
outcome is compared with the truth table of the mock; any difference ends the demo with status 1.
"""

from __future__ import annotations

import argparse
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from astro_common.errors import AstroError

ROOT = Path(__file__).resolve().parents[1]

# A folder that holds this file was made by this script, and may be replaced by it.
MARKER = ".splus-hypercube-demo"


class StepError(Exception):
    """A step of the demo did not do what it should."""


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """Read the options; the defaults make a demo of some minutes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--directory",
        type=Path,
        default=Path("demo"),
        help="folder to make; one that an earlier demo made is replaced (default: demo)",
    )
    parser.add_argument("--fields", type=int, default=2, help="S-PLUS fields (default: 2)")
    parser.add_argument("--sources", type=int, default=1500, help="per field (default: 1500)")
    parser.add_argument(
        "--image-size",
        type=int,
        default=1200,
        metavar="PX",
        help="side of the images (default: 1200)",
    )
    parser.add_argument(
        "--cutout-size",
        type=int,
        default=48,
        metavar="PX",
        help="side of the cutouts (default: 48)",
    )
    parser.add_argument(
        "--seed", type=int, default=1, help="seed of the synthetic sky (default: 1)"
    )
    parser.add_argument("--workers", type=int, default=2, help="processes (default: 2)")
    parser.add_argument(
        "--only-hypercubes", action="store_true", help="leave out the tokens and the model"
    )
    return parser.parse_args(argv)


def fresh_folder(folder: Path) -> None:
    """Make the folder, in place of one that an earlier demo made.

    Raises
    ------
    StepError
        There is something else under its name.
    """
    if (folder / MARKER).is_file():
        shutil.rmtree(folder)
    try:
        folder.mkdir(parents=True)
    except FileExistsError:
        raise StepError(
            f"{folder}: found something that is no demo; expected a name that is free; "
            "give another --directory"
        ) from None
    (folder / MARKER).touch()


def run(command: str, *words: str | Path) -> None:
    """Show a command of the user and run it.

    Raises
    ------
    StepError
        It failed.
    """
    texts = [str(word) for word in words]
    print(f"\n$ {command} {shlex.join(texts)}", flush=True)
    module = command.replace("-", "_")
    done = subprocess.run([sys.executable, "-m", module, *texts], check=False)
    if done.returncode:
        raise StepError(f"{command} {texts[0]} ended with status {done.returncode}")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the demo; 0 if everything agrees with the truth, else 1, and 130 if interrupted."""
    arguments = parse(argv)
    try:
        return demonstrate(arguments)
    except KeyboardInterrupt:
        print("demo: interrupted", file=sys.stderr)
        return 130
    except (StepError, AstroError, OSError) as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1


def demonstrate(arguments: argparse.Namespace) -> int:
    """Make the data, build, check and report."""
    start = time.monotonic()
    folder: Path = arguments.directory
    fresh_folder(folder)
    survey_files, cubes_folder, report = folder / "mock", folder / "cubes", folder / "report.html"
    config = survey_files / "hypercube.yaml"
    run(
        "splus-hypercube",
        "mock",
        survey_files,
        "--fields",
        str(arguments.fields),
        "--sources",
        str(arguments.sources),
        "--image-size",
        str(arguments.image_size),
        "--cutout-size",
        str(arguments.cutout_size),
        "--seed",
        str(arguments.seed),
    )
    run("splus-hypercube", "validate", config)
    workers = ("--workers", str(arguments.workers))
    run("splus-hypercube", "build", "--config", config, "--out", cubes_folder, *workers)
    cubes = sorted(cubes_folder.glob("datacube_*.parquet"))
    for cube in cubes:
        run("splus-hypercube", "check", cube, "--config", config)
    status = conclude(cubes, survey_files / "truth.parquet", report)
    reports = [report]
    if not arguments.only_hypercubes:
        reports += [tokenise(folder, workers), learn(folder)]
    print(f"\nDone in {time.monotonic() - start:.0f} s. Reports, to be opened in a browser:")
    for path in reports:
        print(f"  {path.resolve()}")
    return status


def tokenise(folder: Path, workers: Sequence[str]) -> Path:
    """Turn the hypercubes into tokens and measure what is lost; return the report."""
    config = folder / "tokens.yaml"
    shutil.copyfile(ROOT / "packages/astromodal-tokenizers/configs/demo.yaml", config)
    run("astromodal-tokenizers", "fit", "all", "--config", config)
    run("astromodal-tokenizers", "encode", "--config", config, *workers)
    output = folder / "tokens-report"
    run("astromodal-tokenizers", "report", "--config", config, "--out", output, "--no-comparison")
    return output / "report.html"


def learn(folder: Path) -> Path:
    """Train a small model on the tokens for some minutes and judge it; return the report."""
    config, run_folder = folder / "model.yaml", folder / "run"
    shutil.copyfile(ROOT / "packages/astromodal-transformer/configs/demo.yaml", config)
    run("astromodal-transformer", "train", "--config", config)
    judge = ("evaluate", "--config", config, "--checkpoint", run_folder)
    output = folder / "model-report"
    run("astromodal-transformer", *judge, "--report", output)
    return output / "report.html"


def conclude(cubes: Sequence[Path], truth: Path, report: Path) -> int:
    """Compare with the truth and write the report of the hypercubes, also where they differ."""
    # Slow to import, and not needed until here.
    from splus_hypercube.truth import compare_with_truth
    from splus_hypercube.view.report import write_report

    rows = compare_with_truth(cubes, truth)
    print("\nComparison with the truth of the synthetic sky, by exact identifiers:")
    print(f"{'survey':<8} {'expected':>9} {'found':>9} {'wrong':>9}")
    for row in rows:
        print(f"{row.survey:<8} {row.expected:>9} {row.found:>9} {row.wrong:>9}")
    write_report(cubes, report, truth=rows, title="Demo: hypercubes of a synthetic sky")
    wrong = [row.survey for row in rows if row.wrong or row.expected != row.found]
    if wrong:
        print(f"demo: not as in the truth: {', '.join(wrong)}", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
