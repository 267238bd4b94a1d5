"""``sdss-spectra labels``: classes and parameters of the stars."""

from __future__ import annotations

import argparse
from typing import Any

from sdss_spectra.commands.options import (
    add_catalogue,
    add_data,
    add_output,
    add_verb,
    add_workers,
    catalogue_of,
    failures_beside,
    files_of,
    finish_table,
)

__all__ = ["add_parser"]


def add_parser(verbs: Any) -> None:
    """Add the verb to the command's parser."""
    parser = add_verb(
        verbs,
        "labels",
        "table of classes and stellar parameters, one row per spectrum",
        "Write the labels of a catalogue, or without one what the files say, as CSV or Parquet; "
        "spectra without a match have nulls.",
    )
    add_data(parser)
    add_output(parser, "FILE", "the table, .csv or .parquet")
    parser.add_argument(
        "--label-table-format", choices=("csv", "parquet"), help="regardless of the extension"
    )
    add_catalogue(parser)
    add_workers(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Write the table."""
    from sdss_spectra.labels.table import COLUMNS, LabelFacts, facts_of, label_row
    from sdss_spectra.survey_table import Row, write_survey_table
    from sdss_spectra.tables import check_table

    check_table(arguments.output, arguments.label_table_format, arguments.overwrite)
    catalogue = catalogue_of(arguments)
    labelled = 0

    def rows_of(facts: LabelFacts) -> tuple[Row]:
        nonlocal labelled
        row = label_row(facts, catalogue)
        labelled += row.get("label_source") is not None
        return (row,)

    account = write_survey_table(
        files_of(arguments),
        arguments.output,
        COLUMNS,
        facts_of,
        rows_of=rows_of,
        overwrite=arguments.overwrite,
        file_format=arguments.label_table_format,
        failures=failures_beside(arguments.output),
        workers=arguments.workers,
    )
    text = f"{labelled} of {account.num_spectra} spectra have a label"
    return finish_table(arguments, account, text, labelled=labelled)
