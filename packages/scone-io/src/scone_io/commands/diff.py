"""``scone-io diff``: whether two shards hold the same events."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from astro_common.command import DONE, FAILED, add_common_options, print_json

__all__ = ["add_parser"]

_SHOWN = 10


def add_parser(verbs: Any) -> None:
    """Add the verb to the command's parser."""
    parser: argparse.ArgumentParser = verbs.add_parser(
        "diff",
        help="whether two shards hold the same events, in any order",
        description="Compare two shards event by event, whatever their order and compression. "
        "Exit status 0 if they hold the same events, else 1.",
    )
    parser.add_argument("first", type=Path, metavar="A", help="a shard")
    parser.add_argument("second", type=Path, metavar="B", help="another shard")
    add_common_options(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Compare; exit status 1 if the events differ."""
    from scone_io.shard_files import difference

    found = difference(arguments.first, arguments.second)
    if arguments.json:
        print_json({**vars(found), "same": found.is_empty})
    elif found.is_empty:
        print(f"the same {found.num_first} events")
    else:
        for text, snids in (
            (f"only in {arguments.first}", found.only_first),
            (f"only in {arguments.second}", found.only_second),
            ("with other content", found.changed),
        ):
            if snids:
                more = " ..." if len(snids) > _SHOWN else ""
                print(f"{text}: {len(snids)}: SNID {', '.join(map(str, snids[:_SHOWN]))}{more}")
    return DONE if found.is_empty else FAILED
