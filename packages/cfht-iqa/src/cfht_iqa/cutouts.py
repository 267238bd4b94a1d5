"""Squares about sources, cut out of an image; and which sources are far enough from its edges."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["cutouts_at", "is_inside"]

Floats = npt.NDArray[np.float64]


def cutouts_at(
    pixels: npt.NDArray[np.float32], x: Floats, y: Floats, half: int
) -> npt.NDArray[np.float32]:
    """Cut squares out of an image.

    Parameters
    ----------
    pixels : ndarray of float32, shape (n_y, n_x)
        The image.
    x, y : ndarray of float64, shape (n,)
        1-based positions; the middle pixel is ``floor(x - 0.5)``, 0-based. All squares are inside.
    half : int
        Pixels on either side of the middle one.

    Returns
    -------
    ndarray of float32, shape (n, 2 half + 1, 2 half + 1)
    """
    steps = np.arange(-half, half + 1)
    column, row = np.floor(x - 0.5).astype(int), np.floor(y - 0.5).astype(int)
    return pixels[(row[:, None] + steps)[:, :, None], (column[:, None] + steps)[:, None, :]]


def is_inside(shape: tuple[int, int], x: Floats, y: Floats, half: int) -> npt.NDArray[np.bool_]:
    """Whether the middle pixel is at least `half` pixels from every edge."""
    column, row = np.floor(x - 0.5), np.floor(y - 0.5)
    across = (column >= half) & (column <= shape[1] - 1 - half)
    return across & (row >= half) & (row <= shape[0] - 1 - half)
