"""How much the pixels of two grids overlap: a sparse matrix."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["Overlap", "overlaps"]

Floats = npt.NDArray[np.floating]


@dataclass(frozen=True, eq=False)
class Overlap:
    """Widths of the overlaps of output pixels with input pixels, a sparse matrix.

    The input pixels that overlap output pixel j are neighbours: they begin with ``first[j]``, and
    their widths are ``width[bounds[j] : bounds[j + 1]]``.

    Attributes
    ----------
    first : ndarray of int64, shape (n_out,)
        Input pixel; 0 where none overlaps.
    bounds : ndarray of int64, shape (n_out + 1,)
    width : ndarray of float64, shape (n_overlaps,)
        In the unit of the edges.
    pixel_width : ndarray of float64, shape (n_out,)
        Of the output pixels.
    """

    first: npt.NDArray[np.int64]
    bounds: npt.NDArray[np.int64]
    width: npt.NDArray[np.float64]
    pixel_width: npt.NDArray[np.float64]


def overlaps(edges_in: Floats, edges_out: Floats) -> Overlap:
    """Find how much every output pixel overlaps every input pixel.

    Parameters
    ----------
    edges_in : ndarray of float64, shape (n_in + 1,)
    edges_out : ndarray of float64, shape (n_out + 1,)
        Increasing, in one unit.

    Returns
    -------
    Overlap
    """
    edges_in = np.asarray(edges_in, dtype=np.float64)
    edges_out = np.asarray(edges_out, dtype=np.float64)
    n_in, n_out = len(edges_in) - 1, len(edges_out) - 1
    # Cut at the edges of both grids, the axis falls into segments that lie in one pixel of each.
    cuts = np.unique(np.concatenate([edges_in, edges_out]))
    widths = np.diff(cuts)
    middles = cuts[:-1] + widths / 2
    source = np.searchsorted(edges_in, middles) - 1
    target = np.searchsorted(edges_out, middles) - 1
    inside = (source >= 0) & (source < n_in) & (target >= 0) & (target < n_out)
    source, target, widths = source[inside], target[inside], widths[inside]
    bounds = np.concatenate([[0], np.cumsum(np.bincount(target, minlength=n_out))])
    first = np.zeros(n_out, dtype=np.int64)
    found = bounds[1:] > bounds[:-1]
    first[found] = source[bounds[:-1][found]]
    return Overlap(first, bounds.astype(np.int64), widths, np.diff(edges_out))
