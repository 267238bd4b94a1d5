"""``manga-ssftt patchify``: patches as files."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from astro_common.command import DONE, add_common_options, print_json
from astro_common.errors import ConfigurationError
from manga_ssftt.commands.options import add_root, add_task_options

if TYPE_CHECKING:
    from astro_common.jobs import Outcome
    from manga_ssftt.layout import Tree
    from manga_ssftt.training_statistics import Statistics

__all__ = ["add_parser", "cut_all"]


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

    found = _cut(arguments, Tree(arguments.root), _statistics(arguments), arguments.galaxy)
    if arguments.json:
        print_json(found)
    else:
        n, size, _, n_bands = found["shape"]
        print(f"{found['output']}: {n} patches of {size} x {size} x {n_bands}")
    return DONE


def cut_all(
    arguments: argparse.Namespace, tree: Tree, names: Sequence[str]
) -> tuple[list[str], Outcome]:
    """Write the patches of many galaxies as the options of ``process`` say.

    Galaxies whose patches are there already are skipped.

    Returns
    -------
    written : list of str
        The ``.npy`` files.
    outcome : Outcome
    """
    from astro_common.jobs import run_units
    from manga_ssftt.patch_files import has_patches

    def is_done(name: str) -> bool:
        return not arguments.overwrite and has_patches(
            tree,
            name,
            task=arguments.label_task,
            norm=arguments.patch_norm,
            patch_size=arguments.patch_size,
            statistics=arguments.stats if arguments.patch_norm == "PCA" else None,
        )

    statistics = _statistics(arguments)
    written: list[str] = []
    tree.failures.parent.mkdir(parents=True, exist_ok=True)
    outcome = run_units(
        _call,
        {name: partial(_cut, arguments, tree, statistics, name) for name in names},
        workers=arguments.workers,
        scheduler=arguments.scheduler,
        failures=tree.failures,
        describe="plateifu",
        is_done=is_done,
        on_done=lambda _name, found: written.append(found["output"]),
        progress=not arguments.quiet,
    )
    return written, outcome


def _call(unit: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    return unit()


def _statistics(arguments: argparse.Namespace) -> Statistics | None:
    from manga_ssftt.training_statistics import read_statistics

    if arguments.patch_norm != "PCA":
        return None
    if arguments.stats is None:
        raise ConfigurationError("--stats", "not given", "the file that the verb stats writes")
    return read_statistics(arguments.stats)


def _cut(
    arguments: argparse.Namespace, tree: Tree, statistics: Statistics | None, plateifu: str
) -> dict[str, Any]:
    from manga_ssftt.patch_files import write_patches

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
