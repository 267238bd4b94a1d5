"""``sdss-spectra metadata``: what the headers and the pixels say about each spectrum."""

from __future__ import annotations

import argparse
from typing import Any

from astro_common.command import print_json
from sdss_spectra.commands.options import (
    add_data,
    add_declared,
    add_output,
    add_strip,
    add_workers,
    declared_of,
    failures_beside,
    status_of,
    unit_verb,
)

__all__ = ["add_parser"]


def add_parser(verbs: Any) -> None:
    """Add the verb to the command's parser."""
    parser = unit_verb(
        verbs,
        "metadata",
        "table of observing metadata, one row per spectrum",
        "Write what headers, tables and pixels say about each spectrum, as CSV or Parquet.",
    )
    add_data(parser)
    add_output(parser, "FILE", "the table, .csv or .parquet")
    parser.add_argument("--metadata-format", choices=("csv", "parquet"), help="whatever the name")
    add_declared(parser)
    add_strip(parser)
    add_workers(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Write the table."""
    from functools import partial

    from sdss_spectra.files import find_files
    from sdss_spectra.metadata import COLUMNS, metadata_row
    from sdss_spectra.survey import Account, each_spectrum
    from sdss_spectra.tables import check_output, open_table, table_format

    table_format(arguments.output, arguments.metadata_format)
    check_output(arguments.output, arguments.overwrite)
    files = find_files(
        arguments.data,
        strip_prefix=arguments.catalog_strip_prefix,
        strip_suffix=arguments.catalog_strip_suffix,
    )
    account = Account()
    with open_table(
        arguments.output,
        COLUMNS,
        overwrite=arguments.overwrite,
        file_format=arguments.metadata_format,
    ) as write:
        each_spectrum(
            files,
            partial(metadata_row, declared=declared_of(arguments)),
            account,
            failures=failures_beside(arguments.output),
            workers=arguments.workers,
            consume=write,
        )
    if arguments.json:
        print_json(
            {
                "output": str(arguments.output),
                "spectra": account.num_spectra,
                "failed": account.num_failed,
            }
        )
    else:
        print(
            f"{arguments.output}: {account.num_spectra} spectra, {account.num_failed} files failed"
        )
    return status_of(account)
