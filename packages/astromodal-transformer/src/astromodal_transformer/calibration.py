"""Intervals that hold what they promise: widths scaled by what held-out sources ask for.

A network is too sure of itself, or not sure enough. The distance of the true value of a source from
the predicted median is measured in units of the predicted half-width on its side; the 68 per cent
quantile of these numbers is the factor by which all quantiles are moved away from the median. For
sources of the validation part of the sky it is the split conformal prediction of Lei et al. 2018,
J. Am. Stat. Assoc. 113, 1094, with the half-width as the scale of the residual.

Few of these sources have spectroscopy, so that their factor is uncertain by several per cent. That
of the training part is better known, but too small as far as the network has learned these sources
by heart. How much too small, is the same for all targets but for a spread that their own factors
show: that of a target is taken between its own and that of all, as far as chance explains the
difference (random effects of DerSimonian & Laird 1986, Control. Clin. Trials 7, 177). A target with
too few held-out sources gets the factor of the training part, enlarged as for all others.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "COVERAGE",
    "FEWEST",
    "LEVELS",
    "interval_scale",
    "pooled_scales",
    "scale_of",
    "widened",
]

Float = NDArray[np.float64]

COVERAGE = 0.68
LEVELS = (0.16, 0.5, 0.84)
"""Quantiles between which the interval lies, and the median."""
FEWEST = 20
"""Sources from which a factor is taken."""
# Of a width that is zero, relative to the largest of the others.
_SMALLEST = 1e-9
# Standard deviation of the logarithm of a factor from one source, for normal residuals:
# sqrt(p (1 - p)) / (2 z phi(z)) with p = 2 Phi(z) - 1 = 0.68.
_LOG_SCATTER = 0.964
# With fewer targets nothing can be said of their spread.
_FEWEST_TARGETS = 3


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


def pooled_scales(
    held: Mapping[str, tuple[float, int]], taught: Mapping[str, tuple[float, int]]
) -> dict[str, float]:
    """Factors of targets from held-out sources, steadied by those that the network was taught.

    Parameters
    ----------
    held, taught : mapping of str to (float, int)
        By target the factor of `interval_scale` and the number of sources; from the validation and
        from the training part of the sky.

    Returns
    -------
    dict of str to float
        Of targets that only `held` has, and with fewer than three targets in both, its own factors.
        Otherwise also targets that only `taught` has: too small by as much as all.
    """
    own = {name: scale for name, (scale, _) in held.items()}
    names = [n for n in held if n in taught and min(held[n][0], taught[n][0]) > 0.0]
    if len(names) < _FEWEST_TARGETS:
        return own
    base = np.log([taught[name][0] for name in names])
    excess = np.log([held[name][0] for name in names]) - base
    variance = _LOG_SCATTER**2 * np.array([1 / held[n][1] + 1 / taught[n][1] for n in names])
    weight = 1.0 / variance
    common = np.average(excess, weights=weight)
    chi_square = float((weight * (excess - common) ** 2).sum())
    freedom = weight.sum() - (weight**2).sum() / weight.sum()
    spread = max(0.0, (chi_square - (len(names) - 1)) / freedom)
    kept = spread / (spread + variance)
    pooled = np.exp(base + common + kept * (excess - common))
    alone = {n: scale * math.exp(common) for n, (scale, _) in taught.items() if n not in held}
    return {**own, **alone, **dict(zip(names, pooled.tolist(), strict=True))}


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
