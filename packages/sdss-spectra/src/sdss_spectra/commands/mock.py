"""``sdss-spectra mock``: synthetic spectra in the layout of DR17."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from astro_common.command import DONE, positive_int, print_json
from sdss_spectra.commands.options import add_seed, add_verb

__all__ = ["add_parser"]


def add_parser(verbs: Any) -> None:
    """Add the verb to the command's parser."""
    parser = add_verb(
        verbs,
        "mock",
        "write synthetic spectra, in a folder for each class",
        "Write synthetic spec-lite files in the layout of DR17, and DIR/truth.json.",
    )
    parser.add_argument("directory", type=Path, metavar="DIR", help="folder to make")
    parser.add_argument(
        "--per-class", type=positive_int, default=20, metavar="N", help="stars (20)"
    )
    parser.add_argument("--classes", default="OBAFGKM", metavar="LETTERS", help="(OBAFGKM)")
    parser.add_argument("--overwrite", action="store_true", help="replace what exists")
    add_seed(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Write the files."""
    from sdss_spectra.mock import write_mock

    paths = write_mock(
        arguments.directory,
        per_class=arguments.per_class,
        seed=arguments.seed,
        classes=arguments.classes,
        overwrite=arguments.overwrite,
    )
    if arguments.json:
        print_json({"output": str(arguments.directory), "spectra": len(paths), "synthetic": True})
    else:
        print(f"{arguments.directory}: {len(paths)} synthetic spectra")
    return DONE
