"""``sdss-spectra predict``: classes of new spectra."""

from __future__ import annotations

import argparse
from pathlib import Path
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
        "predict",
        "classes of spectra by a trained model, without TensorFlow",
        "Write spec_id, class_pred and the probability of each class.",
    )
    add_data(parser, many=True)
    parser.add_argument("--model", type=Path, required=True, metavar="DIR", help="made by train")
    add_output(parser, "CSV", "the table, .csv or .parquet")
    parser.add_argument(
        "--subtype", action="store_true", help="also write subtype_pred, as in G2.3"
    )
    add_strip(parser)
    add_workers(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Predict."""
    from sdss_spectra.model.files import load_model
    from sdss_spectra.model.prediction import predict_files
    from sdss_spectra.tables import check_table

    check_table(arguments.output, None, arguments.overwrite)
    model = load_model(arguments.model)
    account = predict_files(
        model,
        files_of(arguments),
        arguments.output,
        with_subtype=arguments.subtype,
        overwrite=arguments.overwrite,
        workers=arguments.workers,
        failures=failures_beside(arguments.output),
    )
    return finish_table(arguments, account, f"{account.num_spectra} spectra")
