"""``sdss-spectra manifest``: files with checksums and calibration keywords."""

from __future__ import annotations

import argparse
from typing import Any

from astro_common.command import print_json
from sdss_spectra.commands.options import (
    add_data,
    add_output,
    add_strip,
    add_workers,
    failures_beside,
    status_of,
    unit_verb,
)

__all__ = ["add_parser"]


def add_parser(verbs: Any) -> None:
    """Add the verb to the command's parser."""
    parser = unit_verb(
        verbs,
        "manifest",
        "table of files with SHA-256, wavelength grid and calibration keywords",
        "Write the master index of the spectra, as CSV or Parquet.",
    )
    add_data(parser)
    add_output(parser, "FILE", "the table, .csv or .parquet")
    parser.add_argument("--manifest-format", choices=("csv", "parquet"), help="whatever the name")
    parser.add_argument("--survey", metavar="TEXT", help="such as SDSS-IV (from HDU 2)")
    parser.add_argument("--data-release", metavar="TEXT", help="such as DR17 (from RUN2D)")
    parser.add_argument("--manifest-notes", metavar="TEXT", help="free text")
    parser.add_argument(
        "--manifest-created-at", "--created-at", metavar="TIME", help="created_at (now)"
    )
    add_strip(parser)
    add_workers(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Write the table."""
    from functools import partial

    from sdss_spectra.files import find_files
    from sdss_spectra.manifest import COLUMNS, ManifestSettings, manifest_row
    from sdss_spectra.preprocessing.log import time_stamp
    from sdss_spectra.survey import Account, each_spectrum
    from sdss_spectra.tables import check_output, open_table, table_format

    table_format(arguments.output, arguments.manifest_format)
    check_output(arguments.output, arguments.overwrite)
    settings = ManifestSettings(
        created_at=time_stamp(arguments.manifest_created_at, "--manifest-created-at"),
        survey=arguments.survey,
        data_release=arguments.data_release,
        notes=arguments.manifest_notes,
    )
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
        file_format=arguments.manifest_format,
    ) as write:
        each_spectrum(
            files,
            partial(manifest_row, settings=settings),
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
