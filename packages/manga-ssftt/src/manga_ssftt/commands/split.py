"""``manga-ssftt split``: which galaxies train, validate and test."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from astro_common.command import DONE, add_common_options, print_json
from astro_common.errors import InputError
from manga_ssftt.commands.options import add_root, add_seed
from manga_ssftt.layout import LABEL_TASKS

if TYPE_CHECKING:
    from manga_ssftt.layout import Tree
    from manga_ssftt.splits import Split

__all__ = ["add_parser"]


def add_parser(verbs: Any) -> None:
    """Add the verb to the command's parser."""
    parser: argparse.ArgumentParser = verbs.add_parser(
        "split",
        help="divide galaxies into train, val and test by MANGAID (or spaxels, which leaks)",
        description="Write train.csv, val.csv and test.csv. The hard split deals out galaxies, all "
        "observations of one MANGAID together; the easy split deals out spaxels of all galaxies, "
        "whose patches overlap: its figures are leaky by design.",
    )
    add_root(parser)
    parser.add_argument("--catalog", type=Path, required=True, metavar="DAPALL")
    parser.add_argument(
        "--fractions",
        nargs=3,
        type=float,
        default=(0.8, 0.1, 0.1),
        metavar=("TRAIN", "VAL", "TEST"),
        help="shares (0.8 0.1 0.1)",
    )
    add_seed(parser)
    parser.add_argument("--kind", choices=("hard", "easy"), default="hard")
    parser.add_argument(
        "--label-task", choices=LABEL_TASKS, default="BPT", help="of the easy split"
    )
    parser.add_argument(
        "--stratify",
        nargs="*",
        metavar="COLUMN",
        help="columns of the catalogue that the hard split balances; by default up to two of mass, "
        "star formation rate and axis ratio; without a name none",
    )
    parser.add_argument("--out", type=Path, required=True, metavar="DIR")
    parser.add_argument(
        "--plot", action="store_true", help="also draw the properties of the parts (split.png)"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace files that exist")
    add_common_options(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Write the split."""
    from manga_ssftt.catalog import read_catalog
    from manga_ssftt.layout import Tree
    from manga_ssftt.splits import PARTS, choose_properties, easy_split, hard_split, write_split

    tree = Tree(arguments.root)
    catalog = read_catalog(arguments.catalog)
    # Before anything is processed, the galaxies are those that have been downloaded.
    names = tree.galaxies() or tree.raw_galaxies()
    if not names:
        raise InputError(arguments.root, "no galaxy", "galaxies under processed or raw")
    properties = choose_properties(catalog, arguments.stratify)
    if arguments.kind == "easy":
        split = easy_split(_labels(tree, arguments.label_task), arguments.fractions, arguments.seed)
    else:
        split = hard_split(catalog, names, arguments.fractions, arguments.seed, properties)
    write_split(arguments.out, split, overwrite=arguments.overwrite)
    figure = None
    if arguments.plot:
        from manga_ssftt.plots.splits import draw_split

        figure = draw_split(
            arguments.out / "split.png", split, catalog, properties, tree, arguments.label_task
        )
    counts = {part: _count(split[part]) for part in PARTS}
    if arguments.json:
        print_json(
            {
                "output": str(arguments.out),
                "kind": arguments.kind,
                "leaky": arguments.kind == "easy",
                "stratified_by": properties if arguments.kind == "hard" else ["label"],
                "figure": figure,
                **counts,
            }
        )
    else:
        unit = "galaxies" if arguments.kind == "hard" else "spaxels (leaky)"
        parts = ", ".join(f"{part} {count}" for part, count in counts.items())
        print(f"{arguments.out}: {parts} {unit}")
    return DONE


def _count(split: Split) -> int:
    return sum(1 if places is None else len(places) for places in split.values())


def _labels(tree: Tree, task: str) -> Any:
    import numpy as np

    from manga_ssftt.galaxy_file import GalaxyFile
    from manga_ssftt.labels import ABUNDANCE_BINS
    from manga_ssftt.patches import labelled_spaxels

    found = {}
    for plateifu in tree.galaxies():
        with GalaxyFile(tree.galaxy(plateifu)) as file:
            spaxels = labelled_spaxels(file.label(task), file.read("mask"))
        if len(spaxels) == 0:
            continue
        classes = spaxels.label
        if task == "logOH":
            classes = np.digitize(classes, ABUNDANCE_BINS["default"])
        found[plateifu] = (np.stack([spaxels.y, spaxels.x], axis=1), classes.astype(np.int64))
    if not found:
        raise InputError(
            tree.root, f"no processed galaxy with a {task} label", "some", "run process first"
        )
    return found
