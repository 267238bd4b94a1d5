"""``sdss-spectra preprocess``: clean spectra on one grid, in one file."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from sdss_spectra.commands.options import (
    add_data,
    add_grid,
    add_output,
    add_strip,
    add_verb,
    add_workers,
    check_distinct,
    failures_beside,
    files_of,
    finish_table,
    preprocessing_of,
)

__all__ = ["add_parser"]


def add_parser(verbs: Any) -> None:
    """Add the verb to the command's parser."""
    parser = add_verb(
        verbs,
        "preprocess",
        "clean, resample and normalise all spectra into one store",
        "Write cleaned spectra on a common log10-wavelength grid (vacuum), as Parquet or HDF5.",
    )
    add_data(parser)
    add_output(parser, "FILE", "the store, .parquet, .h5 or .hdf5")
    add_grid(parser)
    parser.add_argument("--preproc-log", type=Path, metavar="FILE", help="also log every step")
    parser.add_argument(
        "--preproc-log-format", choices=("csv", "parquet"), help="regardless of the extension"
    )
    parser.add_argument("--created-at", metavar="TIME", help="time stamp of the log (now)")
    add_strip(parser)
    add_workers(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Write the store, and the log."""
    from contextlib import ExitStack

    from sdss_spectra.preprocessing.log import COLUMNS, time_stamp
    from sdss_spectra.preprocessing.store import write_store
    from sdss_spectra.tables import check_output, check_table, open_table

    settings = preprocessing_of(arguments)
    check_distinct(output=arguments.output, preproc_log=arguments.preproc_log)
    check_output(arguments.output, arguments.overwrite)
    timestamp = time_stamp(arguments.created_at)
    if arguments.preproc_log is not None:
        check_table(arguments.preproc_log, arguments.preproc_log_format, arguments.overwrite)
    with ExitStack() as stack:
        log = None
        if arguments.preproc_log is not None:
            log = stack.enter_context(
                open_table(
                    arguments.preproc_log,
                    COLUMNS,
                    overwrite=arguments.overwrite,
                    file_format=arguments.preproc_log_format,
                )
            )
        account = write_store(
            files_of(arguments),
            arguments.output,
            settings,
            workers=arguments.workers,
            overwrite=arguments.overwrite,
            failures=failures_beside(arguments.output),
            timestamp=timestamp,
            log=log,
        )
    return finish_table(arguments, account, pixels=settings.grid.n_pixels)
