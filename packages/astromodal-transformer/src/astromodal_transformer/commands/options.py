"""Options that several verbs share."""

from __future__ import annotations

import argparse
from pathlib import Path

__all__ = [
    "add_configuration_options",
    "add_fields_option",
    "add_given_option",
    "add_model_options",
    "add_names_option",
    "add_output_options",
    "level",
    "seed",
]


def add_configuration_options(parser: argparse.ArgumentParser, *, required: bool = True) -> None:
    """Add ``--config`` and ``--set``."""
    parser.add_argument("--config", type=Path, required=required, metavar="F", help="YAML file")
    parser.add_argument(
        "--set",
        nargs="+",
        action="extend",
        default=[],
        metavar="KEY=VALUE",
        help="change single keys, such as training.batch_size=32 (may be repeated)",
    )


def add_model_options(parser: argparse.ArgumentParser) -> None:
    """Add ``--config``, ``--set`` and ``--checkpoint``."""
    add_configuration_options(parser)
    parser.add_argument(
        "--checkpoint",
        type=Path,
        required=True,
        metavar="D",
        help="a checkpoint, a run (its best one) or an exported model",
    )


def add_names_option(
    parser: argparse.ArgumentParser,
    name: str,
    metavar: str,
    meaning: str,
    *,
    required: bool = False,
) -> None:
    """Add an option that takes several names and may be repeated; none is an empty list."""
    parser.add_argument(
        name,
        nargs="+",
        action="extend",
        default=None if required else [],
        required=required,
        metavar=metavar,
        help=meaning,
    )


def add_given_option(parser: argparse.ArgumentParser, meaning: str) -> None:
    """Add ``--given``: modalities by name or pattern."""
    add_names_option(parser, "--given", "NAME_OR_GLOB", meaning)


def add_fields_option(parser: argparse.ArgumentParser) -> None:
    """Add ``--field`` for several fields."""
    add_names_option(parser, "--field", "N", "fields (all)")


def add_output_options(parser: argparse.ArgumentParser) -> None:
    """Add ``--out`` for a Parquet file, and ``--overwrite``."""
    parser.add_argument("--out", type=Path, required=True, metavar="P", help="Parquet file")
    parser.add_argument("--overwrite", action="store_true", help="replace a file that is there")


def level(text: str) -> float:
    """Parse a quantile: a probability, or a percentage of at least 1."""
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if value >= 1.0:
        value /= 100.0
    if not 0.0 < value < 1.0:
        raise argparse.ArgumentTypeError(
            f"{text!r} is no quantile; a number between 0 and 1, or a percentage below 100, is"
        )
    return value


def seed(text: str) -> int:
    """Parse a seed, which is never negative."""
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is no seed; a whole number from 0 on is")
    return int(text)
