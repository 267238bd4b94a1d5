"""``scone-io verify``: every checksum of every record."""

from __future__ import annotations

import argparse
from typing import Any

from astro_common.command import DONE, FAILED, add_common_options, positive_int, print_json
from scone_io.commands.shard_options import add_files

__all__ = ["add_parser"]


def add_parser(verbs: Any) -> None:
    """Add the verb to the command's parser."""
    parser: argparse.ArgumentParser = verbs.add_parser(
        "verify",
        help="check both checksums of every record; name the byte where each bad one begins",
        description="Check both checksums of every record. Exit status 1 if any is wrong, or a "
        "file or a compressed stream is cut short.",
    )
    add_files(parser)
    parser.add_argument(
        "--workers", type=positive_int, default=1, metavar="N", help="processes (default: 1)"
    )
    add_common_options(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Verify; exit status 1 if a record is bad."""
    from astro_common.errors import InputError
    from astro_common.jobs import run_units
    from scone_io.shards import find_shards
    from scone_io.tfrecord.checking import FileCheck, check_file

    paths = find_shards(arguments.files)
    found: dict[str, FileCheck] = {}
    # A file may be named twice; then it is checked twice.
    units = {str(number): path for number, path in enumerate(paths)}
    outcome = run_units(
        check_file,
        units,
        workers=arguments.workers,
        describe="file",
        on_done=found.__setitem__,
        progress=not arguments.quiet,
    )
    for failure in outcome.failed:
        raise InputError(failure.file or units[failure.unit], failure.reason)
    checks = [found[unit] for unit in units]
    num_bad = sum(len(check.bad) for check in checks)
    if arguments.json:
        print_json(
            {
                "records": sum(check.records for check in checks),
                "num_bad": num_bad,
                "files": [check.as_json() for check in checks],
            }
        )
    else:
        for check in checks:
            print(f"{check.file}: {check.records} sound records, {len(check.bad)} bad")
            for item in check.bad:
                print(f"  offset {item.offset}: {item.reason}")
    return FAILED if num_bad else DONE
