"""Where the values to come will lie, to judge by those that taught.

Between two neighbours of a sorted sample lies the same share of all values to come, however far
apart they happen to be. A single gap is therefore a poor guess of the density there: its square,
which decides the error, is twice that of its mean. So the density is taken from several gaps.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["expected_ranks", "predicted_means", "smoothed_density"]

Float = NDArray[np.float64]

# Gaps on each side that are taken together with one.
_NEIGHBOURS = 4
# Part of the widest gap below which sums of widths are rounding alone.
_NARROWEST = 1e-12


def smoothed_density(width: Float, taught: Float) -> Float:
    """Values per width in each gap, from the gap and some on both sides.

    Parameters
    ----------
    width : ndarray of float64, shape (n,)
        Of neighbouring gaps, in any unit.
    taught : ndarray of float64, shape (n,)
        Values of each.

    Returns
    -------
    ndarray of float64, shape (n,)
        Scaled so that all gaps together hold as many values as before; 0 where gaps are too narrow
        beside the others to have a density.
    """
    rows = np.arange(len(width))
    low = np.maximum(rows - _NEIGHBOURS, 0)
    high = np.minimum(rows + _NEIGHBOURS + 1, len(width))
    values, widths = (np.concatenate([[0.0], np.cumsum(item)]) for item in (taught, width))
    values, widths = values[high] - values[low], widths[high] - widths[low]
    wide = widths > _NARROWEST * width.max(initial=0.0)
    density = np.divide(values, widths, out=np.zeros(len(width)), where=wide)
    held = float((density * width).sum())
    return np.asarray(density * (taught.sum() / held if held else 1.0))


def expected_ranks(place: Float, counts: NDArray[np.int64]) -> Float:
    """How many of as many values to come will lie below each place.

    Parameters
    ----------
    place : ndarray of float64, shape (m,)
        Distinct values, rising.
    counts : ndarray of int64, shape (m,)
        How often each occurs.

    Returns
    -------
    ndarray of float64, shape (m,)
        From 0 at the first; in between, values lie evenly in each gap.
    """
    if len(place) < 2:
        return np.zeros(len(place))
    width = np.diff(place)
    taught = (counts[1:] + counts[:-1]) / 2.0
    return np.concatenate([[0.0], np.cumsum(smoothed_density(width, taught) * width)])


def predicted_means(place: Float, counts: NDArray[np.int64], inner: Float) -> Float:
    """Means of the values to come in each bin.

    Parameters
    ----------
    place, counts : ndarray
        As in `expected_ranks`.
    inner : ndarray of float64, shape (size - 1,)
        Edges, rising.

    Returns
    -------
    ndarray of float64, shape (size,)
        NaN for bins outside the range of the values.
    """
    origin = place[len(place) // 2]
    x = place - origin
    if len(x) < 2:
        return np.full(len(inner) + 1, np.nan)
    rank = expected_ranks(x, counts)
    steps = np.diff(rank)
    moment = np.concatenate([[0.0], np.cumsum(steps * (x[1:] + x[:-1]) / 2.0)])
    edges = np.clip(inner - origin, x[0], x[-1])
    bounds = np.concatenate([x[:1], edges, x[-1:]])
    row = np.clip(np.searchsorted(x, bounds, side="right") - 1, 0, len(x) - 2)
    part = (bounds - x[row]) / np.diff(x)[row] * steps[row]
    summed = rank[row] + part
    first = moment[row] + part * (bounds + x[row]) / 2.0
    number = np.diff(summed)
    mean = np.divide(
        np.diff(first), number, out=np.full(len(number), np.nan), where=number > 1e-9 * rank[-1]
    )
    # Sums of many values round: a mean stays within its bin.
    return np.asarray(np.clip(mean, bounds[:-1], bounds[1:]) + origin)
