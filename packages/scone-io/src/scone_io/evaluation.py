"""How good predictions are: a table of probabilities joined with the labels of shards."""

from __future__ import annotations

import csv
import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from astro_common.errors import InputError
from scone_io.shards import Shards

__all__ = ["Prediction", "evaluate", "read_predictions", "roc_curve"]

PROBABILITY_COLUMN = "PROB_SCONE"
_THRESHOLD = 0.5
_CALIBRATION_BINS = 10
# 97.5th percentile of the normal distribution, for 95 % intervals.
_Z_95 = 1.959963984540054

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Prediction:
    """Probabilities by SNID.

    Attributes
    ----------
    snid : ndarray of int64, shape (n,)
    probability : ndarray of float64, shape (n,)
        That the event is a SN Ia.
    """

    snid: npt.NDArray[np.int64]
    probability: Floats


def read_predictions(path: str | os.PathLike[str], column: str = PROBABILITY_COLUMN) -> Prediction:
    """Read a table of predictions.

    Parameters
    ----------
    path : path-like
        CSV with the columns ``snid`` and `column`.
    column : str

    Returns
    -------
    Prediction

    Raises
    ------
    InputError
        If the file is missing, lacks a column, holds an SNID twice, or a value that is no
        probability.
    """
    path = Path(path)
    probabilities: dict[int, float] = {}
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = csv.DictReader(file)
            for name in ("snid", column):
                if name not in (rows.fieldnames or ()):
                    found = ", ".join(rows.fieldnames or ()) or "nothing"
                    raise InputError(path, f"columns {found}", f"columns snid,{column}")
            for row in rows:
                snid, value = _entry(path, rows.line_num, row["snid"], row[column])
                if snid in probabilities:
                    raise InputError(
                        path, f"line {rows.line_num}: SNID {snid} again", "one row each"
                    )
                probabilities[snid] = value
    except OSError as error:
        raise InputError(path, f"cannot be read ({error.strerror})", "a CSV table") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(path, f"no CSV table ({error})", f"a table snid,{column}") from error
    return Prediction(
        np.array(list(probabilities), dtype=np.int64),
        np.array(list(probabilities.values()), dtype=np.float64),
    )


def _entry(path: Path, line: int, snid: str | None, value: str | None) -> tuple[int, float]:
    try:
        number, probability = int(snid or ""), float(value or "")
    except ValueError:
        number, probability = 0, math.nan
    if not 0.0 <= probability <= 1.0 or not -(1 << 63) <= number < 1 << 63:
        raise InputError(
            path, f"line {line}: {snid!r}, {value!r}", "an SNID and a probability, 0 to 1"
        )
    return number, probability


def evaluate(shards: Shards, prediction: Prediction, *, num_worst: int = 20) -> dict[str, Any]:
    """Compare predictions with labels.

    Parameters
    ----------
    shards : Shards
        Label 1 is SN Ia, every other label is not.
    prediction : Prediction
    num_worst : int
        Number of worst predictions to list.

    Returns
    -------
    dict
        ``confusion_matrix`` [[TN, FP], [FN, TP]] at 0.5, ``accuracy`` with its 95 % interval
        (Wilson 1927, JASA 22, 209), ``roc_auc`` (None where there is one class), ``roc``,
        ``calibration``, ``worst``, ``num_matched``, and the numbers of events and predictions
        without partner.

    Raises
    ------
    InputError
        If no SNID is in both.
    """
    snids, labels = [], []
    for batch in shards.batches():
        snids.append(batch.snid)
        labels.append(batch.label)
    none = np.empty(0, dtype=np.int64)
    snid, label = np.concatenate([none, *snids]), np.concatenate([none, *labels])
    order = np.argsort(prediction.snid)
    sorted_snids = prediction.snid[order]
    place = np.searchsorted(sorted_snids, snid)
    place[place == len(sorted_snids)] = 0
    matched = sorted_snids[place] == snid if len(sorted_snids) else np.zeros(len(snid), dtype=bool)
    if not matched.any():
        raise InputError(
            "predictions", f"none of {len(prediction.snid)} SNIDs", "SNIDs of the shards"
        )
    truth = label[matched] == 1
    probability = prediction.probability[order][place[matched]]
    used = snid[matched]
    called = probability >= _THRESHOLD
    counts = [
        [int(np.sum((truth == t) & (called == c))) for c in (False, True)] for t in (False, True)
    ]
    correct = counts[0][0] + counts[1][1]
    false_rate, true_rate, _ = roc_curve(truth, probability)
    return {
        "confusion_matrix": counts,
        "accuracy": correct / len(truth),
        "accuracy_interval_95": _wilson(correct, len(truth)),
        "roc_auc": roc_auc(truth, probability),
        "num_matched": len(truth),
        "num_events_without_prediction": int((~matched).sum()),
        "num_predictions_without_event": int((~np.isin(prediction.snid, snid)).sum()),
        "calibration": _calibration(truth, probability),
        "roc": _thinned(false_rate, true_rate),
        "worst": _worst(used, truth, probability, num_worst),
    }


