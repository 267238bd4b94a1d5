"""``splus-hypercube crossmatch``: match two catalogue files."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from astro_common.command import DONE, add_common_options, print_json

__all__ = ["add_parser"]

_MAX_RADIUS_ARCSEC = 324_000.0
_EPOCHS_JYEAR = (1800.0, 2200.0)


def add_parser(verbs: Any) -> None:
    """Add the verb to the command's parser."""
    parser: argparse.ArgumentParser = verbs.add_parser(
        "crossmatch",
        help="match two catalogues by position",
        description="Match two catalogues (Parquet, FITS, CSV, ECSV, VOTable) by position and "
        "write the matched rows of both with their separation.",
    )
    parser.add_argument("left", type=Path, metavar="LEFT")
    parser.add_argument("right", type=Path, metavar="RIGHT")
    parser.add_argument(
        "--radius", type=_radius, required=True, metavar="ARCSEC", help="radius, inclusive"
    )
    parser.add_argument(
        "--mode",
        choices=("nearest", "all", "one-to-one"),
        default="nearest",
        help="nearest right row of each left row (default), all pairs, or closest unique pairs",
    )
    for side in ("left", "right"):
        parser.add_argument(
            f"--{side}-epoch",
            type=_epoch,
            metavar="JYEAR",
            help=f"epoch of the {side} positions; proper motions carry one side to the other's",
        )
        for axis in ("ra", "dec"):
            parser.add_argument(
                f"--{side}-{axis}",
                default=axis,
                metavar="COLUMN",
                help=f"{axis} of the {side} positions, ICRS degrees ({axis})",
            )
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        required=True,
        metavar="OUT",
        help="table to write; its ending names the format (.parquet .fits .csv .ecsv .vot .xml)",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace OUT if it exists")
    add_common_options(parser)
    parser.set_defaults(run=run)


def _radius(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0.0 <= value <= _MAX_RADIUS_ARCSEC:
        raise argparse.ArgumentTypeError(f"{text!r} is not a radius in arcsec of 0 to 324000")
    return value


def _epoch(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    first, last = _EPOCHS_JYEAR
    if not first <= value <= last:
        raise argparse.ArgumentTypeError(f"{text!r} is not a Julian year of {first:g} to {last:g}")
    return value


def run(arguments: argparse.Namespace) -> int:
    """Match the two files."""
    from splus_hypercube.crossmatching import Side, crossmatch

    left, right = (
        Side(
            getattr(arguments, side),
            getattr(arguments, f"{side}_ra"),
            getattr(arguments, f"{side}_dec"),
            getattr(arguments, f"{side}_epoch"),
        )
        for side in ("left", "right")
    )
    result = crossmatch(
        left,
        right,
        arguments.radius,
        arguments.output,
        mode=arguments.mode,
        overwrite=arguments.overwrite,
    )
    if arguments.json:
        print_json(result)
    else:
        print(
            f"{result['matches']} matches of {result['left_rows']} and {result['right_rows']} "
            f"rows in {result['output']}"
        )
    return DONE
