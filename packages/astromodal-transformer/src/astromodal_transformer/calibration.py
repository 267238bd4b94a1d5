"""Intervals that hold what they promise: widths scaled by what held-out sources ask for.

A network that has learned a few sources often is too sure of itself. For sources of the validation
part of the sky, the distance of the true value from the predicted median is measured in units of
the predicted half-width on its side; the 68 per cent quantile of these numbers is the factor by
which all quantiles are moved away from the median. It is the split conformal prediction of Lei et
al. 2018, J. Am. Stat. Assoc. 113, 1094, with the half-width as the scale of the residual.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["COVERAGE", "FEWEST", "LEVELS", "interval_scale", "scale_of", "widened"]

Float = NDArray[np.float64]

COVERAGE = 0.68
LEVELS = (0.16, 0.5, 0.84)
"""Quantiles between which the interval lies, and the median."""
FEWEST = 20
"""Sources from which a factor is taken."""
# Of a width that is zero, relative to the largest of the others.
_SMALLEST = 1e-9


def interval_scale(truth: Float, quantiles: Float) -> float:
    """Factor by which intervals are to be widened.

    Parameters
    ----------
    truth : ndarray of float64, shape (n,)
    quantiles : ndarray of float64, shape (n, 3)
        At `LEVELS`.

    Returns
    -------
    float
        1 with fewer than `FEWEST` sources.
    """
    count = len(truth)
    if count < FEWEST:
        return 1.0
    low, middle, high = quantiles.T
    width = np.where(truth < middle, middle - low, high - middle)
    floor = _SMALLEST * width.max()
    score = np.abs(truth - middle) / np.maximum(width, floor if floor > 0.0 else 1.0)
    # One more than the sources: the one that will be predicted counts too.
    rank = min(count, math.ceil((count + 1) * COVERAGE))
    return float(np.sort(score)[rank - 1])


def scale_of(record: Mapping[str, Any], target: str, given: Sequence[str]) -> float:
    """Factor that a model's ``config.json`` has for a target.

    Parameters
    ----------
    record : mapping
        ``config.json``; without ``calibration`` the factor is 1.
    target : str
    given : sequence of str
        Modalities that are seen. Inputs for which no factor was fitted get that of all together.

    Returns
    -------
    float
    """
    entries = record.get("calibration", {}).get(target, [])
    seen = set(given) - {target}
    for entry in entries:
        if entry["given"] is not None and set(entry["given"]) == seen:
            return float(entry["scale"])
    return next((float(e["scale"]) for e in entries if e["given"] is None), 1.0)


def widened(quantiles: Float, middle: Float, scale: float) -> Float:
    """Quantiles moved away from the median.

    Parameters
    ----------
    quantiles : ndarray of float64, shape (n, levels)
    middle : ndarray of float64, shape (n,)
    scale : float

    Returns
    -------
    ndarray of float64, shape (n, levels)
    """
    if scale == 1.0:
        return quantiles
    return np.asarray(middle[:, None] + scale * (quantiles - middle[:, None]))
