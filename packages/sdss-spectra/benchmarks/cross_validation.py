"""Accuracy on real stars by cross-validation, with the baselines beside, and what bounds it.

Every spectrum is classified once, by a model that has seen no spectrum of its star; intervals are
over stars. The bound is the accuracy of a classifier whose subtype errors are Gaussian, on stars of
the subtypes that the data set has: a star at the edge of a class is easily taken for its neighbour.
Spectra are also classified as they would be at another velocity, or with less coverage.
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
from robustness import AS_THEY_ARE, changes, compared
from scipy.stats import norm
from sklearn.model_selection import StratifiedGroupKFold

from astro_common.jsonable import jsonable
from sdss_spectra.baselines import BASELINES
from sdss_spectra.dataset import Dataset, load_dataset
from sdss_spectra.evaluation import evaluate_predictions, paired_difference
from sdss_spectra.mkclass import type_from_parameters
from sdss_spectra.model.architecture import Network
from sdss_spectra.model.bins import class_order
from sdss_spectra.model.classifier import Model
from sdss_spectra.model.files import load_model, save_model
from sdss_spectra.model.run import RunSettings, fit_model
from sdss_spectra.model.training import TrainingSettings
from sdss_spectra.preprocessing.resample import LogGrid
from sdss_spectra.preprocessing.steps import Preprocessing
from sdss_spectra.stars import leakage_groups

OURS = "network and templates"
SEQUENCE = "OBAFGKM"
# Spectra whose types their own files or lines contradict. They count like all others; the errors
# are also given without them.
DOUBTFUL = {
    "A9V__154660": "no Ca II K and the Balmer lines of late B",
    "spEigenStar-55734-00017": "the same spectrum of HD 154660",
    "spec-4068-55445-0924": "typed by the template of HD 154660",
    "STELIB_v3.2_HD338529": "B5 beside TEFF = 6192 and [Fe/H] = -2.3",
    "NGC3073_SDSS_DR18": "a galaxy with emission lines",
}


def expected_accuracy(code: np.ndarray, sigma: float) -> float:
    """Share of stars that stay in their class if their subtype has a Gaussian error."""
    centre = code[np.isfinite(code)] + 0.5
    low = 10.0 * np.floor(centre / 10.0)
    below = np.where(low > 0, norm.cdf((low - centre) / sigma), 0.0)
    above = np.where(low < 10.0 * SEQUENCE.index("M"), norm.sf((low + 10 - centre) / sigma), 0.0)
    return float(np.mean(1.0 - below - above))


def model_of(
    dataset: Dataset, train: np.ndarray, settings: RunSettings, folder: Path | None
) -> Model:
    """The model of a fold: the one that the folder holds, or a new one, which it then keeps."""
    if folder is not None and (folder / "model.json").exists():
        return load_model(folder)
    part = np.full(len(dataset), "test", dtype="U10")
    part[train] = "train"
    model, _ = fit_model(dataset, part, settings)
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        save_model(folder, model, overwrite=False)
    return model


def predictions(
    dataset: Dataset,
    groups: np.ndarray,
    folds: list[Any],
    settings: RunSettings,
    classes: list[str],
    models: Path | None,
    baselines: bool,
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Probabilities and subtype codes of all spectra, by each classifier and under each change."""
    varied = changes(settings.preprocessing.grid)
    names = [OURS, "network alone", *(BASELINES if baselines else ()), *varied]
    found = {
        name: (np.zeros((len(dataset), len(classes))), np.full(len(dataset), np.nan))
        for name in names
    }

    def keep(name: str, rows: np.ndarray, own: tuple[str, ...], share: Any, code: Any) -> None:
        found[name][0][np.ix_(rows, [classes.index(c) for c in own])] = share
        found[name][1][rows] = code

    start = time.perf_counter()
    for number, (train, test) in enumerate(folds):
        folder = None if models is None else models / str(number)
        model = model_of(dataset, train, settings, folder)
        held_out, training = dataset.subset(test), dataset.subset(train)
        flux, ivar, mask = held_out.arrays()
        own = model.bins.classes
        for name, change in varied.items():
            keep(name, test, own, *model.predict(*change((flux, ivar, mask))))
        for values, kept in zip(found[OURS], found[AS_THEY_ARE], strict=True):
            values[test] = kept[test]
        model.templates = None
        keep("network alone", test, own, *model.predict(flux, ivar, mask))
        for name, make in BASELINES.items() if baselines else ():
            baseline = make(settings.preprocessing.grid, list(own), settings.seed)
            known, _, gone = training.arrays()
            baseline.fit(known, gone, training.names, training.codes, groups[train])
            keep(name, test, own, *baseline.predict(flux, mask))
        print(
            f"fold {number + 1} of {len(folds)}, {time.perf_counter() - start:.0f} s",
            file=sys.stderr, flush=True,
        )  # fmt: skip
    return found


