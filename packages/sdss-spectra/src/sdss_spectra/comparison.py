"""A model judged on a data set, alone or beside baselines, or on the shift between two releases."""

from __future__ import annotations

import csv
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from astro_common.errors import InputError
from sdss_spectra.baselines import BASELINES
from sdss_spectra.dataset import Dataset, load_dataset
from sdss_spectra.evaluation import evaluate_predictions, paired_difference
from sdss_spectra.labels.catalogue import Catalogue
from sdss_spectra.model.files import Model
from sdss_spectra.model.run import judge
from sdss_spectra.stars import leakage_groups
from sdss_spectra.survey import Account

__all__ = ["compare_baselines", "evaluate_folder", "split_of_model"]

logger = logging.getLogger(__name__)


def split_of_model(folder: Path) -> dict[str, tuple[str, str]]:
    """Part and leakage group by spec_id, from the split tables beside a model.

    Raises
    ------
    InputError
        A table is missing or damaged.
    """
    found: dict[str, tuple[str, str]] = {}
    for part in ("train", "validation", "test"):
        path = folder / f"{part}_split.csv"
        try:
            with path.open(encoding="utf-8", newline="") as file:
                for row in csv.DictReader(file):
                    found[row["spec_id"]] = part, row["leakage_group"]
        except OSError as error:
            raise InputError(path, f"cannot be read ({error.strerror})", "a split table") from error
        except (KeyError, csv.Error, UnicodeDecodeError) as error:
            raise InputError(path, f"no split table ({error})", "what train has written") from error
    return found


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
) -> tuple[dict[str, Any], Account]:
    """Judge a model on a data set, without the stars that it knows.

    Parameters
    ----------
    model : Model
        Trained.
    folder : Path
        Where it lies, with its split tables.
    data : Path
        Labelled spectra.
    catalogue : Catalogue or None
        Labels.
    with_training_stars : bool, optional
        Also judge on stars of the training and validation sets.
    with_baselines : bool, optional
        Also judge the baselines on the same spectra.
    seed, workers : int, optional
        Of the bootstrap; local processes.

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
    )
    groups = leakage_groups([item.keys for item in dataset.items])
    parts = split_of_model(folder)
    seen = {
        group for part, group in parts.values() if part != "test" and not group.startswith("file-")
    }
    seen_ids = {spec_id for spec_id, (part, _) in parts.items() if part != "test"}
    known = np.array(
        [
            item.spec_id in seen_ids or group in seen or bool(seen.intersection(item.keys.names))
            for item, group in zip(dataset.items, groups, strict=True)
        ]
    )
    keep = np.ones(len(dataset), bool) if with_training_stars else ~known
    if not keep.any():
        raise InputError(
            data,
            f"all {len(dataset)} labelled spectra are of stars that the model was trained on",
            "other stars",
            "give --all to judge on them nevertheless",
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


def compare_baselines(
    model: Model,
    training: Dataset,
    training_groups: Sequence[str],
    test: Dataset,
    groups: Sequence[str],
    *,
    seed: int,
) -> dict[str, Any]:
    """Scores of each baseline on the spectra of a test, and the model's lead over it."""
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
        told, code = baseline.predict(flux, mask)
        scores = evaluate_predictions(
            test.names,
            test.codes,
            told,
            code,
            classes,
            groups,
            signal_to_noise=[item.signal_to_noise for item in test.items],
            coverage=[float(1.0 - item.mask.mean()) for item in test.items],
            seed=seed,
        )
        correct = np.asarray(classes)[told.argmax(axis=1)] == truth
        scores["lead_of_model"] = paired_difference(own, correct, groups, seed=seed)
        found[name] = {key: value for key, value in scores.items() if key != "curves"}
    return found
