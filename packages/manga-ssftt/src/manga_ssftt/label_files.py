"""Label maps on disk: ``.npy`` and ``.fits`` for programs, ``.png`` for the eye."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from astropy.io import fits
from astropy.io.fits import Header

from astro_common.atomic import atomic_path
from astro_common.errors import InputError, OutputError
from astro_common.fits import read_header
from manga_ssftt import __version__
from manga_ssftt.labels import BPT_DESCRIPTION, LabelMaps
from manga_ssftt.layout import LABEL_TASKS, Tree

__all__ = ["draw_labels", "labels_are_current", "write_labels"]

_KEY = "LABELKEY"
_DESCRIPTIONS = {
    "BPT": BPT_DESCRIPTION,
    "logOH": "12 + log(O/H), NaN where absent",
}


def draw_labels(labels: LabelMaps, plateifu: str, *, synthetic: bool) -> dict[str, bytes]:
    """Draw the label maps of a galaxy: the PNG file of each task."""
    # Matplotlib is slow to import, and most of this module does without it.
    from astro_common.figures import drawing, saved
    from manga_ssftt.plots.label_maps import label_figure

    pictures = {}
    for task in LABEL_TASKS:
        with drawing():
            figure = label_figure(_values(labels, task), task, plateifu, synthetic=synthetic)
            pictures[task] = saved(figure, dots_per_inch=120)
    return pictures


def _values(labels: LabelMaps, task: str) -> npt.NDArray[Any]:
    return labels.bpt if task == "BPT" else labels.log_oh


def write_labels(
    tree: Tree,
    plateifu: str,
    labels: LabelMaps,
    pictures: Mapping[str, bytes],
    wcs: Header,
    *,
    key: str,
    notes: Mapping[str, Any],
    overwrite: bool = False,
) -> None:
    """Write the label maps of a galaxy, the FITS file of each task last.

    Parameters
    ----------
    tree : Tree
    plateifu : str
    labels : LabelMaps
    pictures : mapping of str to bytes
        What `draw_labels` makes.
    wcs : astropy.io.fits.Header
        Celestial coordinates.
    key : str
        Identifies recipe and input, see `labels_are_current`.
    notes : mapping of str to str, float or bool
        Further keywords of the FITS files.
    overwrite : bool, optional
        Replace maps of another recipe or input.

    Raises
    ------
    OutputError
        If maps of another recipe or input exist, or a file cannot be written.
    """
    paths = (tree.label_folder(task) / f"{plateifu}.fits" for task in LABEL_TASKS)
    others = [path for path in paths if path.exists() and _key_of(path) != key]
    if others and not overwrite:
        raise OutputError(
            others[0],
            "labels of another recipe or input",
            action="give --overwrite to replace them",
        )
    # Their key must not vouch for the new maps, should this run end before the last file.
    for path in others:
        path.unlink()
    for task in LABEL_TASKS:
        folder = tree.label_folder(task)
        folder.mkdir(parents=True, exist_ok=True)
        values = _values(labels, task)
        # Without its FITS file a map is the leftover of a run that was stopped.
        with (
            atomic_path(folder / f"{plateifu}.npy", overwrite=True) as partial,
            partial.open("wb") as file,
        ):
            np.save(file, values, allow_pickle=False)
        with atomic_path(folder / f"{plateifu}.png", overwrite=True) as partial:
            partial.write_bytes(pictures[task])
        errors = labels.log_oh_err if task == "logOH" else None
        hdus = _as_hdus(values, errors, task, plateifu, wcs, {**notes, _KEY: key})
        with atomic_path(folder / f"{plateifu}.fits", overwrite=True) as partial:
            hdus.writeto(partial, overwrite=True, output_verify="exception")


def _as_hdus(
    values: npt.NDArray[Any],
    errors: npt.NDArray[np.float64] | None,
    task: str,
    plateifu: str,
    wcs: Header,
    notes: Mapping[str, Any],
) -> fits.HDUList:
    primary = fits.PrimaryHDU(values, header=wcs.copy())
    primary.header["PLATEIFU"] = plateifu
    primary.header["LABEL"] = (task, "label task")
    primary.header["BUNIT"] = "" if task == "BPT" else "dex"
    primary.header["ORIGIN"] = f"manga-ssftt {__version__}"
    primary.header["COMMENT"] = _DESCRIPTIONS[task]
    for keyword, value in notes.items():
        primary.header[keyword] = value
    hdus = [primary]
    if errors is not None:
        error = fits.ImageHDU(errors, header=wcs.copy(), name="ERR")
        error.header["BUNIT"] = "dex"
        hdus.append(error)
    return fits.HDUList(hdus)


def _key_of(path: Path) -> str:
    try:
        return str(read_header(path).get(_KEY, ""))
    except InputError:
        return ""


def labels_are_current(tree: Tree, plateifu: str, key: str) -> bool:
    """Whether the label maps of a galaxy are complete and of this recipe and input."""
    for task in LABEL_TASKS:
        paths = [tree.label_folder(task) / f"{plateifu}.{end}" for end in ("npy", "png", "fits")]
        if not all(path.is_file() for path in paths) or _key_of(paths[-1]) != key:
            return False
    return True
