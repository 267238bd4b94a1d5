"""Options that several verbs have."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from manga_ssftt.layout import LABEL_TASKS, PATCH_NORMS

__all__ = ["add_root", "add_task_options", "odd_int"]


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


def add_task_options(parser: Any, *, required: bool = True) -> None:
    """Add ``--label-task``, ``--patch-norm`` and ``--patch-size``."""
    parser.add_argument("--label-task", choices=LABEL_TASKS, default="BPT")
    parser.add_argument("--patch-norm", choices=PATCH_NORMS, required=required)
    parser.add_argument(
        "--patch-size", type=odd_int, default=7, metavar="P", help="spaxels on a side, odd (7)"
    )
