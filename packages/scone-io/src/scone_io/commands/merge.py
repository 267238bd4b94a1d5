"""``scone-io merge``: several shards into one."""

from __future__ import annotations

import argparse
from typing import Any

from astro_common.command import DONE, add_common_options, print_json
from scone_io.commands.shard_options import add_compression, add_files, add_grid, add_output

__all__ = ["add_parser"]


def add_parser(verbs: Any) -> None:
    """Add the verb to the command's parser."""
    parser: argparse.ArgumentParser = verbs.add_parser(
        "merge",
        help="several shards into one, record by record",
        description="Write the records of several shards into one, byte for byte and in order.",
    )
    add_files(parser)
    add_output(parser, "OUT", "the new shard")
    add_grid(parser)
    add_compression(parser)
    add_common_options(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Merge."""
    from scone_io.shard_files import merge
    from scone_io.shards import find_shards

    count = merge(
        find_shards(arguments.files),
        arguments.output,
        grid=arguments.grid,
        compression=arguments.compression,
        overwrite=arguments.overwrite,
    )
    if arguments.json:
        print_json({"output": str(arguments.output), "records": count})
    else:
        print(f"{arguments.output}: {count} records")
    return DONE
