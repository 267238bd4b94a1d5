"""``splus-hypercube mock``: a synthetic sky in the surveys' own formats, with its truth."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from astro_common.command import DONE, add_common_options, positive_int, print_json

__all__ = ["add_parser"]


def add_parser(verbs: Any) -> None:
    """Add the verb to the command's parser."""
    parser: argparse.ArgumentParser = verbs.add_parser(
        "mock",
        help="write a synthetic survey tree with its truth table",
        description="Write synthetic S-PLUS fields and all other surveys in their real formats, "
        "DIR/hypercube.yaml that builds them, and DIR/truth.parquet.",
    )
    parser.add_argument("directory", type=Path, metavar="DIR", help="folder to make")
    parser.add_argument("--fields", type=positive_int, default=1, metavar="N")
    parser.add_argument("--sources", type=positive_int, default=1000, metavar="N", help="per field")
    parser.add_argument("--image-size", type=positive_int, default=1000, metavar="PX")
    parser.add_argument(
        "--cutout-size",
        type=positive_int,
        default=96,
        metavar="PX",
        help="size_px in hypercube.yaml (96)",
    )
    parser.add_argument("--seed", type=int, default=0, metavar="S")
    add_common_options(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Write the tree."""
    from splus_hypercube.mock import write_mock

    write_mock(
        arguments.directory,
        fields=arguments.fields,
        sources=arguments.sources,
        image_size_px=arguments.image_size,
        seed=arguments.seed,
        progress=not arguments.quiet,
        cutout_size_px=arguments.cutout_size,
    )
    config = arguments.directory / "hypercube.yaml"
    if arguments.json:
        print_json({"config": str(config), "truth": str(arguments.directory / "truth.parquet")})
    else:
        print(config)
    return DONE
