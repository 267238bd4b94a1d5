"""How good a trained network is: pooled, per galaxy, and beside the baselines."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from astro_common.atomic import atomic_path
from manga_ssftt.baselines import baseline_figures
from manga_ssftt.checkpoints import TrainedModel
from manga_ssftt.inference import Predicted, predict_samples
from manga_ssftt.metrics import (
    bootstrap_interval,
    calibration,
    classification_figures,
    confusion_matrix,
    figures_of_confusion,
    regression_figures,
)
from manga_ssftt.patch_loader import Sample

__all__ = ["Evaluation", "easy_hard_gap", "evaluate", "write_predictions"]

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

_GAP_FIGURES = ("oa", "aa", "kappa", "macro_f1", "mean_iou", "mae_dex")


@dataclass(frozen=True, eq=False)
class Evaluation:
    """Figures of merit, and the predictions behind them.

    Attributes
    ----------
    figures : dict
        As ``metrics.json`` holds them.
    samples : list of Sample
    predicted : list of Predicted
        One for each sample.
    """

    figures: dict[str, Any]
    samples: list[Sample]
    predicted: list[Predicted]


def evaluate(
    model: TrainedModel,
    test: Sequence[Sample],
    training: Sequence[Sample],
    *,
    seed: int = 0,
    n_draws: int = 1000,
) -> Evaluation:
    """Evaluate a network on the labelled spaxels of galaxies.

    Parameters
    ----------
    model : TrainedModel
    test : sequence of Sample
        At least one.
    training : sequence of Sample
        On which the baselines are trained; without any, there are no baselines.
    seed, n_draws : int, optional
        Of the bootstrap over galaxies.

    Returns
    -------
    Evaluation
        Its figures are those of `metrics.classification_figures` with ``oa_ci``, ``calibration``,
        ``per_galaxy``, ``baselines`` and, for abundances, `metrics.regression_figures` with
        ``mae_dex_ci``. Where a model predicts the abundance, classes are the bins of its mean.
    """
    target = model.target
    predicted = predict_samples(model, test)
    truths = [target.classes(sample.label) for sample in test]
    ids = sorted(set(target.class_ids).union(*(np.unique(truth).tolist() for truth in truths)))
    classes = [_predicted_classes(one, model) for one in predicted]
    matrices = [
        confusion_matrix(truth, found, ids) for truth, found in zip(truths, classes, strict=True)
    ]
    figures = classification_figures(np.concatenate(truths), np.concatenate(classes), ids)
    figures["oa_ci"] = list(
        bootstrap_interval(
            matrices, lambda drawn: _accuracy(sum(drawn)), seed=seed, n_draws=n_draws
        )
    )
    probability = np.concatenate([one.probability for one in predicted])
    label = np.concatenate([sample.label for sample in test])
    figures["calibration"] = calibration(probability, target.indices(label))
    figures["per_galaxy"] = [
        {"plateifu": sample.plateifu, **_short(figures_of_confusion(matrix))}
        for sample, matrix in zip(test, matrices, strict=True)
    ]
    if target.task != "BPT":
        _add_abundance(figures, test, predicted, seed, n_draws)
    figures["n_galaxies"] = len(test)
    figures["synthetic"] = any(sample.synthetic for sample in test)
    figures["task"], figures["head"] = target.task, target.head
    figures["edges"] = list(target.edges)
    figures["architecture"] = model.architecture
    seen = set(model.configuration.get("training_plateifus", ()))
    figures["galaxies_also_in_training"] = sorted(
        sample.plateifu for sample in test if sample.plateifu in seen
    )
    figures["leaky"] = bool(figures["galaxies_also_in_training"])
    figures["baselines"] = baseline_figures(training, test, target, ids, seed) if training else {}
    return Evaluation(figures, list(test), predicted)


def _predicted_classes(predicted: Predicted, model: TrainedModel) -> Ints:
    target = model.target
    if target.task == "logOH" and target.head == "regression" and predicted.log_oh is not None:
        return np.digitize(predicted.log_oh, target.edges).astype(np.int64)
    return predicted.class_id(target.class_ids)


def _accuracy(matrix: Any) -> float:
    total = np.sum(matrix)
    return float(np.trace(matrix) / total) if total else float("nan")


def _short(figures: dict[str, Any]) -> dict[str, Any]:
    return {name: figures[name] for name in ("n", "oa", "aa", "kappa", "macro_f1", "mean_iou")}


def _add_abundance(
    figures: dict[str, Any],
    test: Sequence[Sample],
    predicted: Sequence[Predicted],
    seed: int,
    n_draws: int,
) -> None:
    pairs: list[tuple[Floats, Floats]] = []
    for sample, one, entry in zip(test, predicted, figures["per_galaxy"], strict=True):
        assert one.log_oh is not None  # noqa: S101 - every task but BPT has an abundance
        pairs.append((sample.log_oh, one.log_oh))
        found = regression_figures(sample.log_oh, one.log_oh)
        entry.update(mae_dex=found["mae_dex"], n_abundance=found["n_abundance"])
    truth = np.concatenate([pair[0] for pair in pairs])
    value = np.concatenate([pair[1] for pair in pairs])
    figures.update(regression_figures(truth, value))
    sums = []
    for true, found_value in pairs:
        difference = np.abs(found_value - true)[np.isfinite(true)]
        sums.append((float(difference.sum()), len(difference)))
    figures["mae_dex_ci"] = list(
        bootstrap_interval(
            sums,
            _mean_error,
            seed=seed,
            n_draws=n_draws,
        )
    )


def _mean_error(drawn: Sequence[tuple[float, int]]) -> float:
    """Mean of absolute errors, of their sum and number by galaxy; NaN without any."""
    count = sum(n for _, n in drawn)
    return sum(total for total, _ in drawn) / count if count else float("nan")


def easy_hard_gap(easy: Mapping[str, Any], hard: Mapping[str, Any]) -> dict[str, Any]:
    """How much a leaky split flatters: the easy split's figures minus the hard one's."""
    return {
        name: {"easy": easy[name], "hard": hard[name], "gap": easy[name] - hard[name]}
        for name in _GAP_FIGURES
        if _is_number(easy.get(name)) and _is_number(hard.get(name))
    }


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def write_predictions(path: Path, evaluation: Evaluation, model: TrainedModel) -> None:
    """Write one row per spaxel: galaxy, place, label, prediction and its probability.

    Raises
    ------
    OutputError
        If the file cannot be written.
    """
    with (
        atomic_path(path, overwrite=True) as partial,
        partial.open("w", encoding="utf-8", newline="") as file,
    ):
        table = csv.writer(file, lineterminator="\n")
        table.writerow(
            ["plateifu", "y", "x", "label", "predicted_class", "probability", "predicted_logOH"]
        )
        for sample, one in zip(evaluation.samples, evaluation.predicted, strict=True):
            classes, chance = _predicted_classes(one, model), one.probability.max(axis=1)
            for row in range(len(sample)):
                value = "" if one.log_oh is None else f"{one.log_oh[row]:.5f}"
                table.writerow(
                    [
                        sample.plateifu,
                        int(sample.y[row]),
                        int(sample.x[row]),
                        sample.label[row],
                        int(classes[row]),
                        f"{chance[row]:.5f}",
                        value,
                    ]
                )
