"""``manga-ssftt mock``: synthetic galaxies."""

from __future__ import annotations

import argparse
from typing import Any

from astro_common.command import (
    DONE,
    FAILED,
    add_common_options,
    positive_int,
    print_json,
)
from astro_common.errors import ConfigurationError
from manga_ssftt.commands.options import add_root, add_seed

__all__ = ["add_parser"]


def add_parser(verbs: Any) -> None:
    """Add the verb to the command's parser."""
    parser: argparse.ArgumentParser = verbs.add_parser(
        "mock",
        help="write synthetic galaxies in the layout of DR17",
        description="Write LOGCUBE and MAPS files of synthetic galaxies, a dapall catalogue in "
        "ROOT and the true maps in ROOT/truth. All files say that they are synthetic.",
    )
    add_root(parser)
    parser.add_argument("--n-galaxies", type=positive_int, default=12, metavar="N", help="(12)")
    parser.add_argument(
        "--size", type=positive_int, default=24, metavar="P", help="spaxels on a side (24)"
    )
    add_seed(parser)
    parser.add_argument("--workers", type=positive_int, default=1, metavar="N")
    add_common_options(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Write the mock."""
    from manga_ssftt.mock.tree import write_mock

    if arguments.size < 8:
        raise ConfigurationError("--size", str(arguments.size), "at least 8 spaxels")
    catalog, names, outcome = write_mock(
        arguments.root,
        n_galaxies=arguments.n_galaxies,
        size_px=arguments.size,
        seed=arguments.seed,
        workers=arguments.workers,
        progress=not arguments.quiet,
    )
    if outcome.failed:
        return FAILED
    if arguments.json:
        print_json({"catalog": str(catalog), "plateifus": names, "synthetic": True})
    else:
        print(f"{len(names)} synthetic galaxies in {arguments.root}, catalogue {catalog}")
    return DONE
