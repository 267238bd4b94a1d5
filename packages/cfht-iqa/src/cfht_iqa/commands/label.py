"""``cfht-iqa label``: labels in one form."""

from __future__ import annotations

import argparse
from collections import Counter
from pathlib import Path
from typing import Any

from astro_common.command import DONE, add_common_options, print_json
from cfht_iqa.commands.options import add_output

__all__ = ["add_parser"]


def add_parser(verbs: Any) -> None:
    """Add the verb to the command's parser."""
    parser: argparse.ArgumentParser = verbs.add_parser(
        "label",
        help="read labels from text, COCO-like JSON or CSV",
        description="Write CSV with columns exposure, label (the main one) and labels (all, with ; "
        "between them). Classes: GOOD, B_SEEING, BGP, BT, RBT.",
    )
    parser.add_argument(
        "files", nargs="+", type=Path, metavar="TXT", help="lines: id label[, label]"
    )
    add_output(parser, "F.csv", "the table")
    add_common_options(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Write the table."""
    from cfht_iqa.labels import read_labels, write_labels

    labels = read_labels(arguments.files)
    write_labels(labels, arguments.output, overwrite=arguments.overwrite)
    counts = Counter(names[0] for names in labels.values())
    if arguments.json:
        print_json({"output": str(arguments.output), "n_exposures": len(labels), "classes": counts})
    else:
        found = ", ".join(f"{name} {count}" for name, count in sorted(counts.items()))
        print(f"{arguments.output}: {len(labels)} exposures ({found})")
    return DONE
