"""``cfht-iqa split``: exposures for training, validation and test."""

from __future__ import annotations

import argparse
from collections import Counter
from pathlib import Path
from typing import Any

from astro_common.command import DONE, PARTLY_FAILED, add_common_options, print_json
from cfht_iqa.commands.options import add_output, add_seed

__all__ = ["add_parser"]


def add_parser(verbs: Any) -> None:
    """Add the verb to the command's parser."""
    parser: argparse.ArgumentParser = verbs.add_parser(
        "split",
        help="deal out exposures to training, validation and test, after an audit for leaks",
        description="Write CSV with columns exposure and split. A feature that is constant within "
        "exposures and unique to each ends the command with status 1.",
    )
    parser.add_argument("--catalogue", type=Path, required=True, metavar="F.parquet")
    parser.add_argument("--labels", type=Path, required=True, metavar="F.csv")
    add_output(parser, "F.csv", "the table")
    parser.add_argument(
        "--features",
        default="iso0,ellipticity,class_star,background",
        metavar="a,b",
        help="that the map sees (iso0,ellipticity,class_star,background)",
    )
    add_seed(parser, "the order")
    parser.add_argument(
        "--group",
        choices=("exposure", "night", "run"),
        default="exposure",
        help="what stays together: exposures, or all of a night or an observing run (exposure)",
    )
    add_common_options(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Write the table; exit status 3 if labels belong to exposures that are not there."""
    from astro_common.errors import OutputError
    from astro_common.jobs import FailureFile
    from cfht_iqa.labels import read_labels_csv
    from cfht_iqa.splits import split_catalogue, write_splits

    if arguments.output.exists() and not arguments.overwrite:
        raise OutputError(
            arguments.output, "the file exists", action="give --overwrite to replace it"
        )
    result = split_catalogue(
        arguments.catalogue,
        read_labels_csv(arguments.labels),
        [name.strip() for name in arguments.features.split(",")],
        group=arguments.group,
        seed=arguments.seed,
    )
    write_splits(result.splits, arguments.output, overwrite=arguments.overwrite)
    failures = FailureFile(arguments.output.with_name("failures.jsonl"), "exposure")
    for exposure in result.splits:
        failures.discard(exposure)
    for failure in result.unknown:
        failures.add(failure)
    counts = Counter(result.splits.values())
    if arguments.json:
        print_json(
            {
                "output": str(arguments.output),
                "splits": counts,
                "unlabelled": result.unlabelled,
                "unknown": [failure.unit for failure in result.unknown],
            }
        )
    else:
        print(f"{arguments.output}: " + ", ".join(f"{name} {counts[name]}" for name in counts))
    return PARTLY_FAILED if result.unknown else DONE
