"""``scone-io mock``: synthetic shards or light curves."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from astro_common.command import DONE, add_common_options, positive_int, print_json
from scone_io.commands.shard_options import add_compression, add_grid, add_seed

__all__ = ["add_parser"]


def add_parser(verbs: Any) -> None:
    """Add the verb to the command's parser."""
    parser: argparse.ArgumentParser = verbs.add_parser(
        "mock",
        help="write synthetic shards, or light curves to make shards of",
        description="Write shards of synthetic supernovae with their grids and DIR/truth.json; or "
        "with --light-curves SNANA files DIR/MOCK_HEAD.FITS and DIR/MOCK_PHOT.FITS.",
    )
    parser.add_argument("directory", type=Path, metavar="DIR", help="folder to make")
    parser.add_argument("--shards", type=positive_int, default=1, metavar="N", help="(1)")
    parser.add_argument(
        "--events", type=positive_int, default=100, metavar="N", help="in each shard (100)"
    )
    add_seed(parser, "all numbers")
    parser.add_argument(
        "--dtype", choices=("float64", "float32"), default="float64", help="of the images"
    )
    parser.add_argument(
        "--light-curves", action="store_true", help="light curves in SNANA's format instead"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace what exists")
    add_grid(parser)
    add_compression(parser)
    add_common_options(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Write the mock."""
    from scone_io.grid import named_grid
    from scone_io.mock import write_mock_light_curves, write_mock_shards

    if arguments.light_curves:
        outputs = [
            write_mock_light_curves(
                arguments.directory,
                num_events=arguments.events,
                seed=arguments.seed,
                overwrite=arguments.overwrite,
            )
        ]
    else:
        outputs = write_mock_shards(
            arguments.directory,
            num_shards=arguments.shards,
            num_events=arguments.events,
            seed=arguments.seed,
            grid=None if arguments.grid is None else named_grid(arguments.grid),
            compression=arguments.compression,
            dtype=arguments.dtype,
            overwrite=arguments.overwrite,
        )
    if arguments.json:
        print_json({"outputs": [str(path) for path in outputs], "synthetic": True})
    else:
        print("\n".join(map(str, outputs)))
    return DONE
