"""``splus-hypercube check``: derive a sample of a hypercube's rows again, independently."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from astro_common.command import DONE, FAILED, add_common_options, positive_int, print_json

__all__ = ["add_parser"]


def add_parser(verbs: Any) -> None:
    """Add the verb to the command's parser."""
    parser: argparse.ArgumentParser = verbs.add_parser(
        "check",
        help="derive a random sample of rows again, independently, and compare",
        description="Derive a random sample of a hypercube's rows again from the survey files, "
        "with astropy alone, and compare every column. The sample holds rows of every kind that "
        "exists: matched or not, with several candidates, at an edge of the image.",
    )
    parser.add_argument("cube", type=Path, metavar="CUBE", help="a hypercube")
    parser.add_argument(
        "--config", type=Path, required=True, metavar="F", help="the YAML file it was built with"
    )
    parser.add_argument(
        "--rows", type=positive_int, default=100, metavar="N", help="size of the sample (100)"
    )
    parser.add_argument("--seed", type=_seed, default=0, metavar="S", help="of the sample (0)")
    add_common_options(parser)
    parser.set_defaults(run=run)


def _seed(text: str) -> int:
    if not text.isascii() or not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least 0")
    return int(text)


def run(arguments: argparse.Namespace) -> int:
    """Check; the exit status is 1 if a value differs."""
    from splus_hypercube.checking import check_cube
    from splus_hypercube.configuration import load_configuration

    configuration = load_configuration(arguments.config)
    report = check_cube(arguments.cube, configuration, rows=arguments.rows, seed=arguments.seed)
    if arguments.json:
        print_json(
            {
                "field": report.field,
                "rows_checked": report.rows_checked,
                "columns_checked": report.columns_checked,
                "mismatches": [vars(mismatch) for mismatch in report.mismatches],
                "num_mismatches": report.num_mismatches,
                "sample": report.sample,
            }
        )
    else:
        _print(report)
    return FAILED if report.num_mismatches else DONE


def _print(report: Any) -> None:
    for mismatch in report.mismatches:
        print(mismatch)
    hidden = report.num_mismatches - len(report.mismatches)
    if hidden:
        print(f"... and {hidden} more")
    print(
        f"{report.field}: {report.rows_checked} rows, {report.columns_checked} columns, "
        f"{report.num_mismatches} mismatches"
    )
