"""``splus-hypercube inspect``: what a hypercube holds."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from astro_common.command import DONE, add_common_options, print_json

__all__ = ["add_parser"]


def add_parser(verbs: Any) -> None:
    """Add the verb to the command's parser."""
    parser: argparse.ArgumentParser = verbs.add_parser(
        "inspect",
        help="rows, columns with units, fill rates, match statistics and provenance of a hypercube",
        description="Print what a hypercube holds: rows, row groups, columns with units, fill "
        "rates and match statistics per survey, provenance.",
    )
    parser.add_argument("cube", type=Path, metavar="CUBE")
    add_common_options(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print what the hypercube holds."""
    from splus_hypercube.inspection import inspect_cube, text_report

    report = inspect_cube(arguments.cube)
    if arguments.json:
        print_json(report)
    else:
        print("\n".join(text_report(report)))
    return DONE
