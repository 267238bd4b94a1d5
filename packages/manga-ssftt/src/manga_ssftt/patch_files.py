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

__all__ = ["PatchFiles", "write_patches"]

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
    folder = tree.patch_folder(task, norm, plateifu)
    patches, table = folder / f"{plateifu}.npy", folder / f"{plateifu}.csv"
    path = tree.require_galaxy(plateifu)
    with GalaxyFile(path) as file:
        spaxels = labelled_spaxels(file.label(task), file.read("mask"))
        if len(spaxels) == 0:
            raise InputError(path, f"no spaxel with a {task} label", "at least one")
        padded = padded_cube(file, norm, patch_size, statistics)
    folder.mkdir(parents=True, exist_ok=True)
    for existing in (patches, table):
        if existing.exists() and not overwrite:
            raise OutputError(existing, "the file exists", action="give --overwrite to replace it")
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
