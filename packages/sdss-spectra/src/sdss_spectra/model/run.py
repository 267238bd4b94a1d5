"""A whole training: split, alignment, networks, templates, calibration, test."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize_scalar

from astro_common.errors import ConfigurationError
from astro_common.provenance import versions
from sdss_spectra.dataset import Dataset
from sdss_spectra.evaluation import evaluate_predictions
from sdss_spectra.model.alignment import Alignment, fit_alignment
from sdss_spectra.model.architecture import Network
from sdss_spectra.model.augmentation import Augmentation
from sdss_spectra.model.bins import Bins, class_order
from sdss_spectra.model.classifier import Model, calibrated
from sdss_spectra.model.inputs import InputSettings
from sdss_spectra.model.templates import fit_templates, log_flux
from sdss_spectra.model.training import History, Labelled, TrainingSettings, train_network
from sdss_spectra.preprocessing.steps import Preprocessing
from sdss_spectra.splits import split_rows, split_spectra

__all__ = [
    "Run",
    "RunSettings",
    "class_lines",
    "fit_model",
    "judge",
    "labelled",
    "train_on",
    "warn_of_size",
]

logger = logging.getLogger(__name__)

MIN_SPECTRA = 5000


@dataclass(frozen=True)
class RunSettings:
    """All settings of a training.

    Attributes
    ----------
    preprocessing, network, inputs, training
        How spectra are cleaned and seen, and what is trained how.
    augmentation : Augmentation or None
        How training spectra are varied; None: not at all.
    with_templates, with_alignment : bool
        Whether mean spectra are averaged in, and velocities found from the lines.
    group_by : str
        What a split keeps together, see `sdss_spectra.splits.GROUPINGS`.
    validation_fraction, test_fraction : float
        Fractions of the spectra.
    seed : int
        Seed of all random numbers.
    """

    preprocessing: Preprocessing
    network: Network = field(default_factory=Network)
    inputs: InputSettings = field(default_factory=InputSettings)
    training: TrainingSettings = field(default_factory=TrainingSettings)
    augmentation: Augmentation | None = field(default_factory=Augmentation)
    with_templates: bool = True
    with_alignment: bool = True
    group_by: str = "star"
    validation_fraction: float = 0.15
    test_fraction: float = 0.2
    seed: int = 42


@dataclass
class Run:
    """The outcome of a training.

    Attributes
    ----------
    model : Model
        The classifier.
    history : History
        Its learning curves.
    rows : list of dict
        Rows of the split tables, see `sdss_spectra.splits.COLUMNS`.
    groups, parts : list of str
        Leakage group and part of each spectrum.
    test : dict or None
        Scores on the test set, see `evaluate_predictions`; None without one.
    """

    model: Model
    history: History
    rows: list[dict[str, Any]]
    groups: list[str]
    parts: list[str]
    test: dict[str, Any] | None


def class_lines(names: list[str]) -> list[str]:
    """``class: count`` lines, hot classes first."""
    counts = Counter(names)
    return [f"{name}: {counts[name]}" for name in class_order(names)]


def warn_of_size(names: list[str]) -> None:
    """Warn of few spectra and of unequal classes, before time is spent."""
    counts = Counter(names)
    if len(names) < MIN_SPECTRA:
        logger.warning(
            "only %d labelled spectra; at least %d are recommended, spread over the classes, so "
            "that rare ones are not drowned",
            len(names),
            MIN_SPECTRA,
        )
    if counts and max(counts.values()) > 5 * min(counts.values()):
        low, high = min(counts, key=lambda n: (counts[n], n)), max(counts, key=lambda n: counts[n])
        logger.warning(
            "the classes are unbalanced: %d of %s and %d of %s",
            counts[high], high, counts[low], low,
        )  # fmt: skip


def labelled(dataset: Dataset, classes: tuple[str, ...], keep: npt.NDArray[np.bool_]) -> Labelled:
    """The arrays of some items."""
    chosen = dataset.subset(np.flatnonzero(keep))
    if not len(chosen):
        n_pixels = len(dataset.items[0].flux)
        empty = np.zeros((0, n_pixels), np.float32)
        none = np.zeros(0, np.int64)
        return Labelled(empty, empty, np.zeros((0, n_pixels), bool), none, np.zeros(0))
    flux, ivar, mask = chosen.arrays()
    numbers = np.array([classes.index(name) for name in chosen.names], np.int64)
    return Labelled(flux, ivar, mask, numbers, chosen.codes)


def _aligned(alignment: Alignment, of: Labelled) -> Labelled:
    flux, ivar, mask = alignment.aligned(of.flux, of.ivar, of.mask)
    return replace(of, flux=flux, ivar=ivar, mask=mask)


def fit_model(
    dataset: Dataset,
    part: npt.NDArray[np.str_],
    settings: RunSettings,
    *,
    on_epoch: Callable[[dict[str, Any]], None] | None = None,
) -> tuple[Model, History]:
    """Find the mean lines, train the networks and average the templates on a split that is given.

    Parameters
    ----------
    dataset : Dataset
        Labelled spectra.
    part : ndarray of str, shape (n,)
        ``train`` or ``validation`` for each spectrum; others are not used.
    settings : RunSettings
        How the model is trained.
    on_epoch : callable, optional
        Takes the row of the history of each epoch.

    Raises
    ------
    ConfigurationError
        Fewer than two classes in the training set.
    """
    classes = tuple(
        class_order([n for n, of in zip(dataset.names, part, strict=True) if of == "train"])
    )
    if len(classes) < 2:
        raise ConfigurationError(
            "train", f"spectra of {len(classes)} class for training", "at least two classes"
        )
    # With whole plates in one part, a class may have no training spectra: it cannot be predicted.
    known = np.array([name in classes for name in dataset.names])
    grid = settings.preprocessing.grid
    training = labelled(dataset, classes, (part == "train") & known)
    validation = labelled(dataset, classes, (part == "validation") & known)
    alignment = None
    if settings.with_alignment:
        alignment = fit_alignment(
            training.flux, training.mask, training.classes, training.code, grid.loglam_step
        )
        training, validation = (_aligned(alignment, of) for of in (training, validation))
    bins = Bins(classes)
    weights, history = train_network(
        training,
        validation,
        loglam=grid.loglam,
        network=settings.network,
        inputs=settings.inputs,
        bins=bins,
        augmentation=settings.augmentation,
        settings=settings.training,
        seed=settings.seed,
        on_epoch=on_epoch,
    )
    model = Model(
        settings.network, settings.inputs, bins, settings.preprocessing, weights,
        alignment=alignment,
        known_stars=[
            item.keys
            for item, of in zip(dataset.items, part, strict=True)
            if of in ("train", "validation")
        ],
    )  # fmt: skip
    if settings.with_templates:
        values, known_pixels = log_flux(training.flux, training.mask)
        model.templates = fit_templates(values, known_pixels, training.classes, training.code)
    model.temperature = _temperature(model, dataset, (part == "validation") & known)
    return model, history


def train_on(
    dataset: Dataset,
    settings: RunSettings,
    *,
    on_epoch: Callable[[dict[str, Any]], None] | None = None,
) -> Run:
    """Split, train and evaluate on the test set.

    Raises
    ------
    ConfigurationError
        Fewer than two classes in the training set.
    """
    rows, groups = split_rows(dataset, settings.group_by, settings.seed)
    parts = split_spectra(
        dataset.names,
        groups,
        validation_fraction=settings.validation_fraction,
        test_fraction=settings.test_fraction,
        seed=settings.seed,
    )
    part = np.array(parts)
    model, history = fit_model(dataset, part, settings, on_epoch=on_epoch)
    model.record = {
        "versions": versions("sdss-spectra"),
        "seed": settings.seed,
        "group_by": settings.group_by,
        "validation_fraction": settings.validation_fraction,
        "test_fraction": settings.test_fraction,
        "training": settings.training.as_dict(),
        "augmentation": None if settings.augmentation is None else settings.augmentation.as_dict(),
        "validation_accuracy": _accuracy(model, dataset, part == "validation"),
        "spectra": {name: int((part == name).sum()) for name in ("train", "validation", "test")},
        "class_counts": dict(Counter(dataset.names)),
        "test_groups": sorted({g for g, of in zip(groups, parts, strict=True) if of == "test"}),
    }
    tested = np.flatnonzero(part == "test")
    test = None
    if len(tested):
        chosen = dataset.subset(tested)
        test = judge(model, chosen, [groups[n] for n in tested], seed=settings.seed)
    model.record["test"] = test
    return Run(model, history, rows, groups, parts, test)


def judge(model: Model, dataset: Dataset, groups: list[str], *, seed: int) -> dict[str, Any]:
    """Evaluate a model on labelled spectra; see `evaluate_predictions`.

    Parameters
    ----------
    model : Model
        Trained.
    dataset : Dataset
        Labelled spectra, cleaned as the model expects.
    groups : list of str
        Star of each spectrum.
    seed : int
        Seed of the bootstrap.
    """
    probabilities, code = model.predict(*dataset.arrays())
    return evaluate_predictions(
        dataset.names,
        dataset.codes,
        probabilities,
        code,
        model.bins.classes,
        groups,
        signal_to_noise=dataset.signal_to_noise,
        coverage=dataset.coverage,
        seed=seed,
    )


def _accuracy(model: Model, dataset: Dataset, keep: npt.NDArray[np.bool_]) -> float | None:
    if not keep.any():
        return None
    chosen = dataset.subset(np.flatnonzero(keep))
    predicted = model.predict(*chosen.arrays())[0].argmax(axis=1)
    return float(
        np.mean([model.bins.classes[k] == n for k, n in zip(predicted, chosen.names, strict=True)])
    )


def _temperature(model: Model, dataset: Dataset, keep: npt.NDArray[np.bool_]) -> float:
    """Temperature that makes the classes of the validation set most likely.

    Guo et al. 2017, "On Calibration of Modern Neural Networks", ICML 34.
    """
    if keep.sum() < 10:
        return 1.0
    chosen = dataset.subset(np.flatnonzero(keep))
    bins = model.uncalibrated(*chosen.arrays())
    membership = model.bins.membership
    truth = np.array([model.bins.classes.index(name) for name in chosen.names])

    def loss(log_temperature: float) -> float:
        shares = calibrated(bins, membership, float(np.exp(log_temperature))) @ membership
        of_truth = shares[np.arange(len(truth)), truth]
        return float(-np.log(np.maximum(of_truth, 1e-9)).mean())

    found = minimize_scalar(
        loss, bounds=(np.log(0.25), np.log(4.0)), method="bounded", options={"maxiter": 15}
    )
    return float(round(np.exp(found.x), 4))