def subtype_errors(
    dataset: Dataset, rows: np.ndarray, truth: np.ndarray, code: np.ndarray
) -> dict[str, Any]:
    """Absolute subtype errors of groups of spectra."""
    error = np.abs(code - truth)
    items = [dataset.items[n] for n in rows]
    labels = [item.facts.own for item in items]
    metals = np.array([np.nan if of is None or of.fe_h_dex is None else of.fe_h_dex
                       for of in labels])  # fmt: skip
    snr = np.array([np.nan if i.signal_to_noise is None else i.signal_to_noise for i in items])
    short = np.array([item.mask.mean() > 0.3 for item in items])
    doubtful = np.array([item.spec_id in DOUBTFUL for item in items])
    groups = {
        "all": np.ones(len(items), bool),
        "types that nothing contradicts": ~doubtful,
        "S/N above 10": snr > 10,
        "S/N above 10, types that nothing contradicts": (snr > 10) & ~doubtful,
        "data on less than 70 % of the grid": short,
        "[Fe/H] below -1": metals < -1.0,
        "none of these": ~(doubtful | short | (metals < -1.0)),
    }
    found: dict[str, Any] = {}
    for name, keep in groups.items():
        own = error[keep & np.isfinite(error)]
        found[name] = {"spectra": len(own)}
        if len(own):
            found[name] |= {"median": float(np.median(own)), "mean": float(own.mean())}
    # How far apart two ways of typing are: published types, and temperatures as types.
    apart = []
    for label, own_code in zip(labels, truth, strict=True):
        if label is not None and label.class_mk:
            told = type_from_parameters(label.teff_k, label.logg_cgs)
            if told is not None and told.code is not None and np.isfinite(own_code):
                apart.append(abs(told.code - own_code))
    if apart:
        found["types of the published temperatures"] = {
            "spectra": len(apart), "median": float(np.median(apart)), "mean": float(np.mean(apart)),
        }  # fmt: skip
    return found


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("data", type=Path, help="labelled spectra")
    options.add_argument("--folds", type=int, default=5, metavar="N", help="(5)")
    options.add_argument("--members", type=int, default=2, metavar="N", help="networks (2)")
    options.add_argument("--architecture", choices=("cnn", "resnet"), default="resnet")
    options.add_argument("--seed", type=int, default=1, metavar="N", help="(1)")
    options.add_argument(
        "--models", type=Path, metavar="DIR",
        help="keep the models of the folds here, and use those that are here",
    )  # fmt: skip
    options.add_argument("--no-alignment", action="store_true", help="as of train")
    options.add_argument("--no-baselines", action="store_true", help="the model alone")
    arguments = options.parse_args()
    settings = RunSettings(
        preprocessing=Preprocessing(
            grid=LogGrid(3.55, 2e-4, 2048), mask_telluric=True, normalise=False
        ),
        network=Network(architecture=arguments.architecture),
        training=replace(TrainingSettings(), members=arguments.members),
        with_alignment=not arguments.no_alignment,
        seed=arguments.seed,
    )
    dataset = load_dataset(arguments.data, settings.preprocessing)
    truth, classes = np.asarray(dataset.names), class_order(dataset.names)
    groups = np.array(leakage_groups([item.keys for item in dataset.items]))
    # Classes with fewer stars than folds cannot be in each of them.
    warnings.simplefilter("ignore", UserWarning)
    splitter = StratifiedGroupKFold(arguments.folds, shuffle=True, random_state=arguments.seed)
    folds = list(splitter.split(truth, truth, groups))
    found = predictions(
        dataset, groups, folds, settings, classes, arguments.models, not arguments.no_baselines
    )
    rows = np.flatnonzero(np.isin(truth, list(SEQUENCE)))
    codes = dataset.codes
    subtype_known = rows[np.isfinite(codes[rows])]
    correct = {
        name: np.asarray(classes)[share.argmax(axis=1)] == truth
        for name, (share, _) in found.items()
    }
    result: dict[str, Any] = {"classifiers": {}}
    varied = list(changes(settings.preprocessing.grid))
    for name in [name for name in found if name not in varied]:
        share, code = found[name]
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
    result["robustness"] = compared(
        {name: correct[name][rows] for name in varied}, groups[rows], arguments.seed
    )
    result["subtype_errors"] = subtype_errors(dataset, rows, codes[rows], found[OURS][1][rows])
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
