"""How good the verdicts are on exposures that were not trained on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from astro_common.errors import InputError
from cfht_iqa.classes import CLASSES
from cfht_iqa.model.files import TrainedModel
from cfht_iqa.model.inputs import CcdInputs
from cfht_iqa.model.training import log_probabilities
from cfht_iqa.model.verdict import by_exposure, pooled_probabilities

__all__ = ["Scores", "evaluate_model", "pooled", "score", "wilson_interval"]

_BOOTSTRAPS: Final = 2000
_BINS: Final = 5

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Scores:
    """What was found; `as_json` gives it under the names of the command's output."""

    exposures: list[str]
    truth: npt.NDArray[np.intp]
    probabilities: Floats
    record: dict[str, Any]

    def as_json(self) -> dict[str, Any]:
        """The scores as JSON can hold them."""
        verdicts = self.probabilities.argmax(axis=1)
        return {
            "exposures": self.exposures,
            "classes": list(CLASSES),
            **self.record,
            "verdicts": [
                {
                    "exposure": name,
                    "label": CLASSES[true],
                    "verdict": CLASSES[verdict],
                    "confidence": float(probabilities[verdict]),
                }
                for name, true, verdict, probabilities in zip(
                    self.exposures, self.truth, verdicts, self.probabilities, strict=True
                )
            ],
        }


def wilson_interval(right: int, total: int) -> tuple[float, float]:
    """95 % interval of a share (Wilson 1927, JASA 22, 209); NaN for none of none."""
    if not total:
        return float("nan"), float("nan")
    z = 1.959963984540054
    share, spread = right / total, z * z / total
    middle = (share + spread / 2.0) / (1.0 + spread)
    half = z * np.sqrt(share * (1.0 - share) / total + spread / (4.0 * total)) / (1.0 + spread)
    return float(max(0.0, middle - half)), float(min(1.0, middle + half))


def score(
    exposures: Sequence[str],
    truth: npt.NDArray[np.intp],
    probabilities: Floats,
    *,
    reject_below: float = 0.0,
    also: Mapping[str, Sequence[str]] | None = None,
) -> Scores:
    """Score probabilities against labels.

    Parameters
    ----------
    exposures : sequence of str
        Names.
    truth : ndarray of intp, shape (n,)
        Main class of each.
    probabilities : ndarray of float64, shape (n, 5)
        Of each.
    reject_below : float, optional
        Confidence below which an exposure is set aside.
    also : mapping of str to sequence of str, optional
        All labels by exposure, where there are several.

    Returns
    -------
    Scores
        Its record has ``confusion`` (rows are true classes), ``accuracy`` with its interval,
        ``balanced_accuracy`` with its bootstrap interval, ``precision, recall, support`` by class,
        ``log_loss, calibration_error``, and what setting uncertain exposures aside would give.
    """
    verdict = probabilities.argmax(axis=1)
    confusion = np.zeros((len(CLASSES), len(CLASSES)), np.int64)
    np.add.at(confusion, (truth, verdict), 1)
    right = verdict == truth
    with np.errstate(invalid="ignore", divide="ignore"):
        recall = np.diag(confusion) / confusion.sum(axis=1)
        precision = np.diag(confusion) / confusion.sum(axis=0)
    confidence = probabilities.max(axis=1)
    accepted = confidence >= reject_below
    chosen = probabilities[np.arange(len(truth)), truth]
    record: dict[str, Any] = {
        "confusion": confusion.tolist(),
        "accuracy": float(right.mean()),
        "accuracy_interval_95": list(wilson_interval(int(right.sum()), len(right))),
        "balanced_accuracy": float(np.nanmean(recall)),
        "balanced_accuracy_interval_95": _bootstrap(truth, verdict),
        "precision": dict(zip(CLASSES, precision.tolist(), strict=True)),
        "recall": dict(zip(CLASSES, recall.tolist(), strict=True)),
        "support": dict(zip(CLASSES, confusion.sum(axis=1).tolist(), strict=True)),
        "log_loss": float(-np.log(np.clip(chosen, 1e-12, None)).mean()),
        "calibration_error": _calibration_error(confidence, right),
        "reject_below": reject_below,
        "rejected_fraction": float(1.0 - accepted.mean()),
        "accuracy_of_accepted": float(right[accepted].mean()) if accepted.any() else None,
    }
    if also is not None:
        named = [CLASSES[k] in also[name] for name, k in zip(exposures, verdict, strict=True)]
        record["accuracy_any_label"] = float(np.mean(named))
    return Scores(list(exposures), truth, probabilities, record)


def pooled(model: TrainedModel, inputs: CcdInputs) -> tuple[list[str], Floats]:
    """Exposures and their probabilities, of all CCDs that are given."""
    logs = log_probabilities(model.network, inputs)
    rows = by_exposure(inputs.exposures)
    values = [pooled_probabilities(logs[places], model.temperature) for places in rows.values()]
    return list(rows), np.stack(values)


def evaluate_model(
    model: TrainedModel,
    inputs: CcdInputs,
    labels: Mapping[str, Sequence[str]],
    splits: Mapping[str, str],
    split: str,
) -> Scores:
    """Judge the exposures of a split.

    Parameters
    ----------
    model : TrainedModel
        The model.
    inputs : CcdInputs
        CCDs of all exposures.
    labels : mapping of str to sequence of str
        By exposure.
    splits : mapping of str to str
        By exposure.
    split : str
        Which exposures.

    Returns
    -------
    Scores

    Raises
    ------
    InputError
        If none of its exposures has a label and an image.
    """
    rows = [
        row
        for row, name in enumerate(inputs.exposures)
        if splits.get(name) == split and name in labels
    ]
    if not rows:
        raise InputError(f"split {split}", "no exposure with a label and an image", "at least one")
    names, probabilities = pooled(model, inputs.take(rows))
    truth = np.array([CLASSES.index(labels[name][0]) for name in names], np.intp)
    return score(names, truth, probabilities, reject_below=model.reject_below, also=labels)


def _bootstrap(truth: npt.NDArray[np.intp], verdict: npt.NDArray[np.intp]) -> list[float]:
    generator = np.random.default_rng(0)
    values = []
    for _ in range(_BOOTSTRAPS):
        rows = generator.integers(0, len(truth), len(truth))
        true, said = truth[rows], verdict[rows]
        shares = [(said[true == k] == k).mean() for k in np.unique(true)]
        values.append(float(np.mean(shares)))
    return [float(value) for value in np.percentile(values, (2.5, 97.5))]


def _calibration_error(confidence: Floats, right: npt.NDArray[np.bool_]) -> float:
    """Mean distance of confidence and accuracy over bins (Naeini et al. 2015, AAAI 29, 2901)."""
    bins = np.minimum((confidence * _BINS).astype(int), _BINS - 1)
    error = 0.0
    for number in range(_BINS):
        chosen = bins == number
        if chosen.any():
            error += chosen.mean() * abs(confidence[chosen].mean() - right[chosen].mean())
    return float(error)
