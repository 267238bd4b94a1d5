"""Evaluation of a trained model on a data set, alone or beside baselines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from astro_common.errors import InputError
from sdss_spectra.baselines import BASELINES
from sdss_spectra.dataset import Dataset, load_dataset
from sdss_spectra.evaluation import evaluate_predictions, paired_difference
from sdss_spectra.labels.catalogue import Catalogue
from sdss_spectra.model.classifier import Model
from sdss_spectra.model.run import judge
from sdss_spectra.model.run_folder import split_of_model
from sdss_spectra.stars import leakage_groups
from sdss_spectra.survey import Account

__all__ = ["compare_baselines", "evaluate_folder"]


def evaluate_folder(
    model: Model,
    folder: Path,
    data: Path,
    *,
    catalogue: Catalogue | None,
    strip_prefix: str = "",
    strip_suffix: str = "",
    with_training_stars: bool = False,
    with_baselines: bool = False,
    seed: int = 42,
    workers: int = 1,
    failures: Path | None = None,
) -> tuple[dict[str, Any], Account]:
    """Evaluate a model on a data set, without the stars that it was trained on.

    Parameters
    ----------
    model : Model
        Trained.
    folder : Path
        Folder of the model and its split tables.
    data : Path
        Labelled spectra.
    catalogue : Catalogue or None
        Labels.
    with_training_stars : bool, optional
        Also evaluate on stars of the training and validation sets.
    with_baselines : bool, optional
        Also evaluate the baselines on the same spectra.
    seed, workers : int, optional
        Seed of the bootstrap; number of local processes.
    failures : Path, optional
        ``failures.jsonl``.

    Returns
    -------
    dict
        See `evaluate_predictions`.
    Account
        How reading went.

    Raises
    ------
    InputError
        No spectrum is left.
    """
    dataset = load_dataset(
        data,
        model.preprocessing,
        catalogue=catalogue,
        strip_prefix=strip_prefix,
        strip_suffix=strip_suffix,
        workers=workers,
        failures=failures,
    )
    groups = leakage_groups([item.keys for item in dataset.items])
    parts = split_of_model(folder)
    known = _known(model, dataset, parts)
    keep = np.ones(len(dataset), bool) if with_training_stars else ~known
    if not keep.any():
        raise InputError(
            data,
            f"all {len(dataset)} labelled spectra are of stars that the model was trained on",
            "other stars",
            "give --all to include them",
        )
    chosen = dataset.subset(np.flatnonzero(keep))
    chosen_groups = [groups[n] for n in np.flatnonzero(keep)]
    result = judge(model, chosen, chosen_groups, seed=seed)
    result["left_out_as_known"] = int(known.sum()) if not with_training_stars else 0
    if with_baselines:
        fitted = np.array([parts.get(i.spec_id, ("", ""))[0] in ("train", "validation")
                           for i in dataset.items])  # fmt: skip
        if not fitted.any():
            raise InputError(data, "holds no spectrum of the model's training set", "its data set")
        training = dataset.subset(np.flatnonzero(fitted))
        result["baselines"] = compare_baselines(
            model,
            training,
            [groups[n] for n in np.flatnonzero(fitted)],
            chosen,
            chosen_groups,
            seed=seed,
        )
    return result, dataset.account


def _known(
    model: Model, dataset: Dataset, parts: Mapping[str, tuple[str, str]]
) -> npt.NDArray[np.bool_]:
    """Which spectra are of stars that the model was trained or validated on.

    Files of another release have other names and other identifiers, so that positions count too.
    """
    stars = model.known_stars
    joined = leakage_groups([*stars, *(item.keys for item in dataset.items)])
    seen = set(joined[: len(stars)])
    # Files that give neither name nor position are known by the identifier of the spectrum alone.
    seen_ids = {spec_id for spec_id, (part, _) in parts.items() if part != "test"}
    return np.array(
        [
            item.spec_id in seen_ids or group in seen
            for item, group in zip(dataset.items, joined[len(stars) :], strict=True)
        ]
    )


def compare_baselines(
    model: Model,
    training: Dataset,
    training_groups: Sequence[str],
    test: Dataset,
    groups: Sequence[str],
    *,
    seed: int,
) -> dict[str, Any]:
    """Scores of each baseline on the test spectra, and the model's lead over it."""
    classes = model.bins.classes
    probabilities, _ = model.predict(*test.arrays())
    truth = np.asarray(test.names)
    own = np.asarray(classes)[probabilities.argmax(axis=1)] == truth
    found: dict[str, Any] = {}
    for name, make in BASELINES.items():
        baseline = make(model.preprocessing.grid, classes, seed)
        flux, _, mask = training.arrays()
        baseline.fit(flux, mask, training.names, training.codes, training_groups)
        flux, _, mask = test.arrays()
        shares, code = baseline.predict(flux, mask)
        scores = evaluate_predictions(
            test.names,
            test.codes,
            shares,
            code,
            classes,
            groups,
            signal_to_noise=test.signal_to_noise,
            coverage=test.coverage,
            seed=seed,
        )
        correct = np.asarray(classes)[shares.argmax(axis=1)] == truth
        scores["lead_of_model"] = paired_difference(own, correct, groups, seed=seed)
        found[name] = {key: value for key, value in scores.items() if key != "curves"}
    return found
