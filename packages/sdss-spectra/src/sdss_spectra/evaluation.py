"""How good predictions are: scores, tables and curves, with intervals.

Intervals are bootstrapped over stars, not spectra (Efron & Tibshirani 1993, chapter 8): spectra of
one star are not independent.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.metrics import (
    average_precision_score,
    f1_score,
    precision_recall_curve,
    precision_recall_fscore_support,
    roc_auc_score,
    roc_curve,
)

__all__ = ["evaluate_predictions", "expected_calibration_error", "paired_difference"]

Doubles = npt.NDArray[np.float64]
Strings = npt.NDArray[np.str_]

BOOTSTRAPS = 1000
_CURVE_POINTS = 200


def evaluate_predictions(
    truth: Sequence[str],
    true_code: Doubles,
    probabilities: Doubles,
    code: Doubles,
    classes: Sequence[str],
    groups: Sequence[str],
    *,
    signal_to_noise: Sequence[float | None],
    coverage: Sequence[float],
    seed: int,
    bootstraps: int = BOOTSTRAPS,
) -> dict[str, Any]:
    """Evaluate predictions.

    Parameters
    ----------
    truth : sequence of str, length n
        True classes; a class that the model does not know counts as wrong.
    true_code, code : ndarray of float64, shape (n,)
        True and predicted subtype codes; NaN where unknown.
    probabilities : ndarray of float64, shape (n, n_classes)
        Of `classes`.
    classes : sequence of str
        In the order of the spectral sequence.
    groups : sequence of str, length n
        Stars.
    signal_to_noise, coverage : sequence of float, length n
        Of each spectrum; the fraction of the grid's pixels that have data.
    seed : int
        Seed of the bootstrap.
    bootstraps : int, optional
        Number of resamples; at most 200 for macro-F1, which is slow.

    Returns
    -------
    dict
        As JSON can hold it.
    """
    true = np.asarray(truth)
    names = list(classes)
    predicted = np.asarray(names)[probabilities.argmax(axis=1)]
    correct = true == predicted
    place = {name: number for number, name in enumerate(names)}
    distance = np.array(
        [
            abs(place[a] - place[b]) if a in place else np.nan
            for a, b in zip(true, predicted, strict=True)
        ]
    )
    subtype = np.abs(code - true_code)
    snr = np.array([np.nan if value is None else value for value in signal_to_noise], np.float64)
    present = [name for name in names if (true == name).any()]
    samples = _resamples(groups, bootstraps, seed)
    everything = np.arange(len(true))

    def macro_f1(rows: npt.NDArray[np.intp]) -> float:
        scores = f1_score(
            true[rows], predicted[rows], labels=present, average="macro", zero_division=0
        )
        return float(scores)

    return {
        "spectra": len(true),
        "stars": len(set(groups)),
        "classes": names,
        "accuracy": float(correct.mean()),
        "accuracy_interval_95": _interval([float(correct[s].mean()) for s in samples]),
        "macro_f1": macro_f1(everything),
        "macro_f1_interval_95": _interval([macro_f1(s) for s in samples[:200]]),
        "mean_class_error": _mean(distance),
        "mean_class_error_interval_95": _interval([_mean(distance[s]) for s in samples]),
        "mean_absolute_subtype_error": _mean(subtype),
        "median_absolute_subtype_error": _mean(np.nanmedian(subtype, keepdims=True))
        if np.isfinite(subtype).any()
        else None,
        "mean_absolute_subtype_error_interval_95": _interval([_mean(subtype[s]) for s in samples]),
        "mean_absolute_subtype_error_snr_above_10": _mean(subtype[snr > 10]),
        "expected_calibration_error": expected_calibration_error(probabilities, correct),
        "reliability": _reliability(probabilities, correct),
        "per_class": _per_class(true, predicted, names),
        "confusion": _confusion(true, predicted, names),
        "curves": _curves(true, probabilities, names),
        "accuracy_by_snr": _by_bins(snr, correct, (0, 5, 10, 20, 50, 100, np.inf)),
        "accuracy_by_coverage": _by_bins(
            np.asarray(coverage, np.float64), correct, (0, 0.5, 0.7, 0.8, 0.9, 0.95, 1.0001)
        ),
    }


def paired_difference(
    first: npt.NDArray[np.bool_],
    second: npt.NDArray[np.bool_],
    groups: Sequence[str],
    *,
    seed: int,
    bootstraps: int = BOOTSTRAPS,
) -> dict[str, Any]:
    """Difference of two accuracies on the same spectra, with its interval over stars."""
    gain = first.astype(np.float64) - second.astype(np.float64)
    samples = _resamples(groups, bootstraps, seed)
    return {
        "difference": float(gain.mean()),
        "interval_95": _interval([float(gain[s].mean()) for s in samples]),
    }


def expected_calibration_error(
    probabilities: Doubles, correct: npt.NDArray[np.bool_], bins: int = 10
) -> float:
    """Mean gap between confidence and accuracy (Naeini, Cooper & Hauskrecht 2015, AAAI 29)."""
    confidence = probabilities.max(axis=1)
    number = np.minimum((confidence * bins).astype(int), bins - 1)
    gaps = [
        (number == k).mean() * abs(correct[number == k].mean() - confidence[number == k].mean())
        for k in range(bins)
        if (number == k).any()
    ]
    return float(np.sum(gaps))


def _resamples(groups: Sequence[str], count: int, seed: int) -> list[npt.NDArray[np.intp]]:
    members: dict[str, list[int]] = {}
    for number, group in enumerate(groups):
        members.setdefault(group, []).append(number)
    stars = [np.array(value, np.intp) for value in members.values()]
    random = np.random.default_rng(seed)
    return [
        np.concatenate([stars[k] for k in random.integers(0, len(stars), len(stars))])
        for _ in range(count)
    ]


def _interval(values: Sequence[float | None]) -> list[float] | None:
    known = [value for value in values if value is not None and np.isfinite(value)]
    if len(known) < 20:
        return None
    low, high = np.percentile(known, [2.5, 97.5])
    return [float(low), float(high)]


def _mean(values: Doubles) -> float | None:
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else None


def _per_class(true: Strings, predicted: Strings, names: list[str]) -> list[dict[str, Any]]:
    scores = precision_recall_fscore_support(true, predicted, labels=names, zero_division=0)
    return [
        {
            "class": name,
            "precision": float(precision),
            "recall": float(recall),
            "f1": float(f1),
            "spectra": int(support),
        }
        for name, precision, recall, f1, support in zip(names, *scores, strict=True)
    ]


def _confusion(true: Strings, predicted: Strings, names: list[str]) -> dict[str, Any]:
    rows = [*names, *sorted(set(true) - set(names))]
    counts = [[int(((true == a) & (predicted == b)).sum()) for b in names] for a in rows]
    return {"true": rows, "predicted": names, "counts": counts}


def _curves(true: Strings, probabilities: Doubles, names: list[str]) -> dict[str, Any]:
    """One-vs-rest ROC and precision-recall curves of the classes that have both kinds."""
    found: dict[str, Any] = {}
    for number, name in enumerate(names):
        positive = true == name
        if positive.all() or not positive.any():
            continue
        score = probabilities[:, number]
        false_rate, true_rate, _ = roc_curve(positive, score)
        precision, recall, _ = precision_recall_curve(positive, score)
        found[name] = {
            "roc_auc": float(roc_auc_score(positive, score)),
            "average_precision": float(average_precision_score(positive, score)),
            "false_positive_rate": _thinned(false_rate),
            "true_positive_rate": _thinned(true_rate),
            "precision": _thinned(precision),
            "recall": _thinned(recall),
        }
    return found


def _thinned(values: Doubles) -> list[float]:
    if len(values) <= _CURVE_POINTS:
        return [float(value) for value in values]
    chosen = np.linspace(0, len(values) - 1, _CURVE_POINTS).round().astype(int)
    return [float(value) for value in values[chosen]]


def _reliability(
    probabilities: Doubles, correct: npt.NDArray[np.bool_], bins: int = 10
) -> list[dict[str, Any]]:
    confidence = probabilities.max(axis=1)
    rows = []
    for k in range(bins):
        chosen = (confidence >= k / bins) & (confidence < (k + 1) / bins + (k == bins - 1))
        if chosen.any():
            rows.append(
                {
                    "confidence": float(confidence[chosen].mean()),
                    "accuracy": float(correct[chosen].mean()),
                    "spectra": int(chosen.sum()),
                }
            )
    return rows


def _by_bins(
    values: Doubles, correct: npt.NDArray[np.bool_], edges: Sequence[float]
) -> list[dict[str, Any]]:
    rows = []
    for low, high in pairwise(edges):
        chosen = (values >= low) & (values < high)
        if chosen.any():
            share = float(correct[chosen].mean())
            count = int(chosen.sum())
            rows.append(
                {
                    "from": float(low),
                    "to": None
                    if np.isinf(high)
                    else float(min(high, 1.0) if high <= 1.001 else high),
                    "median": float(np.median(values[chosen])),
                    "accuracy": share,
                    "standard_error": float(
                        np.sqrt(max(share * (1 - share), 0.25 / count) / count)
                    ),
                    "spectra": count,
                }
            )
    return rows
