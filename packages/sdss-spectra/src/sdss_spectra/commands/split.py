"""``sdss-spectra split``: sets that share no star."""

from __future__ import annotations

import argparse
from typing import Any

from astro_common.command import print_json
from sdss_spectra.commands.model_options import add_split
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

__all__ = ["add_parser"]


def add_parser(verbs: Any) -> None:
    """Add the verb to the command's parser."""
    parser = add_verb(
        verbs,
        "split",
        "training, validation and test sets that share no star",
        "Write train_split.csv, validation_split.csv and test_split.csv into a folder.",
    )
    add_data(parser)
    add_output(parser, "DIR", "folder of the tables")
    add_seed(parser)
    add_split(parser)
    add_catalogue(parser)
    add_grid(parser, training=True)
    add_workers(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Write the tables."""
    from collections import Counter

    from sdss_spectra.splits import PARTS, check_fractions, split_rows, split_spectra, write_splits
    from sdss_spectra.tables import check_output

    check_fractions(arguments.validation_fraction, arguments.test_fraction)
    preprocessing, catalogue = preprocessing_of(arguments), catalogue_of(arguments)
    arguments.output.mkdir(parents=True, exist_ok=True)
    for part in PARTS:
        check_output(arguments.output / f"{part}_split.csv", arguments.overwrite)
    dataset = dataset_of(arguments, preprocessing, catalogue, failures_beside(arguments.output))
    rows, groups = split_rows(dataset, arguments.group_by, arguments.seed)
    parts = split_spectra(
        dataset.names,
        groups,
        validation_fraction=arguments.validation_fraction,
        test_fraction=arguments.test_fraction,
        seed=arguments.seed,
    )
    write_splits(arguments.output, rows, parts, overwrite=arguments.overwrite)
    counts = Counter(parts)
    if arguments.json:
        print_json(
            {
                "output": str(arguments.output),
                **{part: counts[part] for part in PARTS},
                "stars": len(set(groups)),
                "unlabelled": len(dataset.unlabelled),
                "failed": dataset.account.num_failed,
            }
        )
    else:
        shown = ", ".join(f"{counts[part]} {part}" for part in PARTS)
        print(f"{arguments.output}: {shown}; {len(set(groups))} groups")
    return status_of(dataset.account)
