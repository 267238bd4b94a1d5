"""Options that several verbs have."""

from __future__ import annotations

import argparse
import math
from pathlib import Path

__all__ = [
    "add_exposures",
    "add_header_values",
    "add_output",
    "add_seed",
    "fraction",
    "positive_float",
]


def positive_float(text: str) -> float:
    """Parse a finite number above 0, for use as an argparse ``type``."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not (value > 0.0 and math.isfinite(value)):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number above 0")
    return value


def fraction(text: str) -> float:
    """Parse a number from 0 to 1, for use as an argparse ``type``."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0.0 <= value <= 1.0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 0 to 1")
    return value


def add_exposures(parser: argparse.ArgumentParser) -> None:
    """Add the exposures that a verb reads."""
    parser.add_argument(
        "exposures",
        nargs="+",
        type=Path,
        metavar="EXPOSURE",
        help="FITS files, plain, .gz or .fz; one image per CCD",
    )


def add_header_values(parser: argparse.ArgumentParser) -> None:
    """Add what replaces the headers' values."""
    parser.add_argument(
        "--exptime-s", type=positive_float, metavar="V", help="in place of EXPTIME of the headers"
    )
    parser.add_argument(
        "--pixel-scale-arcsec",
        type=positive_float,
        metavar="V",
        help="in place of PIXSCAL1 of the headers",
    )


def add_output(parser: argparse.ArgumentParser, metavar: str, text: str) -> None:
    """Add ``--output`` and ``--overwrite``."""
    parser.add_argument("-o", "--output", type=Path, required=True, metavar=metavar, help=text)
    parser.add_argument("--overwrite", action="store_true", help="replace what exists")


def add_seed(parser: argparse.ArgumentParser, what: str) -> None:
    """Add ``--seed``."""
    parser.add_argument("--seed", type=_seed, default=42, metavar="S", help=f"of {what} (42)")


def _seed(text: str) -> int:
    value = int(text) if text.isdecimal() else -1
    if not 0 <= value < 2**32:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 0 to 2^32 - 1")
    return value
