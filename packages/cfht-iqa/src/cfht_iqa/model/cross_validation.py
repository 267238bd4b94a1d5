"""Every exposure judged once by a network that has not seen it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from astro_common.errors import ConfigurationError
from cfht_iqa.classes import CLASSES
from cfht_iqa.model.evaluation import pooled, score
from cfht_iqa.model.files import TrainedModel
from cfht_iqa.model.inputs import CcdInputs
from cfht_iqa.model.training import Training, fit_network

__all__ = ["cross_validate", "folds_of"]


def folds_of(classes: Mapping[str, str], n_folds: int, seed: int) -> dict[str, int]:
    """Deal out exposures to folds, each class evenly.

    Parameters
    ----------
    classes : mapping of str to str
        Class by exposure.
    n_folds : int
        Number of folds.
    seed : int
        Of the order.

    Returns
    -------
    dict of str to int
        Fold by exposure.
    """
    generator = np.random.default_rng(seed)
    folds: dict[str, int] = {}
    for name in CLASSES:
        members = [exposure for exposure, label in classes.items() if label == name]
        generator.shuffle(members)
        for exposure in members:
            # Where the last class ended the next one goes on, so that folds are of one size.
            folds[exposure] = len(folds) % n_folds
    return folds


def cross_validate(
    inputs: CcdInputs,
    labels: Mapping[str, Sequence[str]],
    n_folds: int,
    model: TrainedModel,
) -> dict[str, Any]:
    """Train a network for each fold, and judge the fold by it.

    Exposures stay together. Of those that train a network, every fifth chooses its best epoch. The
    map is the model's: it has seen the sources of all exposures, and no label.

    Parameters
    ----------
    inputs : CcdInputs
        CCDs of all exposures.
    labels : mapping of str to sequence of str
        By exposure.
    n_folds : int
        At least 2.
    model : TrainedModel
        Whose settings are used.

    Returns
    -------
    dict
        Scores over all exposures, ``folds`` and ``fold_accuracies``.

    Raises
    ------
    ConfigurationError
        If there are fewer exposures than folds, or one fold.
    """
    main = {name: labels[name][0] for name in dict.fromkeys(inputs.exposures) if name in labels}
    if not 2 <= n_folds <= len(main):
        raise ConfigurationError("--cross-validate", str(n_folds), f"from 2 to {len(main)}")
    settings = Training(**model.record["settings"])
    folds = folds_of(main, n_folds, settings.seed)
    names: list[str] = []
    parts, accuracies = [], []
    for fold in range(n_folds):
        rest = {name: label for name, label in main.items() if folds[name] != fold}
        inner = folds_of(rest, 5, settings.seed + fold + 1)
        splits = {name: "validation" if inner[name] == 0 else "train" for name in rest}
        fitted = fit_network(inputs, main, splits, model.trained_map.n_clusters, settings)
        held = [row for row, name in enumerate(inputs.exposures) if folds.get(name) == fold]
        judge = replace(model, network=fitted.network, temperature=fitted.temperature)
        exposures, probabilities = pooled(judge, inputs.take(held))
        verdicts = [CLASSES[k] for k in probabilities.argmax(axis=1)]
        right = [main[name] == said for name, said in zip(exposures, verdicts, strict=True)]
        accuracies.append(float(np.mean(right)))
        names += exposures
        parts.append(probabilities)
    truth = np.array([CLASSES.index(main[name]) for name in names], np.intp)
    scores = score(names, truth, np.concatenate(parts), also=labels)
    return {**scores.record, "folds": n_folds, "fold_accuracies": accuracies}
