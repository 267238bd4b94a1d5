"""Accuracy on real stars by cross-validation, with the baselines beside, and what bounds it.

Every spectrum is told once, by a model that has seen no spectrum of its star; intervals are over
stars. The bound is the accuracy of a classifier whose subtype errors are Gaussian, on stars of the
subtypes that the data set has: a star at the edge of a class is easily told the neighbour.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import norm
from sklearn.model_selection import StratifiedGroupKFold

from astro_common.jsonable import jsonable
from sdss_spectra.baselines import BASELINES
from sdss_spectra.dataset import Dataset, load_dataset
from sdss_spectra.evaluation import evaluate_predictions, paired_difference
from sdss_spectra.model.architecture import Network
from sdss_spectra.model.bins import class_order
from sdss_spectra.model.run import RunSettings, fit_model
from sdss_spectra.model.training import TrainingSettings
from sdss_spectra.preprocessing.resample import LogGrid
from sdss_spectra.preprocessing.steps import Preprocessing
from sdss_spectra.stars import leakage_groups

OURS = "network and templates"
SEQUENCE = "OBAFGKM"


def expected_accuracy(code: np.ndarray, sigma: float) -> float:
    """Share of stars that stay in their class if their subtype has a Gaussian error."""
    centre = code[np.isfinite(code)] + 0.5
    low = 10.0 * np.floor(centre / 10.0)
    below = np.where(low > 0, norm.cdf((low - centre) / sigma), 0.0)
    above = np.where(low < 10.0 * SEQUENCE.index("M"), norm.sf((low + 10 - centre) / sigma), 0.0)
    return float(np.mean(1.0 - below - above))


def told_by(
    dataset: Dataset,
    groups: np.ndarray,
    folds: list[Any],
    settings: RunSettings,
    classes: list[str],
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Probabilities and subtype codes of all spectra, by each classifier."""
    names = [OURS, "network alone", *BASELINES]
    found = {
        name: (np.zeros((len(dataset), len(classes))), np.full(len(dataset), np.nan))
        for name in names
    }

    def keep(name: str, rows: np.ndarray, own: tuple[str, ...], share: Any, code: Any) -> None:
        found[name][0][np.ix_(rows, [classes.index(c) for c in own])] = share
        found[name][1][rows] = code

    start = time.perf_counter()
    for number, (train, test) in enumerate(folds):
        part = np.full(len(dataset), "test", dtype="U10")
        part[train] = "train"
        model, _ = fit_model(dataset, part, settings)
        held_out, training = dataset.subset(test), dataset.subset(train)
        flux, ivar, mask = held_out.arrays()
        own = model.bins.classes
        keep(OURS, test, own, *model.predict(flux, ivar, mask))
        model.templates = None
        keep("network alone", test, own, *model.predict(flux, ivar, mask))
        for name, make in BASELINES.items():
            baseline = make(settings.preprocessing.grid, list(own), settings.seed)
            known, _, gone = training.arrays()
            baseline.fit(known, gone, training.names, training.codes, groups[train])
            keep(name, test, own, *baseline.predict(flux, mask))
        print(
            f"fold {number + 1} of {len(folds)}, {time.perf_counter() - start:.0f} s",
            file=sys.stderr, flush=True,
        )  # fmt: skip
    return found


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("data", type=Path, help="labelled spectra")
    options.add_argument("--folds", type=int, default=5, metavar="N", help="(5)")
    options.add_argument("--members", type=int, default=2, metavar="N", help="networks (2)")
    options.add_argument("--architecture", choices=("cnn", "resnet"), default="resnet")
    options.add_argument("--seed", type=int, default=1, metavar="N", help="(1)")
    arguments = options.parse_args()
    settings = RunSettings(
        preprocessing=Preprocessing(
            grid=LogGrid(3.55, 2e-4, 2048), mask_telluric=True, normalise=False
        ),
        network=Network(architecture=arguments.architecture),
        training=replace(TrainingSettings(), members=arguments.members),
        seed=arguments.seed,
    )
    dataset = load_dataset(arguments.data, settings.preprocessing)
    truth, classes = np.asarray(dataset.names), class_order(dataset.names)
    groups = np.array(leakage_groups([item.keys for item in dataset.items]))
    # Classes with fewer stars than folds cannot be in each of them.
    warnings.simplefilter("ignore", UserWarning)
    splitter = StratifiedGroupKFold(arguments.folds, shuffle=True, random_state=arguments.seed)
    folds = list(splitter.split(truth, truth, groups))
    found = told_by(dataset, groups, folds, settings, classes)
    rows = np.flatnonzero(np.isin(truth, list(SEQUENCE)))
    codes = dataset.codes
    subtype_known = rows[np.isfinite(codes[rows])]
    correct = {
        name: np.asarray(classes)[share.argmax(axis=1)] == truth
        for name, (share, _) in found.items()
    }
    result: dict[str, Any] = {"classifiers": {}}
    for name, (share, code) in found.items():
        scores = evaluate_predictions(
            truth[rows], codes[rows], share[rows], code[rows], classes, groups[rows],
            signal_to_noise=[dataset.items[n].signal_to_noise for n in rows],
            coverage=[float(1.0 - dataset.items[n].mask.mean()) for n in rows],
            seed=arguments.seed,
        )  # fmt: skip
        kept = {
            key: value
            for key, value in scores.items()
            if key not in ("curves", "reliability", "accuracy_by_coverage", "classes")
        }
        kept["accuracy_of_all_classes"] = float(correct[name].mean())
        if name != OURS:
            kept["lead_of_ours"] = paired_difference(
                correct[OURS][rows], correct[name][rows], groups[rows], seed=arguments.seed
            )
        result["classifiers"][name] = kept
    result["bound"] = {
        "accuracy_by_subtype_error": {
            f"{sigma:g}": expected_accuracy(codes[subtype_known], sigma)
            for sigma in (0.5, 0.8, 1.0, 1.2, 1.5, 2.0)
        },
        "share_within_a_subtype_of_an_edge": float(
            np.mean((codes[subtype_known] % 10 < 1) | (codes[subtype_known] % 10 >= 9))
        ),
    }
    result["wrong"] = [
        {
            "spec_id": dataset.items[n].spec_id,
            "class": str(truth[n]),
            "told": classes[int(found[OURS][0][n].argmax())],
            "code": float(codes[n]),
            "told_code": float(found[OURS][1][n]),
            "coverage": float(1.0 - dataset.items[n].mask.mean()),
        }
        for n in rows
        if not correct[OURS][n]
    ]
    print(json.dumps(jsonable(result), indent=1, allow_nan=False))


if __name__ == "__main__":
    main()
