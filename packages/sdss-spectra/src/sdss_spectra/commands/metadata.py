"""``sdss-spectra metadata``: what the headers and the pixels say about each spectrum."""

from __future__ import annotations

import argparse
from typing import Any

from sdss_spectra.commands.options import (
    add_data,
    add_declared,
    add_output,
    add_strip,
    add_verb,
    add_workers,
    declared_of,
    failures_beside,
    files_of,
    finish_table,
)

__all__ = ["add_parser"]


def add_parser(verbs: Any) -> None:
    """Add the verb to the command's parser."""
    parser = add_verb(
        verbs,
        "metadata",
        "table of observing metadata, one row per spectrum",
        "Write what headers, tables and pixels say about each spectrum, as CSV or Parquet.",
    )
    add_data(parser)
    add_output(parser, "FILE", "the table, .csv or .parquet")
    parser.add_argument(
        "--metadata-format", choices=("csv", "parquet"), help="regardless of the extension"
    )
    add_declared(parser)
    add_strip(parser)
    add_workers(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Write the table."""
    from functools import partial

    from sdss_spectra.metadata import COLUMNS, metadata_row
    from sdss_spectra.survey_table import write_survey_table
    from sdss_spectra.tables import check_table

    check_table(arguments.output, arguments.metadata_format, arguments.overwrite)
    account = write_survey_table(
        files_of(arguments),
        arguments.output,
        COLUMNS,
        partial(metadata_row, declared=declared_of(arguments)),
        overwrite=arguments.overwrite,
        file_format=arguments.metadata_format,
        failures=failures_beside(arguments.output),
        workers=arguments.workers,
    )
    return finish_table(arguments, account)
