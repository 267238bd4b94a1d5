"""Patches as files, for those who want them: one ``.npy`` and one ``.csv`` per galaxy."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from astro_common.atomic import atomic_path
from astro_common.errors import InputError, OutputError
from manga_ssftt.galaxy_file import GalaxyFile
from manga_ssftt.layout import Tree
from manga_ssftt.patches import cut_patches, labelled_spaxels, padded_cube
from manga_ssftt.training_statistics import Statistics

__all__ = ["PatchFiles", "has_patches", "write_patches"]

# Patches that are in memory at a time.
_BLOCK_PATCHES = 256


@dataclass(frozen=True)
class PatchFiles:
    """What was written.

    Attributes
    ----------
    patches, table : Path
    shape : (int, int, int, int)
        ``(n, p, p, n_bands)``.
    """

    patches: Path
    table: Path
    shape: tuple[int, int, int, int]


def has_patches(
    tree: Tree,
    plateifu: str,
    *,
    task: str,
    norm: str,
    patch_size: int,
    statistics: Path | None = None,
) -> bool:
    """Tell whether a galaxy's patches are there, of this size and newer than what they are made of.

    Parameters
    ----------
    tree : Tree
    plateifu : str
    task, norm, patch_size
        As for `write_patches`.
    statistics : Path, optional
        The file of the statistics, with PCA.

    Returns
    -------
    bool
    """
    patches, table = _paths(tree, plateifu, task, norm)
    sources = [tree.galaxy(plateifu), *([] if statistics is None else [statistics])]
    if not all(path.is_file() for path in (patches, table, *sources)):
        return False
    if patches.stat().st_mtime_ns < max(path.stat().st_mtime_ns for path in sources):
        return False
    try:
        shape = np.load(patches, mmap_mode="r", allow_pickle=False).shape
    except (OSError, ValueError):
        return False
    return len(shape) == 4 and shape[1:3] == (patch_size, patch_size)


def _paths(tree: Tree, plateifu: str, task: str, norm: str) -> tuple[Path, Path]:
    folder = tree.patch_folder(task, norm, plateifu)
    return folder / f"{plateifu}.npy", folder / f"{plateifu}.csv"


def write_patches(
    tree: Tree,
    plateifu: str,
    *,
    task: str,
    norm: str,
    patch_size: int,
    statistics: Statistics | None = None,
    overwrite: bool = False,
) -> PatchFiles:
    """Write the patches of a galaxy.

    Parameters
    ----------
    tree : Tree
    plateifu : str
    task : {"BPT", "logOH"}
    norm : {"global", "spatial", "spectral", "PCA"}
    patch_size : int
        Odd.
    statistics : Statistics, optional
        Needed by PCA alone.
    overwrite : bool, optional
        Replace files that exist.

    Returns
    -------
    PatchFiles

    Raises
    ------
    InputError
        If the galaxy is not processed, or has no labelled spaxel.
    OutputError
        If a file exists or cannot be written.
    """
    patches, table = _paths(tree, plateifu, task, norm)
    path = tree.require_galaxy(plateifu)
    for existing in (patches, table):
        if existing.exists() and not overwrite:
            raise OutputError(existing, "the file exists", action="give --overwrite to replace it")
    with GalaxyFile(path) as file:
        spaxels = labelled_spaxels(file.label(task), file.read("mask"))
        if len(spaxels) == 0:
            raise InputError(path, f"no spaxel with a {task} label", "at least one")
        padded = padded_cube(file, norm, patch_size, statistics)
    patches.parent.mkdir(parents=True, exist_ok=True)
    shape = (len(spaxels), patch_size, patch_size, padded.shape[2])
    with atomic_path(patches, overwrite=True) as partial:
        # Mapped, since the patches of a large galaxy take gigabytes.
        array = np.lib.format.open_memmap(partial, "w+", np.float32, shape)
        for start in range(0, len(spaxels), _BLOCK_PATCHES):
            block = slice(start, start + _BLOCK_PATCHES)
            array[block] = cut_patches(padded, spaxels.y[block], spaxels.x[block], patch_size)
        array.flush()
        del array
        with atomic_path(table, overwrite=True) as partial_table:
            rows = zip(spaxels.y, spaxels.x, spaxels.label, strict=True)
            lines = ["y,x,label", *(f"{y},{x},{_text(label)}" for y, x, label in rows)]
            partial_table.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return PatchFiles(patches, table, shape)


def _text(label: Any) -> str:
    # The shortest text that reads back as the same number.
    return repr(float(label)) if isinstance(label, np.floating) else str(int(label))