def roc_curve(truth: npt.NDArray[np.bool_], probability: Floats) -> tuple[Floats, Floats, Floats]:
    """Receiver operating characteristic.

    Parameters
    ----------
    truth : ndarray of bool, shape (n,)
    probability : ndarray of float64, shape (n,)

    Returns
    -------
    false_positive_rate, true_positive_rate, threshold : ndarray of float64
        From (0, 0) on; NaN where a class is absent. Equal probabilities are one step.
    """
    order = np.argsort(-probability, kind="stable")
    ranked, hits = probability[order], truth[order]
    last = np.append(np.flatnonzero(np.diff(ranked)), len(ranked) - 1)
    true_count = np.cumsum(hits)[last]
    false_count = 1 + last - true_count
    with np.errstate(invalid="ignore"):
        true_rate = np.append(0.0, true_count) / truth.sum()
        false_rate = np.append(0.0, false_count) / (~truth).sum()
    return false_rate, true_rate, np.append(np.inf, ranked[last])


def roc_auc(truth: npt.NDArray[np.bool_], probability: Floats) -> float | None:
    """Area under the receiver operating characteristic; None where there is one class."""
    if truth.all() or not truth.any():
        return None
    false_rate, true_rate, _ = roc_curve(truth, probability)
    # By counts, which are exact: a perfect order gives 1.
    positive, negative = int(truth.sum()), int((~truth).sum())
    area = np.trapezoid(np.rint(true_rate * positive), np.rint(false_rate * negative))
    return float(area) / (positive * negative)


def _wilson(correct: int, count: int) -> list[float]:
    share = correct / count
    widened = 1.0 + _Z_95**2 / count
    middle = (share + _Z_95**2 / (2 * count)) / widened
    half = _Z_95 / widened * math.sqrt(share * (1 - share) / count + _Z_95**2 / (4 * count**2))
    # Where all are right or none is, the end of the interval is exact but for rounding.
    low = 0.0 if correct == 0 else middle - half
    return [low, 1.0 if correct == count else middle + half]


def _calibration(truth: npt.NDArray[np.bool_], probability: Floats) -> list[dict[str, Any]]:
    bins = np.minimum((probability * _CALIBRATION_BINS).astype(int), _CALIBRATION_BINS - 1)
    rows = []
    for number in range(_CALIBRATION_BINS):
        inside = bins == number
        count = int(inside.sum())
        rows.append(
            {
                "probability_min": number / _CALIBRATION_BINS,
                "probability_max": (number + 1) / _CALIBRATION_BINS,
                "events": count,
                "mean_probability": float(probability[inside].mean()) if count else None,
                "fraction_ia": float(truth[inside].mean()) if count else None,
            }
        )
    return rows


def _thinned(false_rate: Floats, true_rate: Floats) -> list[list[float]]:
    """At most about two hundred points of the curve, its ends included."""
    rows = np.unique(np.linspace(0, len(false_rate) - 1, 201).astype(int))
    return [[float(false_rate[row]), float(true_rate[row])] for row in rows]


def _worst(
    snid: npt.NDArray[np.int64], truth: npt.NDArray[np.bool_], probability: Floats, count: int
) -> list[dict[str, Any]]:
    error = np.abs(truth - probability)
    order = np.lexsort((snid, -error))[:count]
    return [
        {"snid": int(snid[row]), "is_ia": bool(truth[row]), "probability": float(probability[row])}
        for row in order
        if error[row] > _THRESHOLD
    ]
