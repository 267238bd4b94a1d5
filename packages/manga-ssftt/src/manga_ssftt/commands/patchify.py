"""``manga-ssftt patchify``: patches as files."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from astro_common.command import DONE, add_common_options, print_json
from manga_ssftt.commands.options import add_root, add_task_options

if TYPE_CHECKING:
    from manga_ssftt.layout import Tree

__all__ = ["add_parser", "cut"]


def add_parser(verbs: Any) -> None:
    """Add the verb to the command's parser."""
    parser: argparse.ArgumentParser = verbs.add_parser(
        "patchify",
        help="write a galaxy's patches as one .npy and one .csv (training does not need them)",
        description="Write the patch around every labelled spaxel of a processed galaxy, as "
        "processed/patches/TASK/NORM/PLATEIFU/PLATEIFU.npy (n, p, p, n_wave) and .csv (y,x,label).",
    )
    parser.add_argument("galaxy", metavar="PLATEIFU")
    add_root(parser)
    add_task_options(parser)
    parser.add_argument("--stats", type=Path, metavar="F", help="what stats writes, for PCA")
    parser.add_argument("--overwrite", action="store_true", help="replace files that exist")
    add_common_options(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Write the patches."""
    from manga_ssftt.layout import Tree

    found = cut(arguments, Tree(arguments.root), arguments.galaxy)
    if arguments.json:
        print_json(found)
    else:
        n, size, _, n_bands = found["shape"]
        print(f"{found['output']}: {n} patches of {size} x {size} x {n_bands}")
    return DONE


def cut(arguments: argparse.Namespace, tree: Tree, plateifu: str) -> dict[str, Any]:
    """Write the patches of a galaxy as the options say, and tell where they are."""
    from manga_ssftt.patch_files import write_patches
    from manga_ssftt.training_statistics import read_statistics

    statistics = None
    if arguments.patch_norm == "PCA" and arguments.stats is not None:
        statistics = read_statistics(arguments.stats)
    files = write_patches(
        tree,
        plateifu,
        task=arguments.label_task,
        norm=arguments.patch_norm,
        patch_size=arguments.patch_size,
        statistics=statistics,
        overwrite=arguments.overwrite,
    )
    return {"output": str(files.patches), "table": str(files.table), "shape": list(files.shape)}
