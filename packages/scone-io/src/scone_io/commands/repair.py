"""``scone-io repair``: a shard without its bad records."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from astro_common.command import DONE, add_common_options, print_json
from scone_io.commands.shard_options import add_output

__all__ = ["add_parser"]


def add_parser(verbs: Any) -> None:
    """Add the verb to the command's parser."""
    parser: argparse.ArgumentParser = verbs.add_parser(
        "repair",
        help="copy the sound records of a shard into a new file",
        description="Copy the sound records of a shard, byte for byte, into a new plain file; bad "
        "ones and a torn tail are left out. The input is never changed.",
    )
    parser.add_argument("file", type=Path, metavar="IN", help="a shard, plain or compressed")
    add_output(parser, "OUT", "the new shard")
    add_common_options(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Repair."""
    from scone_io.shard_files import carry_sidecar
    from scone_io.tfrecord.checking import repair_file

    check = repair_file(arguments.file, arguments.output, overwrite=arguments.overwrite)
    carry_sidecar([arguments.file], arguments.output, overwrite=True)
    dropped = [{"offset": item.offset, "reason": item.reason} for item in check.bad]
    if arguments.json:
        print_json({"output": str(arguments.output), "records": check.records, "dropped": dropped})
    else:
        for item in check.bad:
            print(f"dropped: offset {item.offset}: {item.reason}")
        print(f"{arguments.output}: {check.records} records, {len(check.bad)} dropped")
    return DONE
