"""``scone-io index``: where each supernova is."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from astro_common.command import DONE, add_common_options, print_json

__all__ = ["add_parser"]


def add_parser(verbs: Any) -> None:
    """Add the verb to the command's parser."""
    parser: argparse.ArgumentParser = verbs.add_parser(
        "index",
        help="write the index of a folder of shards: which record holds which supernova",
        description="Write DIR/snid_index.parquet, with the offset of each record, and "
        "DIR/snid_index.csv.gz, which other tools read.",
    )
    parser.add_argument("directory", type=Path, metavar="DIR", help="a folder of shards")
    parser.add_argument("--overwrite", action="store_true", help="replace an index that exists")
    add_common_options(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Index."""
    from scone_io.index import CSV_NAME, PARQUET_NAME, write_index

    count = write_index(arguments.directory, overwrite=arguments.overwrite)
    outputs = [str(arguments.directory / name) for name in (PARQUET_NAME, CSV_NAME)]
    if arguments.json:
        print_json({"outputs": outputs, "events": count})
    else:
        print("\n".join(outputs))
    return DONE
