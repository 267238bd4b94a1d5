"""``scone-io subset``: some supernovae of shards."""

from __future__ import annotations

import argparse
from typing import Any

from astro_common.command import DONE, add_common_options, print_json
from scone_io.commands.shard_options import (
    add_compression,
    add_files,
    add_grid,
    add_output,
    snid_list,
)

__all__ = ["add_parser"]


def add_parser(verbs: Any) -> None:
    """Add the verb to the command's parser."""
    parser: argparse.ArgumentParser = verbs.add_parser(
        "subset",
        help="some supernovae, by SNID, into a new shard",
        description="Write the records of some supernovae into a new shard, byte for byte, in the "
        "order of the files.",
    )
    add_files(parser)
    parser.add_argument("--snid", required=True, metavar="N[,N]", help="which supernovae")
    add_output(parser, "OUT", "the new shard")
    add_grid(parser)
    add_compression(parser)
    add_common_options(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Take the subset."""
    from scone_io.shard_files import subset
    from scone_io.shards import find_shards

    count = subset(
        find_shards(arguments.files),
        arguments.output,
        snid_list(arguments.snid),
        grid=arguments.grid,
        compression=arguments.compression,
        overwrite=arguments.overwrite,
    )
    if arguments.json:
        print_json({"output": str(arguments.output), "records": count})
    else:
        print(f"{arguments.output}: {count} records")
    return DONE
