"""``cfht-iqa catalogue``: all sources in one Parquet file."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from astro_common.command import DONE, PARTLY_FAILED, add_common_options, print_json
from cfht_iqa.commands.options import add_output, positive_float

__all__ = ["add_parser"]


def add_parser(verbs: Any) -> None:
    """Add the verb to the command's parser."""
    parser: argparse.ArgumentParser = verbs.add_parser(
        "catalogue",
        help="put source catalogues together in one Parquet file",
        description="Read catalogues in format FITS_LDAC, FITS_1.0 or ASCII_HEAD, of this package "
        "or of SExtractor, and write their sources as one table.",
    )
    parser.add_argument("catalogues", nargs="+", type=Path, metavar="CAT", help="catalogues")
    add_output(parser, "F.parquet", "the table")
    parser.add_argument(
        "--exptime-s", type=positive_float, metavar="V", help="in place of EXPTIME of the headers"
    )
    add_common_options(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Write the table; exit status 3 if some catalogues could not be read."""
    from cfht_iqa.catalogue import build_catalogue

    counts, failed = build_catalogue(
        arguments.catalogues,
        arguments.output,
        exptime_s=arguments.exptime_s,
        overwrite=arguments.overwrite,
    )
    if arguments.json:
        reasons = [
            {"exposure": item.unit, "file": item.file, "reason": item.reason} for item in failed
        ]
        print_json({"output": str(arguments.output), **counts, "failed": reasons})
    else:
        print(
            f"{arguments.output}: {counts['n_sources']} sources on {counts['n_ccds']} CCDs of "
            f"{counts['n_exposures']} exposures"
        )
    return PARTLY_FAILED if failed else DONE
