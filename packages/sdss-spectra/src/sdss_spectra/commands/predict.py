"""``sdss-spectra predict``: classes of new spectra."""

from __future__ import annotations

import argparse
from pathlib import Path
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
    from sdss_spectra.tables import check_output, table_format, write_table

    table_format(arguments.output)
    check_output(arguments.output, arguments.overwrite)
    model = load_model(arguments.model)
    columns, rows, account = predict_files(
        model,
        arguments.data,
        strip_prefix=arguments.catalog_strip_prefix,
        strip_suffix=arguments.catalog_strip_suffix,
        with_subtype=arguments.subtype,
        workers=arguments.workers,
        failures=failures_beside(arguments.output),
    )
    write_table(arguments.output, columns, rows, overwrite=arguments.overwrite)
    if arguments.json:
        print_json(
            {"output": str(arguments.output), "spectra": len(rows), "failed": account.num_failed}
        )
    else:
        print(f"{arguments.output}: {len(rows)} spectra")
    return status_of(account)
