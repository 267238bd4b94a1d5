"""``sdss-spectra manifest``: files with checksums and calibration keywords."""

from __future__ import annotations

import argparse
from typing import Any

from sdss_spectra.commands.options import (
    add_data,
    add_output,
    add_strip,
    add_verb,
    add_workers,
    failures_beside,
    files_of,
    finish_table,
)

__all__ = ["add_parser"]


def add_parser(verbs: Any) -> None:
    """Add the verb to the command's parser."""
    parser = add_verb(
        verbs,
        "manifest",
        "table of files with SHA-256, wavelength grid and calibration keywords",
        "Write the master index of the spectra, as CSV or Parquet.",
    )
    add_data(parser)
    add_output(parser, "FILE", "the table, .csv or .parquet")
    parser.add_argument(
        "--manifest-format", choices=("csv", "parquet"), help="regardless of the extension"
    )
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

    from sdss_spectra.manifest import COLUMNS, ManifestSettings, manifest_row
    from sdss_spectra.preprocessing.log import time_stamp
    from sdss_spectra.survey_table import write_survey_table
    from sdss_spectra.tables import check_table

    check_table(arguments.output, arguments.manifest_format, arguments.overwrite)
    settings = ManifestSettings(
        created_at=time_stamp(arguments.manifest_created_at, "--manifest-created-at"),
        survey=arguments.survey,
        data_release=arguments.data_release,
        notes=arguments.manifest_notes,
    )
    account = write_survey_table(
        files_of(arguments),
        arguments.output,
        COLUMNS,
        partial(manifest_row, settings=settings),
        overwrite=arguments.overwrite,
        file_format=arguments.manifest_format,
        failures=failures_beside(arguments.output),
        workers=arguments.workers,
    )
    return finish_table(arguments, account)
