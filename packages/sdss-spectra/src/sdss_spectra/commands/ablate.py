"""``sdss-spectra ablate``: what each part of the classifier is worth."""

from __future__ import annotations

import argparse
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
    failures_beside,
    preprocessing_of,
    status_of,
)

__all__ = ["add_parser"]


def add_parser(verbs: Any) -> None:
    """Add the verb to the command's parser."""
    parser = add_verb(
        verbs,
        "ablate",
        "train without each part in turn (needs sdss-spectra[tensorflow])",
        "Train on the same split with all parts and without each, and write the scores.",
    )
    add_data(parser)
    add_output(parser, "CSV", "the table, such as supplement/ablation_studies.csv")
    parser.add_argument(
        "--experiments", metavar="NAMES", help="some of them, by comma, such as Baseline,No_QC"
    )
    add_seed(parser)
    add_split(parser)
    add_training(parser)
    add_catalogue(parser)
    add_grid(parser, training=True)
    add_workers(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Train and write the table."""
    from astro_common.errors import ConfigurationError
    from sdss_spectra.ablation import COLUMNS, EXPERIMENTS, run_ablation
    from sdss_spectra.model.keras_network import require_tensorflow
    from sdss_spectra.tables import check_table, write_table

    require_tensorflow()
    experiments = None
    if arguments.experiments is not None:
        experiments = [name.strip() for name in arguments.experiments.split(",")]
        for name in experiments:
            if name not in EXPERIMENTS:
                raise ConfigurationError("--experiments", repr(name), ", ".join(EXPERIMENTS))
    settings = run_settings_of(arguments, preprocessing_of(arguments))
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    check_table(arguments.output, None, arguments.overwrite)
    rows, account = run_ablation(
        arguments.data,
        settings,
        catalogue=catalogue_of(arguments),
        strip_prefix=arguments.catalog_strip_prefix,
        strip_suffix=arguments.catalog_strip_suffix,
        experiments=experiments,
        workers=arguments.workers,
        failures=failures_beside(arguments.output),
    )
    write_table(arguments.output, COLUMNS, rows, overwrite=arguments.overwrite)
    if arguments.json:
        print_json({"output": str(arguments.output), "experiments": rows})
    else:
        for row in rows:
            score = "-" if row["accuracy"] is None else f"{row['accuracy']:.3f}"
            print(f"{row['experiment']}: {score} ({row['notes']})")
    return status_of(account)
