"""Options that several verbs have."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from manga_ssftt.layout import LABEL_TASKS, PATCH_NORMS

__all__ = ["add_root", "add_seed", "add_task_options", "odd_int"]

_MAX_SEED = (1 << 32) - 1  # the largest that scikit-learn and Lightning take


def odd_int(text: str) -> int:
    """Parse an odd number of at least 1, for use as an argparse ``type``."""
    try:
        value = int(text)
    except ValueError:
        value = 0
    if value < 1 or value % 2 == 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not an odd number of at least 1")
    return value


def add_root(parser: argparse.ArgumentParser) -> None:
    """Add ``--root``."""
    parser.add_argument(
        "--root",
        type=Path,
        required=True,
        metavar="DIR",
        help="the MaNGA tree, with the folders raw and processed",
    )


def add_seed(parser: Any, of: str = "") -> None:
    """Add ``--seed``; `of` says in its help what it seeds."""
    parser.add_argument(
        "--seed", type=_seed, default=1, metavar="S", help=f"{of} (1)" if of else "(1)"
    )


def _seed(text: str) -> int:
    try:
        value = int(text)
    except ValueError:
        value = -1
    if not 0 <= value <= _MAX_SEED:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 0 to {_MAX_SEED}")
    return value


def add_task_options(parser: Any, *, required: bool = True) -> None:
    """Add ``--label-task``, ``--patch-norm`` and ``--patch-size``."""
    parser.add_argument("--label-task", choices=LABEL_TASKS, default="BPT")
    parser.add_argument("--patch-norm", choices=PATCH_NORMS, required=required)
    parser.add_argument(
        "--patch-size", type=odd_int, default=7, metavar="P", help="spaxels on a side, odd (7)"
    )
