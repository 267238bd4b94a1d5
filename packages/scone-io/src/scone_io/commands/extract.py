"""``scone-io extract``: one row per event."""

from __future__ import annotations

import argparse
from typing import Any

from astro_common.command import DONE, add_common_options, positive_int, print_json
from scone_io.commands.shard_options import (
    add_files,
    add_grid,
    add_labels,
    add_on_bad,
    add_output,
)

__all__ = ["add_parser"]


def add_parser(verbs: Any) -> None:
    """Add the verb to the command's parser."""
    parser: argparse.ArgumentParser = verbs.add_parser(
        "extract",
        help="a table of features, one row per event; also light curves and spectra",
        description="Write one row per event: peak, rise and decline, colours, signal to noise, "
        "coverage. CSV has full precision and commas; Parquet also units and definitions.",
    )
    add_files(parser)
    add_output(parser, "OUT", "OUT.csv or OUT.parquet")
    parser.add_argument(
        "--full-lightcurves", action="store_true", help="also write OUT_lightcurves"
    )
    parser.add_argument("--full-spectra", action="store_true", help="also write OUT_spectra")
    parser.add_argument("--limit", type=positive_int, metavar="N", help="only the first N events")
    parser.add_argument(
        "--compat",
        action="store_true",
        help="as the existing tool writes it: 40 columns, spaces, three decimals, grid legacy",
    )
    parser.add_argument(
        "--workers", type=positive_int, default=1, metavar="N", help="processes (default: 1)"
    )
    add_grid(parser)
    add_labels(parser)
    add_on_bad(parser)
    add_common_options(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Extract."""
    from scone_io.shards import open_shards
    from scone_io.summary.extraction import Extraction, extract

    extraction = Extraction(
        output=arguments.output,
        compat=arguments.compat,
        light_curves=arguments.full_lightcurves,
        spectra=arguments.full_spectra,
        labels=arguments.labels,
        limit=arguments.limit,
        workers=arguments.workers,
        overwrite=arguments.overwrite,
    )
    extraction.check()
    grid = "legacy" if arguments.compat and arguments.grid is None else arguments.grid
    shards = open_shards(arguments.files, grid=grid, on_bad=arguments.on_bad)
    totals = extract(shards, extraction)
    outputs = [str(path) for path in extraction.outputs()]
    if arguments.json:
        print_json(
            {
                "outputs": outputs,
                "events": totals.events,
                "num_bad": totals.bad,
                "classes": totals.classes,
            }
        )
    else:
        print("\n".join(outputs))
    return DONE
