"""``sdss-spectra train``: the classifier of stellar types."""

from __future__ import annotations

import argparse
import logging
from typing import Any

from astro_common.command import print_json
from sdss_spectra.commands.model_options import add_split, add_training, run_settings_of
from sdss_spectra.commands.options import (
    add_catalogue,
    add_data,
    add_grid,
    add_output,
    add_seed,
    add_verb,
    add_workers,
    catalogue_of,
    dataset_of,
    failures_beside,
    preprocessing_of,
    status_of,
)

__all__ = ["add_parser", "show_epoch"]

logger = logging.getLogger(__name__)


def add_parser(verbs: Any) -> None:
    """Add the verb to the command's parser."""
    parser = add_verb(
        verbs,
        "train",
        "train the classifier (needs sdss-spectra[tensorflow])",
        "Train the network on labelled spectra, with stars held out for validation and for the "
        "test, and write model.json, weights.npz, history.csv and the split tables.",
    )
    add_data(parser)
    add_output(parser, "DIR", "folder of the model")
    add_seed(parser)
    add_split(parser)
    add_training(parser)
    add_catalogue(parser)
    add_grid(parser, training=True)
    add_workers(parser)
    parser.set_defaults(run=run)


def show_epoch(row: dict[str, Any]) -> None:
    """Log an epoch."""
    checked = (
        ""
        if row["val_loss"] is None
        else (f", validation {row['val_loss']:.3f} / {row['val_accuracy']:.3f}")
    )
    logger.info(
        "member %d epoch %d: loss %.3f, accuracy %.3f%s",
        row["member"] + 1, row["epoch"], row["loss"], row["accuracy"], checked,
    )  # fmt: skip


def run(arguments: argparse.Namespace) -> int:
    """Train."""
    from sdss_spectra.model.keras_network import require_tensorflow
    from sdss_spectra.model.run import class_lines, train_on, warn_of_size
    from sdss_spectra.model.run_folder import model_folder, write_run

    require_tensorflow()
    preprocessing = preprocessing_of(arguments)
    settings = run_settings_of(arguments, preprocessing)
    catalogue = catalogue_of(arguments)
    with model_folder(arguments.output, arguments.overwrite):
        dataset = dataset_of(arguments, preprocessing, catalogue, failures_beside(arguments.output))
        warn_of_size(dataset.names)
        found = train_on(dataset, settings, on_epoch=show_epoch)
        write_run(arguments.output, found)
    test = found.test
    if arguments.json:
        kept = None if test is None else {k: v for k, v in test.items() if k != "curves"}
        print_json(
            {
                "output": str(arguments.output),
                "classes": list(found.model.bins.classes),
                "epochs": len(found.history.rows),
                "seconds": found.history.seconds,
                "waiting_share": found.history.waiting_seconds / max(found.history.seconds, 1e-9),
                "test": kept,
                "failed": dataset.account.num_failed,
            }
        )
        return status_of(dataset.account)
    for line in class_lines(dataset.names):
        print(line)
    if test is not None:
        low, high = test["accuracy_interval_95"] or (float("nan"), float("nan"))
        print(
            f"{arguments.output}: accuracy {test['accuracy']:.3f} (95 %: {low:.3f} .. {high:.3f}), "
            f"macro-F1 {test['macro_f1']:.3f}, of {test['spectra']} spectra held out"
        )
    else:
        print(f"{arguments.output}: trained; no spectra were held out")
    return status_of(dataset.account)
