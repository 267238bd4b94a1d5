"""Patches: the spectra of a square of spaxels around a labelled one.

A patch of odd size p is centred: its pixel [p // 2, p // 2] is the labelled spaxel. Beyond the edge
of the cube it holds zeros, which is also what masked pixels are. A spaxel whose spectrum is masked
throughout has no patch.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from manga_ssftt.galaxy_file import GalaxyFile
from manga_ssftt.normalize import normalise
from manga_ssftt.training_statistics import Statistics

__all__ = ["LabelledSpaxels", "cut_patches", "has_label", "labelled_spaxels", "padded_cube"]


@dataclass(frozen=True, eq=False)
class LabelledSpaxels:
    """The spaxels of a galaxy that have a label and a spectrum, row by row.

    Attributes
    ----------
    y, x : ndarray of int64, shape (n,)
    label : ndarray, shape (n,)
        BPT class (uint8) or 12 + log(O/H) (float64).
    """

    y: npt.NDArray[np.int64]
    x: npt.NDArray[np.int64]
    label: npt.NDArray[Any]

    def __len__(self) -> int:
        return len(self.y)


def has_label(labels: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    """Where a label map holds a label: a class that is not 0, or a finite abundance."""
    if labels.dtype.kind == "f":
        return np.asarray(np.isfinite(labels))
    return np.asarray(labels != 0)


def labelled_spaxels(
    labels: npt.NDArray[Any],
    mask: npt.NDArray[np.bool_],
    chosen: npt.NDArray[np.int64] | None = None,
) -> LabelledSpaxels:
    """Find the spaxels that get a patch.

    Parameters
    ----------
    labels : ndarray, shape (n_y, n_x)
    mask : ndarray of bool, shape (n_y, n_x, n_wave)
    chosen : ndarray of int64, shape (n, 2), optional
        Only these (y, x).

    Returns
    -------
    LabelledSpaxels
    """
    wanted = has_label(labels) & ~mask.all(axis=2)
    if chosen is not None:
        listed = np.zeros(labels.shape, dtype=np.bool_)
        listed[chosen[:, 0], chosen[:, 1]] = True
        wanted &= listed
    y, x = np.nonzero(wanted)
    return LabelledSpaxels(y, x, labels[y, x])


def padded_cube(
    file: GalaxyFile, norm: str, patch_size: int, statistics: Statistics | None = None
) -> npt.NDArray[np.float32]:
    """A normalised cube with zeros around it, so that every spaxel has a whole patch.

    Returns
    -------
    ndarray of float32, shape (n_y + p - 1, n_x + p - 1, n_bands)
        The patch of spaxel (y, x) is ``[y : y + p, x : x + p]``.
    """
    scaled = normalise(file.read("cube"), file.read("mask"), norm, statistics)
    half = patch_size // 2
    return np.pad(scaled, ((half, half), (half, half), (0, 0)))


def cut_patches(
    padded: npt.NDArray[np.float32],
    y: npt.NDArray[np.int64],
    x: npt.NDArray[np.int64],
    patch_size: int,
) -> npt.NDArray[np.float32]:
    """Cut patches from what `padded_cube` returns.

    Parameters
    ----------
    padded : ndarray of float32, shape (n_y + p - 1, n_x + p - 1, n_bands)
    y, x : ndarray of int64, shape (n,)
        Spaxels of the cube without padding.
    patch_size : int
        p, odd.

    Returns
    -------
    ndarray of float32, shape (n, p, p, n_bands)
    """
    step = np.arange(patch_size)
    rows = (y[:, np.newaxis] + step)[:, :, np.newaxis]
    columns = (x[:, np.newaxis] + step)[:, np.newaxis, :]
    return np.asarray(padded[rows, columns])
