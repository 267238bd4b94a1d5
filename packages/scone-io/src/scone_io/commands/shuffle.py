"""``scone-io shuffle``: a shard in a random order."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from astro_common.command import DONE, add_common_options, print_json
from scone_io.commands.shard_options import add_compression, add_grid, add_output, add_seed

__all__ = ["add_parser"]


def add_parser(verbs: Any) -> None:
    """Add the verb to the command's parser."""
    parser: argparse.ArgumentParser = verbs.add_parser(
        "shuffle",
        help="the records of a shard in a random order",
        description="Write the records of a shard, byte for byte, in an order that the seed "
        "decides.",
    )
    parser.add_argument("file", type=Path, metavar="IN", help="a shard, plain or compressed")
    add_output(parser, "OUT", "the new shard")
    add_seed(parser, "the order")
    add_grid(parser)
    add_compression(parser)
    add_common_options(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Shuffle."""
    from scone_io.shard_files import shuffle

    count = shuffle(
        arguments.file,
        arguments.output,
        arguments.seed,
        grid=arguments.grid,
        compression=arguments.compression,
        overwrite=arguments.overwrite,
    )
    if arguments.json:
        print_json({"output": str(arguments.output), "records": count})
    else:
        print(f"{arguments.output}: {count} records")
    return DONE
