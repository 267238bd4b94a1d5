"""``sdss-spectra pipeline``: tables, training and curves in one run."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from sdss_spectra.commands.model_options import add_split
from sdss_spectra.commands.options import (
    add_catalogue,
    add_declared,
    add_seed,
    add_verb,
    add_workers,
)

__all__ = ["add_parser", "add_pipeline_options"]


def add_parser(verbs: Any) -> None:
    """Add the verb to the command's parser."""
    parser = add_verb(
        verbs,
        "pipeline",
        "tables, training and learning curves in one run (needs sdss-spectra[tensorflow])",
        "Count the classes, write the tables that are asked for, train the classifier, draw its "
        "learning curves and an example. Also: python -m sdss_spectra.pipeline.",
    )
    add_pipeline_options(parser)


def add_pipeline_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of the pipeline to a parser."""
    from astro_common.command import positive_int

    parser.add_argument("data", type=Path, metavar="DATA", help="folder of spectra")
    parser.add_argument(
        "-o", "--output", type=Path, metavar="DIR", help="also keep the model in this folder"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace what exists")
    group = parser.add_argument_group("training")
    group.add_argument(
        "--input-length", type=positive_int, default=2048, metavar="N",
        help="pixels of the common grid, from 3548 to 9112 angstrom (2048)",
    )  # fmt: skip
    group.add_argument("--batch-size", type=positive_int, default=32, metavar="N", help="(32)")
    group.add_argument("--epochs", type=positive_int, default=20, metavar="N", help="(20)")
    group.add_argument("--learning-rate", type=float, default=1e-3, metavar="X", help="(1e-3)")
    group.add_argument("--members", type=positive_int, default=1, metavar="N", help="networks (1)")
    group.add_argument("--architecture", choices=("cnn", "resnet"), default="cnn", help="(cnn)")
    group.add_argument("--history-plot", type=Path, metavar="PNG", help="learning curves")
    group.add_argument("--no-show-history", action="store_true", help="open no window with them")
    group.add_argument("--plot-example", type=Path, metavar="FILE", help="draw this spectrum too")
    group.add_argument(
        "--plot-output",
        type=Path,
        metavar="PNG",
        help="where (STEM-lines.png beside --history-plot)",
    )
    tables = parser.add_argument_group("tables")
    for option, text in (
        ("metadata-table", "metadata"),
        ("spectra-manifest", "manifest"),
        ("label-table", "labels"),
        ("preproc-log", "preprocessing log"),
    ):
        tables.add_argument(f"--{option}", type=Path, metavar="FILE", help=f"write the {text}")
    for option in (
        "metadata-format",
        "manifest-format",
        "label-table-format",
        "preproc-log-format",
    ):
        tables.add_argument(
            f"--{option}", choices=("csv", "parquet"), help="regardless of the extension"
        )
    tables.add_argument("--survey", metavar="TEXT", help="survey of the manifest")
    tables.add_argument("--manifest-notes", metavar="TEXT", help="notes of the manifest")
    tables.add_argument("--manifest-created-at", metavar="TIME", help="time stamp of tables (now)")
    add_seed(parser)
    add_split(parser)
    add_declared(parser)
    add_catalogue(parser)
    add_workers(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Run the pipeline."""
    from sdss_spectra.pipeline import run_pipeline

    return run_pipeline(arguments)
