"""What each part is worth: the same training without it, on the same split."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np

from sdss_spectra.dataset import Dataset, load_dataset
from sdss_spectra.evaluation import paired_difference
from sdss_spectra.labels.catalogue import Catalogue
from sdss_spectra.model.run import Run, RunSettings, train_on
from sdss_spectra.preprocessing.steps import Preprocessing
from sdss_spectra.survey import Account
from sdss_spectra.tables import column

__all__ = ["COLUMNS", "EXPERIMENTS", "run_ablation"]

logger = logging.getLogger(__name__)

COLUMNS: Final = (
    column("experiment", "string", "name of the experiment"),
    column("description", "string", "what differs from the baseline"),
    column("accuracy", "float64", "accuracy on the test set"),
    column("macro_f1", "float64", "mean F1 of the classes of the test set"),
    column("notes", "string", "spectra, stars, intervals over stars, seed"),
)


def _prepared(settings: RunSettings, **changes: Any) -> RunSettings:
    return replace(settings, preprocessing=replace(settings.preprocessing, **changes))


def _seen(settings: RunSettings, **changes: Any) -> RunSettings:
    return replace(settings, inputs=replace(settings.inputs, **changes))


EXPERIMENTS: Final[dict[str, tuple[str, Callable[[RunSettings], RunSettings]]]] = {
    "Baseline": ("all steps", lambda settings: settings),
    "No_QC": (
        "mask bits are not used",
        lambda settings: _prepared(settings, quality_control=False),
    ),
    "No_Normalisation": (
        "the network sees ln(flux) as it is, its running mean not taken off",
        lambda settings: _seen(settings, high_pass_dex=0.0),
    ),
    "Shape_Channel": (
        "the network sees the running mean of ln(flux) as well",
        lambda settings: _seen(settings, with_shape=True),
    ),
    "No_RV_Correction": (
        "velocities of the files are not taken out; lines are still aligned",
        lambda settings: _prepared(settings, rest_frame=False),
    ),
    "No_Alignment": (
        "spectra stay at the velocity of their file, their lines are not looked for",
        lambda settings: replace(settings, with_alignment=False),
    ),
    "No_ivar": (
        "pixels without ivar are kept, and the network knows neither errors nor gaps",
        lambda settings: replace(
            _prepared(settings, use_ivar=False),
            inputs=replace(settings.inputs, with_ivar=False, with_mask=False),
        ),
    ),
    "Wavelet": (
        "four scales of a stationary Haar transform as channels",
        lambda settings: _seen(settings, wavelets=True),
    ),
    "No_Templates": (
        "the network alone, without the mean spectra of subtypes",
        lambda settings: replace(settings, with_templates=False),
    ),
    "Plain_CNN": (
        "the convolutional network without residual blocks",
        lambda settings: replace(settings, network=replace(settings.network, architecture="cnn")),
    ),
    "No_Augmentation": (
        "only the spectra as they are",
        lambda settings: replace(settings, augmentation=None),
    ),
}


def run_ablation(
    data: Path,
    settings: RunSettings,
    *,
    catalogue: Catalogue | None,
    strip_prefix: str = "",
    strip_suffix: str = "",
    experiments: list[str] | None = None,
    workers: int = 1,
    failures: Path | None = None,
) -> tuple[list[dict[str, Any]], Account]:
    """Train once for each experiment.

    Parameters
    ----------
    data : Path
        Labelled spectra.
    settings : RunSettings
        Of the baseline.
    catalogue : Catalogue or None
        Labels.
    strip_prefix, strip_suffix : str, optional
        Removed from file stems.
    experiments : list of str, optional
        Which; all by default.
    workers : int, optional
        Local processes.
    failures : Path, optional
        ``failures.jsonl``.

    Returns
    -------
    rows : list of dict
        See `COLUMNS`. Accuracies are None if no spectra were held out.
    account : Account
        How reading went.
    """
    rows: list[dict[str, Any]] = []
    account = Account()
    baseline: dict[str, bool] | None = None
    kept: dict[Preprocessing, Dataset] = {}

    def cleaned(preprocessing: Preprocessing) -> Dataset:
        if preprocessing in kept:
            return kept[preprocessing]
        dataset = load_dataset(
            data,
            preprocessing,
            catalogue=catalogue,
            strip_prefix=strip_prefix,
            strip_suffix=strip_suffix,
            workers=workers,
            failures=failures,
        )
        # Most experiments clean the spectra as the baseline does; the others do so but once.
        if preprocessing == settings.preprocessing:
            kept[preprocessing] = dataset
        return dataset

    for name in experiments or list(EXPERIMENTS):
        description, change = EXPERIMENTS[name]
        changed = change(settings)
        dataset = cleaned(changed.preprocessing)
        account = dataset.account
        found = train_on(dataset, changed)
        test = found.test
        notes = "no spectra were held out"
        if test is not None:
            right, stars = _right(dataset, found)
            notes = _notes(found, settings.seed)
            if name == "Baseline":
                baseline = right
            elif baseline is not None:
                notes += f"; {_difference(right, baseline, stars, settings.seed)}"
            logger.info("%s: accuracy %.3f", name, test["accuracy"])
        rows.append(
            {
                "experiment": name,
                "description": description,
                "accuracy": None if test is None else test["accuracy"],
                "macro_f1": None if test is None else test["macro_f1"],
                "notes": notes,
            }
        )
    return rows, account


def _right(dataset: Dataset, found: Run) -> tuple[dict[str, bool], dict[str, str]]:
    """Whether each spectrum of the test set is classified correctly, and its star, by spec_id."""
    tested = [number for number, part in enumerate(found.parts) if part == "test"]
    chosen = dataset.subset(tested)
    shares, _ = found.model.predict(*chosen.arrays())
    predicted = np.asarray(found.model.bins.classes)[shares.argmax(axis=1)]
    names = [item.spec_id for item in chosen.items]
    right = [bool(a == b) for a, b in zip(predicted, chosen.names, strict=True)]
    return (
        dict(zip(names, right, strict=True)),
        {name: found.groups[n] for name, n in zip(names, tested, strict=True)},
    )


def _notes(found: Run, seed: int) -> str:
    test = found.test or {}
    low, high = test["accuracy_interval_95"] or (None, None)
    spread = "" if low is None else f", 95 % interval {low:.3f} to {high:.3f}"
    text = f"{test['spectra']} spectra of {test['stars']} stars{spread}, seed {seed}"
    checked = found.model.record["validation_accuracy"]
    return text if checked is None else f"{text}; accuracy on the validation set {checked:.3f}"


def _difference(
    right: Mapping[str, bool], baseline: Mapping[str, bool], stars: Mapping[str, str], seed: int
) -> str:
    """How much more often the experiment is right than the baseline, on the same spectra."""
    shared = [name for name in right if name in baseline]
    if not shared:
        return "no spectrum is in the baseline's test set too"
    found = paired_difference(
        np.array([right[name] for name in shared]),
        np.array([baseline[name] for name in shared]),
        [stars[name] for name in shared],
        seed=seed,
    )
    low, high = found["interval_95"] or (None, None)
    spread = "" if low is None else f" ({low:+.3f} to {high:+.3f})"
    return f"accuracy less the baseline's {found['difference']:+.3f}{spread}"
