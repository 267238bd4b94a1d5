"""How many codes some sources will use: the measure of a codebook's use."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from astromodal_tokenizers.tokenizers.density import expected_ranks

__all__ = ["attainable_codes", "expected_use"]

Float = NDArray[np.float64]

# Values to come for each that taught, in `expected_use`.
_TO_COME = 0.25


def attainable_codes(size: int, tokens: int, taught: float = math.inf) -> float:
    """Codes that so many tokens would use on average with the best codebook.

    Few tokens cannot use many codes: the use of a codebook is measured against this number, which
    is the size of the codebook as soon as there are several tokens for each code.

    Parameters
    ----------
    size : int
        Number of codes.
    tokens : int
    taught : float
        Values that the codebook was learned from. Of few values even the quantiles are uncertain:
        the chances of the codes then follow a beta distribution about their mean.

    Returns
    -------
    float
        ``size * (1 - (1 + tokens / taught) ** (-taught / size))``, and its limit
        ``size * (1 - exp(-tokens / size))``.
    """
    if taught < math.inf:
        return -size * math.expm1(-taught / size * math.log1p(tokens / taught)) if taught else 0.0
    return -size * math.expm1(-tokens / size)


def expected_use(place: Float, counts: NDArray[np.int64], inner: Float) -> float:
    """Codes that values to come will use, relative to `attainable_codes`.

    Parameters
    ----------
    place : ndarray of float64, shape (m,)
        Distinct values that taught, rising; at least two.
    counts : ndarray of int64, shape (m,)
        How often each occurs.
    inner : ndarray of float64
        Edges, rising.

    Returns
    -------
    float
        For a quarter as many values to come as have taught, as in a usual split of the sky.
    """
    ranks = expected_ranks(place, counts)
    taught = float(counts.sum())
    bounds = np.concatenate([[0.0], np.interp(inner, place, ranks), ranks[-1:]])
    shares = np.diff(bounds) * (taught / ranks[-1])
    used = -np.expm1(-shares * math.log1p(_TO_COME)).sum()
    return float(used / attainable_codes(len(shares), round(_TO_COME * taught), taught))
