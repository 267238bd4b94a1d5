"""A whole training: data, split, network, calibration, files."""

from __future__ import annotations

import logging
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize_scalar

from astro_common.errors import ConfigurationError, OutputError
from astro_common.provenance import versions
from sdss_spectra.dataset import Dataset
from sdss_spectra.evaluation import evaluate_predictions
from sdss_spectra.model.alignment import Alignment, fit_alignment
from sdss_spectra.model.architecture import Network
from sdss_spectra.model.augmentation import Augmentation
from sdss_spectra.model.bins import Bins, class_order
from sdss_spectra.model.files import Model, save_model
from sdss_spectra.model.inputs import InputSettings
from sdss_spectra.model.templates import fit_templates, log_flux
from sdss_spectra.model.training import History, Labelled, TrainingSettings, train_network
from sdss_spectra.preprocessing.steps import Preprocessing
from sdss_spectra.splits import split_rows, split_spectra, write_splits
from sdss_spectra.tables import column, write_table

__all__ = ["Run", "RunSettings", "fit_model", "labelled", "model_folder", "train_on", "write_run"]

logger = logging.getLogger(__name__)

MIN_SPECTRA = 5000
HISTORY_COLUMNS = (
    column("member", "int64", "network of the ensemble"),
    column("epoch", "int64", "pass over the training set"),
    column("loss", "float64", "mean loss on the augmented training set"),
    column("accuracy", "float64", "accuracy on the augmented training set"),
    column("val_loss", "float64", "loss on the validation set"),
    column("val_accuracy", "float64", "accuracy on the validation set"),
)


@dataclass(frozen=True)
class RunSettings:
    """Everything that decides a training, beside the data."""

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
    """What came of a training."""

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


@contextmanager
def model_folder(folder: Path, overwrite: bool) -> Iterator[None]:
    """Make the folder of a model, and take it away again if the block fails and it is empty.

    Raises
    ------
    OutputError
        It holds a model already, or is no folder.
    """
    if folder.exists() and not folder.is_dir():
        raise OutputError(folder, "not a folder", "a folder for the model")
    if not overwrite and (folder / "model.json").exists():
        raise OutputError(folder, "holds a model", action="give --overwrite to replace it")
    is_new = not folder.exists()
    folder.mkdir(parents=True, exist_ok=True)
    try:
        yield
    except BaseException:
        if is_new and not any(folder.iterdir()):
            folder.rmdir()
        raise


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
        ``train`` or ``validation``, of each spectrum; others are not looked at.
    settings : RunSettings
        How.
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
    # With whole plates in one part, a class may have none for training: it cannot be told then.
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
    """Split, train and judge on the test set.

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
    """Evaluate a model on labelled spectra."""
    probabilities, code = model.predict(*dataset.arrays())
    return evaluate_predictions(
        dataset.names,
        dataset.codes,
        probabilities,
        code,
        model.bins.classes,
        groups,
        signal_to_noise=[item.signal_to_noise for item in dataset.items],
        coverage=[float(1.0 - item.mask.mean()) for item in dataset.items],
        seed=seed,
    )


def _accuracy(model: Model, dataset: Dataset, keep: npt.NDArray[np.bool_]) -> float | None:
    if not keep.any():
        return None
    chosen = dataset.subset(np.flatnonzero(keep))
    told = model.predict(*chosen.arrays())[0].argmax(axis=1)
    return float(
        np.mean([model.bins.classes[k] == n for k, n in zip(told, chosen.names, strict=True)])
    )


def _temperature(model: Model, dataset: Dataset, keep: npt.NDArray[np.bool_]) -> float:
    """Temperature with which probabilities of the validation set are most likely.

    Guo et al. 2017, "On Calibration of Modern Neural Networks", ICML 34.
    """
    if keep.sum() < 10:
        return 1.0
    chosen = dataset.subset(np.flatnonzero(keep))
    arrays = chosen.arrays()
    truth = np.array([model.bins.classes.index(name) for name in chosen.names])

    def loss(log_temperature: float) -> float:
        model.temperature = float(np.exp(log_temperature))
        probabilities, _ = model.predict(*arrays)
        told = probabilities[np.arange(len(truth)), truth]
        return float(-np.log(np.maximum(told, 1e-9)).mean())

    found = minimize_scalar(
        loss, bounds=(np.log(0.25), np.log(4.0)), method="bounded", options={"maxiter": 15}
    )
    return float(round(np.exp(found.x), 4))


def write_run(folder: Path, run: Run) -> None:
    """Write splits, history and model into a folder, in place of what was there.

    All is written aside first. ``model.json`` marks the folder as complete: it goes first and comes
    last, so that no model ever lies beside the splits of another.
    """
    with tempfile.TemporaryDirectory(prefix=".", suffix=".partial", dir=folder) as name:
        aside = Path(name)
        write_splits(aside, run.rows, run.parts, overwrite=True)
        write_table(aside / "history.csv", HISTORY_COLUMNS, run.history.rows, overwrite=True)
        save_model(aside, run.model, overwrite=True)
        written = sorted(aside.iterdir(), key=lambda path: (path.name == "model.json", path.name))
        (folder / "model.json").unlink(missing_ok=True)
        for path in written:
            path.replace(folder / path.name)
