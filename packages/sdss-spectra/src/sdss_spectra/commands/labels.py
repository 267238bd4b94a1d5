"""``sdss-spectra labels``: what stars the spectra are of."""

from __future__ import annotations

import argparse
from typing import Any

from astro_common.command import print_json
from sdss_spectra.commands.options import (
    add_catalogue,
    add_data,
    add_output,
    add_workers,
    catalogue_of,
    failures_beside,
    status_of,
    unit_verb,
)

__all__ = ["add_parser"]


def add_parser(verbs: Any) -> None:
    """Add the verb to the command's parser."""
    parser = unit_verb(
        verbs,
        "labels",
        "table of classes and stellar parameters, one row per spectrum",
        "Write the labels of a catalogue, or without one what the files say, as CSV or Parquet; "
        "spectra without a match have nulls.",
    )
    add_data(parser)
    add_output(parser, "FILE", "the table, .csv or .parquet")
    parser.add_argument(
        "--label-table-format", choices=("csv", "parquet"), help="whatever the name"
    )
    add_catalogue(parser)
    add_workers(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Write the table."""
    from sdss_spectra.files import find_files
    from sdss_spectra.labels.table import COLUMNS, LabelFacts, facts_of, label_row
    from sdss_spectra.survey import Account, each_spectrum
    from sdss_spectra.tables import check_output, open_table, table_format

    table_format(arguments.output, arguments.label_table_format)
    check_output(arguments.output, arguments.overwrite)
    catalogue = catalogue_of(arguments)
    files = find_files(
        arguments.data,
        strip_prefix=arguments.catalog_strip_prefix,
        strip_suffix=arguments.catalog_strip_suffix,
    )
    account = Account()
    matched = 0
    with open_table(
        arguments.output,
        COLUMNS,
        overwrite=arguments.overwrite,
        file_format=arguments.label_table_format,
    ) as write:

        def consume(facts: LabelFacts) -> None:
            nonlocal matched
            row = label_row(facts, catalogue)
            matched += row.get("label_source") is not None
            write(row)

        each_spectrum(
            files,
            facts_of,
            account,
            failures=failures_beside(arguments.output),
            workers=arguments.workers,
            consume=consume,
        )
    if arguments.json:
        print_json(
            {
                "output": str(arguments.output),
                "spectra": account.num_spectra,
                "labelled": matched,
                "failed": account.num_failed,
            }
        )
    else:
        print(f"{arguments.output}: {matched} of {account.num_spectra} spectra have a label")
    return status_of(account)
