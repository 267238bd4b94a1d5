"""``sdss-spectra report``: tables, figures and one page."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from astro_common.command import print_json
from sdss_spectra.commands.options import (
    add_catalogue,
    add_data,
    add_grid,
    add_output,
    add_seed,
    add_verb,
    add_workers,
    catalogue_of,
    preprocessing_of,
    status_of,
)

__all__ = ["add_parser"]


def add_parser(verbs: Any) -> None:
    """Add the verb to the command's parser."""
    parser = add_verb(
        verbs,
        "report",
        "Tables A to D and Figures 1 to 5 of a data set, and one page that shows them",
        "Write DIR/index.html, DIR/tables, DIR/figures (SVG and PNG) and DIR/supplement, all "
        "computed from DATA and from the model.",
    )
    add_data(parser)
    add_output(parser, "DIR", "folder of the report")
    parser.add_argument("--model", type=Path, metavar="DIR", help="made by train; Figures 4 and 5")
    parser.add_argument(
        "--shift", type=Path, action="append", default=[], metavar="DATA",
        help="another release on which the model is evaluated; may be given several times",
    )  # fmt: skip
    parser.add_argument(
        "--ablation", type=Path, metavar="CSV", help="made by ablate; shown in the page too"
    )
    parser.add_argument("--example", type=Path, metavar="FILE", help="spectrum of Figure 1")
    parser.add_argument("--created-at", metavar="TIME", help="time stamp of the log (now)")
    add_seed(parser)
    add_catalogue(parser)
    add_grid(parser, training=True)
    parser.set_defaults(no_normalise=False)
    add_workers(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Write the report."""
    from sdss_spectra.preprocessing.log import time_stamp
    from sdss_spectra.reporting.report import ReportSettings, write_report

    settings = ReportSettings(
        timestamp=time_stamp(arguments.created_at),
        preprocessing=preprocessing_of(arguments),
        model=arguments.model,
        shift=tuple(arguments.shift),
        ablation=arguments.ablation,
        example=arguments.example,
        seed=arguments.seed,
    )
    written, account = write_report(
        arguments.data,
        arguments.output,
        settings,
        catalogue=catalogue_of(arguments),
        strip_prefix=arguments.catalog_strip_prefix,
        strip_suffix=arguments.catalog_strip_suffix,
        workers=arguments.workers,
        overwrite=arguments.overwrite,
    )
    if arguments.json:
        print_json({**written, "failed": account.num_failed})
    else:
        print(written["page"])
        for title, reason in written["skipped"].items():
            print(f"{title.split('.')[0]}: not drawn, {reason}")
    return status_of(account)
