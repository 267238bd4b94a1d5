"""Options that several verbs share."""

from __future__ import annotations

import argparse
from pathlib import Path

__all__ = ["add_configuration_options", "add_model_options", "level"]


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
