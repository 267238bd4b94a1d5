"""``scone-io split``: shards into more, smaller ones."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from astro_common.command import DONE, add_common_options, positive_int, print_json
from scone_io.commands.shard_options import add_compression, add_files, add_grid

__all__ = ["add_parser"]


def add_parser(verbs: Any) -> None:
    """Add the verb to the command's parser."""
    parser: argparse.ArgumentParser = verbs.add_parser(
        "split",
        help="shards into a given number of nearly equal ones",
        description="Write the records of shards, byte for byte and in order, into DIR/"
        "heatmaps_0000.tfrecord and so on.",
    )
    add_files(parser)
    parser.add_argument(
        "-o", "--output", type=Path, required=True, metavar="DIR", help="folder of the new shards"
    )
    parser.add_argument(
        "--shards", type=positive_int, required=True, metavar="N", help="number of new shards"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace what exists")
    add_grid(parser)
    add_compression(parser)
    add_common_options(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Split."""
    from scone_io.shard_files import split
    from scone_io.shards import find_shards

    outputs = split(
        find_shards(arguments.files),
        arguments.output,
        arguments.shards,
        grid=arguments.grid,
        compression=arguments.compression,
        overwrite=arguments.overwrite,
    )
    if arguments.json:
        print_json({"outputs": [str(path) for path in outputs]})
    else:
        print("\n".join(map(str, outputs)))
    return DONE
