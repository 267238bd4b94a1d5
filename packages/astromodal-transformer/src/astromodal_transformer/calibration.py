"""Intervals that hold what they promise: widths scaled by what held-out sources ask for.

A network is too sure of itself, or not sure enough. The distance of the true value of a source from
the predicted median is measured in units of the predicted half-width on its side; the 68 per cent
quantile of these numbers is the factor by which all quantiles are moved away from the median. For
sources of the validation part of the sky it is the split conformal prediction of Lei et al. 2018,
J. Am. Stat. Assoc. 113, 1094, with the half-width as the scale of the residual.

Few of these sources have spectroscopy, so that their factor is uncertain by several per cent, or
more. That of the training part is better known, but too small as far as the network has learned
these sources by heart. How much too small, is similar for all targets: that of a target is taken
between its own and that of all, as far as chance explains the difference. This is the normal
hierarchical model with a half-normal prior of the spread among targets (Gelman 2006, Bayesian
Analysis 1, 515; Röver et al. 2021, Res. Synth. Methods 12, 448): targets are too few to tell the
spread from their factors alone. A target with hardly any held-out source gets the factor of the
training part, enlarged as for all others.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "COVERAGE",
    "FEWEST_HELD",
    "FEWEST_TAUGHT",
    "LEVELS",
    "interval_scale",
    "pooled_scales",
    "scale_of",
    "share_interval",
    "widened",
]

Float = NDArray[np.float64]

COVERAGE = 0.68
LEVELS = (0.16, 0.5, 0.84)
"""Quantiles between which the interval lies, and the median."""
FEWEST_HELD, FEWEST_TAUGHT = 5, 20
"""Sources of the validation and of the training part from which a factor is taken."""
# Of a width that is zero, relative to the largest of the others.
_SMALLEST = 1e-9
# Standard deviation of the logarithm of a factor from one source, for normal residuals:
# sqrt(p (1 - p)) / (2 z phi(z)) with p = 2 Phi(z) - 1 = 0.68.
_LOG_SCATTER = 0.964
# Prior of the logarithm by which training makes factors too small: standard deviation of what all
# targets share, and scale of the half-normal spread among them.
_SHARED, _SPREAD = 0.3, 0.1
_SPREADS = np.linspace(0.0, 4.0 * _SPREAD, 41)
_NORMAL_95 = 1.959964  # of a normal distribution, 95 per cent lie within so many sigma


def interval_scale(truth: Float, quantiles: Float) -> float:
    """Factor by which intervals are to be widened.

    Parameters
    ----------
    truth : ndarray of float64, shape (n,)
        At least one.
    quantiles : ndarray of float64, shape (n, 3)
        At `LEVELS`.

    Returns
    -------
    float
    """
    low, middle, high = quantiles.T
    width = np.where(truth < middle, middle - low, high - middle)
    floor = _SMALLEST * width.max()
    score = np.abs(truth - middle) / np.maximum(width, floor if floor > 0.0 else 1.0)
    # The rank is counted among one more than the sources: the one that will be predicted.
    return float(np.quantile(score, COVERAGE, method="weibull"))


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
        Of targets that both have, and of those that only `taught` has: enlarged as the others are.
        Left out are factors of 0, of targets that are predicted exactly; empty if `held` and
        `taught` have no target in common.
    """
    known = {name: own for name, own in taught.items() if own[0] > 0.0}
    names = [name for name in known if name in held and held[name][0] > 0.0]
    if not names:
        return {}
    base = np.log([known[name][0] for name in names])
    excess = np.log([held[name][0] for name in names]) - base
    variance = _LOG_SCATTER**2 * np.array([1 / held[n][1] + 1 / known[n][1] for n in names])
    steadied, shared = _steadied(excess, variance)
    scales = np.exp(base + steadied).tolist()
    alone = {n: own[0] * math.exp(shared) for n, own in known.items() if n not in held}
    return {**alone, **dict(zip(names, scales, strict=True))}


def _steadied(values: Float, variance: Float) -> tuple[Float, float]:
    """Posterior means of values that are alike, and of what they share.

    Averaged over the spread among them: for each that may be, the shares of prior and values follow
    from normal distributions, and its weight from how likely it makes the values.
    """
    total = variance + _SPREADS[:, None] ** 2
    precision = (1.0 / total).sum(axis=1) + _SHARED**-2
    shared = (values / total).sum(axis=1) / precision
    kept = _SPREADS[:, None] ** 2 / total
    means = shared[:, None] + kept * (values - shared[:, None])
    misfit = (values**2 / total).sum(axis=1) - shared**2 * precision
    likely = -0.5 * (np.log(total).sum(axis=1) + np.log(precision) + misfit)
    likely -= 0.5 * (_SPREADS / _SPREAD) ** 2
    weight = np.exp(likely - likely.max())
    weight /= weight.sum()
    return np.asarray(weight @ means), float(weight @ shared)


def share_interval(inside: int, count: int) -> tuple[float, float]:
    """Where a share lies of which a sample is known, with 95 per cent confidence.

    Parameters
    ----------
    inside, count : int
        Of the sample; ``count`` at least 1.

    Returns
    -------
    low, high : float
        The score interval (Wilson 1927, J. Am. Stat. Assoc. 22, 209).
    """
    share, square = inside / count, _NORMAL_95**2
    middle = (share + square / (2 * count)) / (1 + square / count)
    half = math.sqrt(share * (1 - share) / count + square / (4 * count**2))
    half *= _NORMAL_95 / (1 + square / count)
    # Rounding may not move an end past a share of 0 or 1.
    return max(0.0, min(share, middle - half)), min(1.0, max(share, middle + half))


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
