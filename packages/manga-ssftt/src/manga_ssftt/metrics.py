"""Figures of merit of predictions, computed with NumPy alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = [
    "bootstrap_interval",
    "calibration",
    "classification_figures",
    "confusion_matrix",
    "figures_of_confusion",
    "regression_figures",
]

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


def confusion_matrix(truth: Ints, predicted: Ints, class_ids: Sequence[int]) -> Ints:
    """Count spaxels by true class (rows) and predicted class (columns).

    Parameters
    ----------
    truth, predicted : ndarray of int64, shape (n,)
        Class ids.
    class_ids : sequence of int
        Increasing; every id that occurs is among them.

    Returns
    -------
    ndarray of int64, shape (n_class, n_class)
    """
    ids = np.asarray(class_ids)
    rows, columns = np.searchsorted(ids, truth), np.searchsorted(ids, predicted)
    flat = np.bincount(rows * len(ids) + columns, minlength=len(ids) ** 2)
    return flat.reshape(len(ids), len(ids))


def figures_of_confusion(matrix: Ints) -> dict[str, Any]:
    """Figures that follow from a confusion matrix.

    Returns
    -------
    dict
        ``oa``, the share of correct spaxels; ``aa``, the mean recall of the classes that occur;
        ``kappa`` (Cohen 1960); ``macro_f1``, over the classes that occur or are predicted; ``iou``
        by class, None where a class neither occurs nor is predicted; ``mean_iou``; ``recall`` by
        class; ``n``.
    """
    counts = matrix.astype(np.float64)
    total = counts.sum()
    hits = np.diag(counts)
    true, predicted = counts.sum(axis=1), counts.sum(axis=0)
    if total == 0:
        nothing = [None] * len(counts)
        empty = dict.fromkeys(("oa", "aa", "kappa", "macro_f1", "mean_iou"))
        return {**empty, "iou": nothing, "recall": nothing, "n": 0}
    occurs, either = true > 0, (true + predicted) > 0
    recall = np.divide(hits, true, out=np.full(len(hits), np.nan), where=occurs)
    f1 = np.divide(2 * hits, true + predicted, out=np.full(len(hits), np.nan), where=either)
    union = true + predicted - hits
    iou = np.divide(hits, union, out=np.full(len(hits), np.nan), where=union > 0)
    observed = hits.sum() / total
    expected = float(true @ predicted) / total**2
    # With one class alone chance is always right, and there is nothing to agree on.
    kappa = (observed - expected) / (1.0 - expected) if expected < 1.0 else np.nan
    return {
        "oa": float(observed),
        "aa": float(np.mean(recall[occurs])),
        "kappa": float(kappa),
        "macro_f1": float(np.mean(f1[either])),
        "iou": [None if np.isnan(value) else float(value) for value in iou],
        "mean_iou": float(np.nanmean(iou)),
        "recall": [None if np.isnan(value) else float(value) for value in recall],
        "n": int(total),
    }


def classification_figures(
    truth: Ints, predicted: Ints, class_ids: Sequence[int]
) -> dict[str, Any]:
    """`figures_of_confusion` with ``confusion_matrix`` and ``class_ids``."""
    matrix = confusion_matrix(truth, predicted, class_ids)
    return {
        **figures_of_confusion(matrix),
        "class_ids": [int(number) for number in class_ids],
        "confusion_matrix": matrix.tolist(),
    }


def regression_figures(truth: Floats, predicted: Floats) -> dict[str, Any]:
    """Errors of abundances.

    Parameters
    ----------
    truth, predicted : ndarray of float64, shape (n,)
        12 + log(O/H); pairs of which one is NaN do not count.

    Returns
    -------
    dict
        ``mae_dex``, ``rmse_dex``, ``bias_dex`` (predicted minus true), ``mape_linear`` (mean
        relative error of O/H itself) and ``n_abundance``.
    """
    known = np.isfinite(truth) & np.isfinite(predicted)
    names = ("mae_dex", "rmse_dex", "bias_dex", "mape_linear")
    if not np.any(known):
        return {**dict.fromkeys(names), "n_abundance": 0}
    difference = predicted[known] - truth[known]
    relative = np.abs(10.0**difference - 1.0)
    values = (
        np.mean(np.abs(difference)),
        np.sqrt(np.mean(difference**2)),
        np.mean(difference),
        np.mean(relative),
    )
    return {
        **{name: float(value) for name, value in zip(names, values, strict=True)},
        "n_abundance": int(known.sum()),
    }


def calibration(probability: Floats, truth_index: Ints, n_bins: int = 10) -> dict[str, Any]:
    """How often a prediction of some confidence is right.

    Parameters
    ----------
    probability : ndarray of float64, shape (n, n_class)
    truth_index : ndarray of int64, shape (n,)
        Column of the true class; -1 if it has none.
    n_bins : int, optional
        Of the confidence, equally wide.

    Returns
    -------
    dict
        ``ece``, the expected calibration error (Guo et al. 2017, arXiv:1706.04599), and by bin
        ``confidence``, ``accuracy`` (None where empty) and ``count``.
    """
    confidence = probability.max(axis=1)
    correct = probability.argmax(axis=1) == truth_index
    place = np.minimum((confidence * n_bins).astype(np.int64), n_bins - 1)
    count = np.bincount(place, minlength=n_bins)
    filled = count > 0
    nothing = np.full(n_bins, np.nan)
    total, hits = np.bincount(place, confidence, n_bins), np.bincount(place, correct, n_bins)
    mean = np.divide(total, count, out=nothing.copy(), where=filled)
    accuracy = np.divide(hits, count, out=nothing.copy(), where=filled)
    gap = np.abs(mean - accuracy)[filled] @ count[filled] / max(count.sum(), 1)
    return {
        "ece": float(gap),
        "confidence": [None if np.isnan(value) else float(value) for value in mean],
        "accuracy": [None if np.isnan(value) else float(value) for value in accuracy],
        "count": count.tolist(),
    }


def bootstrap_interval(
    groups: Sequence[Any],
    figure: Callable[[list[Any]], float],
    *,
    seed: int = 0,
    n_draws: int = 1000,
    level: float = 0.95,
) -> tuple[float, float]:
    """Interval of a figure when the groups are drawn anew with replacement.

    Spaxels of one galaxy are not independent: half an arcsecond wide, under a point-spread function
    of 2.5. So galaxies are drawn, not spaxels (Efron & Tibshirani 1993, percentile interval).

    Parameters
    ----------
    groups : sequence
        What is known of each galaxy; at least one.
    figure : callable
        Of a list of groups.
    seed, n_draws, level
        Of the draws.

    Returns
    -------
    low, high : float
        With one group they are equal, and tell nothing. Draws whose figure is NaN do not count;
        NaN if none does.
    """
    random = np.random.default_rng(seed)
    values = np.asarray(
        [
            figure([groups[place] for place in random.integers(0, len(groups), len(groups))])
            for _ in range(n_draws)
        ],
        dtype=np.float64,
    )
    values = values[np.isfinite(values)]
    if len(values) == 0:
        return float("nan"), float("nan")
    low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
