"""``scone-io get``: one supernova, or some."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from astro_common.command import DONE, add_common_options, print_json
from astro_common.errors import ConfigurationError, InputError
from scone_io.commands.shard_options import add_files, snid_list

__all__ = ["add_parser"]


def add_parser(verbs: Any) -> None:
    """Add the verb to the command's parser."""
    parser: argparse.ArgumentParser = verbs.add_parser(
        "get",
        help="find supernovae by SNID, in shards or by an index",
        description="Find supernovae by SNID and print what is known of them, in the order asked. "
        "With an index only their records are read; without one the shards are searched.",
    )
    add_files(parser, least="*")
    parser.add_argument("--index", type=Path, metavar="FILE", help="snid_index.parquet or .csv.gz")
    parser.add_argument("--snid", required=True, metavar="N[,N]", help="which supernovae")
    parser.add_argument(
        "-o", "--output", type=Path, metavar="OUT.npz", help="also write the heatmaps"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace OUT.npz if it exists")
    add_common_options(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Find."""
    from scone_io.convert import write_found
    from scone_io.index import find_in_shards, open_index
    from scone_io.shards import open_shards

    snids = snid_list(arguments.snid)
    if bool(arguments.files) == (arguments.index is not None):
        both = "both shards and --index" if arguments.files else "neither shards nor --index"
        raise ConfigurationError("get", both, "one of the two")
    if arguments.output is not None and arguments.output.suffix != ".npz":
        raise ConfigurationError("-o", str(arguments.output), "a name that ends in .npz")
    if arguments.index is not None:
        index = open_index(arguments.index)
        found = [index.find(snid) for snid in snids]
    else:
        shards = open_shards(arguments.files, say_assumed=False)
        by_snid = find_in_shards(shards.shards, snids)
        missing = [snid for snid in snids if snid not in by_snid]
        if missing:
            names = ", ".join(map(str, missing[:10]))
            raise InputError(", ".join(map(str, shards.paths)), f"no event with SNID {names}")
        found = [by_snid[snid] for snid in snids]
    if arguments.output is not None:
        write_found(found, arguments.output, overwrite=arguments.overwrite)
    if arguments.json:
        print_json({"events": [item.as_json() for item in found]})
    else:
        for item in found:
            event = item.event
            z = "unknown" if event.z is None or event.z < 0 else f"{event.z:.5g}"
            print(
                f"SNID {event.snid}: label {event.label}, z {z}, {item.file}, offset {item.offset}"
            )
    return DONE
