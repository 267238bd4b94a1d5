"""Probabilities of the codes of a column, as numbers in its unit."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from astromodal_transformer.codebooks import Bins

__all__ = ["bin_mean", "bin_quantiles", "sample_codes"]

Float = NDArray[np.float64]


def bin_mean(bins: Bins, probabilities: NDArray[np.floating[Any]]) -> Float:
    """Expected value.

    Parameters
    ----------
    bins : Bins
    probabilities : ndarray of float, shape (n, size)

    Returns
    -------
    ndarray of float64, shape (n,)
        In the unit of the column.
    """
    p = probabilities.astype(np.float64)
    return np.asarray(p @ bins.values / p.sum(axis=1))


def bin_quantiles(
    bins: Bins, probabilities: NDArray[np.floating[Any]], levels: NDArray[np.float64]
) -> Float:
    """Quantiles, with the probability of a bin spread evenly between its edges.

    Parameters
    ----------
    bins : Bins
    probabilities : ndarray of float, shape (n, size)
    levels : ndarray of float64, shape (q,)
        Between 0 and 1.

    Returns
    -------
    ndarray of float64, shape (n, q)
        In the unit of the column.
    """
    bounds = bins.bounds()
    cumulative = np.cumsum(probabilities.astype(np.float64), axis=1)
    cumulative /= cumulative[:, -1:]
    result = np.empty((len(probabilities), len(levels)))
    rows = np.arange(len(probabilities))
    for place, level in enumerate(levels):
        bin_ = np.minimum((cumulative < level).sum(axis=1), bins.values.size - 1)
        above = cumulative[rows, bin_]
        below = np.where(bin_ > 0, cumulative[rows, np.maximum(bin_ - 1, 0)], 0.0)
        width = above - below
        share = np.divide(level - below, width, out=np.full_like(width, 0.5), where=width > 0.0)
        low, high = bounds[bin_], bounds[bin_ + 1]
        result[:, place] = low + np.clip(share, 0.0, 1.0) * (high - low)
    return result


def sample_codes(
    probabilities: NDArray[np.floating[Any]], draws: NDArray[np.floating[Any]]
) -> NDArray[np.int64]:
    """Codes drawn by their probabilities.

    Parameters
    ----------
    probabilities : ndarray of float, shape (n, size)
    draws : ndarray of float, shape (n, samples)
        Uniform between 0 and 1.

    Returns
    -------
    ndarray of int64, shape (n, samples)
    """
    cumulative = np.cumsum(probabilities.astype(np.float64), axis=1)
    cumulative /= cumulative[:, -1:]
    codes = np.empty(draws.shape, dtype=np.int64)
    for row, (own, wanted) in enumerate(zip(cumulative, draws, strict=True)):
        codes[row] = np.searchsorted(own, wanted, side="right")
    return np.asarray(np.minimum(codes, probabilities.shape[1] - 1))
