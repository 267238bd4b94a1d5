"""``manga-ssftt stats``: mean, standard deviation and principal components of training spectra."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from astro_common.command import DONE, add_common_options, positive_int, print_json
from astro_common.errors import OutputError
from manga_ssftt.commands.options import add_root

__all__ = ["add_parser"]


def add_parser(verbs: Any) -> None:
    """Add the verb to the command's parser."""
    parser: argparse.ArgumentParser = verbs.add_parser(
        "stats",
        help="measure the training spectra: mean, standard deviation, principal components",
        description="Measure the spectra of the training galaxies of a split, one galaxy at a "
        "time, and write the tensors mean, std and components as safetensors.",
    )
    add_root(parser)
    parser.add_argument("--split-dir", type=Path, required=True, metavar="DIR")
    parser.add_argument("--n-components", type=positive_int, default=30, metavar="K", help="(30)")
    parser.add_argument("--out", type=Path, required=True, metavar="F.safetensors")
    parser.add_argument("--overwrite", action="store_true", help="replace a file that exists")
    add_common_options(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Measure the training galaxies."""
    from manga_ssftt.layout import Tree
    from manga_ssftt.splits import read_split
    from manga_ssftt.training_statistics import measure_statistics, write_statistics

    if arguments.out.exists() and not arguments.overwrite:
        raise OutputError(arguments.out, "the file exists", action="give --overwrite to replace it")
    split = read_split(arguments.split_dir, "train")
    found = measure_statistics(Tree(arguments.root), split, arguments.n_components)
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    write_statistics(arguments.out, found, overwrite=arguments.overwrite)
    explained = sum(found.notes["variance"]) / found.notes["total_variance"]
    if arguments.json:
        print_json(
            {
                "output": str(arguments.out),
                "n_galaxies": len(split),
                "n_spectra": found.notes["n_spectra"],
                "n_components": len(found.components),
                "explained_variance": explained,
            }
        )
    else:
        print(
            f"{arguments.out}: {found.notes['n_spectra']} spectra of {len(split)} galaxies, "
            f"{len(found.components)} components with {100 * explained:.1f} % of the variance"
        )
    return DONE
