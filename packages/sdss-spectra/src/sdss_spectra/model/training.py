"""Training with TensorFlow."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from astro_common.errors import ConfigurationError
from sdss_spectra.model.architecture import Network
from sdss_spectra.model.augmentation import Augmentation, augment
from sdss_spectra.model.bins import Bins
from sdss_spectra.model.inputs import InputSettings, channels
from sdss_spectra.model.keras_network import build, load_tensorflow, ordered_weights

__all__ = ["History", "Labelled", "TrainingSettings", "train_network"]

Floats = npt.NDArray[np.float32]
DISTRIBUTIONS = ("none", "mirrored", "multi-worker")
MAX_MEMBERS = 50


@dataclass(frozen=True)
class TrainingSettings:
    """How a network is trained.

    Attributes
    ----------
    epochs, batch_size : int
        Passes over the training set, and spectra in a step.
    learning_rate : float
        Highest learning rate of AdamW; it falls along a cosine.
    weight_decay : float
        Weight decay of AdamW.
    patience : int
        Epochs without a better validation loss after which training ends; 0 never ends early.
    subtype_width : float
        Standard deviation of published subtypes, for the targets.
    class_weights : bool
        Weight classes by the inverse square root of their numbers.
    views : int
        Augmented versions of each spectrum in an epoch.
    members : int
        Networks trained from different starts whose predictions are averaged.
    mixed_precision : bool
        Compute in float16 where the accelerator has it.
    strategy : str
        ``none``, ``mirrored`` (all accelerators of the machine) or ``multi-worker``.
    """

    epochs: int = 35
    batch_size: int = 32
    learning_rate: float = 3e-3
    weight_decay: float = 1e-2
    patience: int = 15
    subtype_width: float = 1.0
    class_weights: bool = True
    views: int = 3
    members: int = 2
    mixed_precision: bool = False
    strategy: str = "none"

    def __post_init__(self) -> None:
        for option, value, good, expected in (
            ("--epochs", self.epochs, self.epochs >= 1, "at least 1"),
            ("--batch-size", self.batch_size, self.batch_size >= 1, "at least 1"),
            ("--learning-rate", self.learning_rate, 0 < self.learning_rate < 1, "0 to 1"),
            ("--subtype-width", self.subtype_width, self.subtype_width > 0, "above 0"),
            ("--views", self.views, self.views >= 1, "at least 1"),
            ("--members", self.members, 1 <= self.members <= MAX_MEMBERS, f"1 to {MAX_MEMBERS}"),
            ("--patience", self.patience, self.patience >= 0, "at least 0"),
            (
                "--strategy",
                self.strategy,
                self.strategy in DISTRIBUTIONS,
                " or ".join(DISTRIBUTIONS),
            ),
        ):
            if not good:
                raise ConfigurationError(option, str(value), expected)

    def as_dict(self) -> dict[str, Any]:
        """As JSON can hold it (dict)."""
        return asdict(self)


@dataclass
class History:
    """How a training went, epoch by epoch.

    Attributes
    ----------
    rows : list of dict
        ``member, epoch, loss, accuracy, val_loss, val_accuracy`` of each epoch.
    seconds, waiting_seconds : float
        Time of the training, and the part of it in which the network waited for its input.
    """

    rows: list[dict[str, Any]] = field(default_factory=list)
    seconds: float = 0.0
    waiting_seconds: float = 0.0


@dataclass(frozen=True)
class Labelled:
    """Spectra with classes, as arrays.

    Attributes
    ----------
    flux, ivar : ndarray of float32, shape (n, n_pixels)
    mask : ndarray of bool, shape (n, n_pixels)
    classes : ndarray of int64, shape (n,)
        Class numbers.
    code : ndarray of float64, shape (n,)
        Subtype codes; NaN where unknown.
    """

    flux: Floats
    ivar: Floats
    mask: npt.NDArray[np.bool_]
    classes: npt.NDArray[np.int64]
    code: npt.NDArray[np.float64]


def train_network(
    training: Labelled,
    validation: Labelled,
    *,
    loglam: npt.NDArray[np.float64],
    network: Network,
    inputs: InputSettings,
    bins: Bins,
    augmentation: Augmentation | None,
    settings: TrainingSettings,
    seed: int,
    on_epoch: Callable[[dict[str, Any]], None] | None = None,
) -> tuple[list[list[Floats]], History]:
    """Train the members of an ensemble.

    Parameters
    ----------
    training, validation : Labelled
        The spectra; the validation set may be empty, and early stopping is then off.
    loglam : ndarray of float64, shape (n_pixels,)
        The grid.
    network, inputs, bins, augmentation, settings
        What is trained, and how.
    seed : int
        Seed of all random numbers.
    on_epoch : callable, optional
        Takes the row of the history of each epoch.

    Returns
    -------
    weights : list of list of ndarray
        Of each member.
    history : History

    Raises
    ------
    ConfigurationError
        TensorFlow is not installed, or the loss diverges.
    """
    tf = load_tensorflow()
    tf.config.experimental.enable_op_determinism()
    if settings.mixed_precision:
        tf.keras.mixed_precision.set_global_policy("mixed_float16")
    history = History()
    start = time.perf_counter()
    weights = []
    try:
        for member in range(settings.members):
            tf.keras.backend.clear_session()
            # NumPy takes seeds below 2^32 alone.
            tf.keras.utils.set_random_seed((seed + 1009 * member) % 2**32)
            weights.append(
                _train_member(
                    tf,
                    member,
                    training,
                    validation,
                    loglam,
                    network,
                    inputs,
                    bins,
                    augmentation,
                    settings,
                    np.random.default_rng([seed, member]),
                    history,
                    on_epoch,
                )
            )
    finally:
        if settings.mixed_precision:
            tf.keras.mixed_precision.set_global_policy("float32")
    history.seconds = time.perf_counter() - start
    return weights, history


def _distribution(tf: Any, name: str) -> Any:
    if name == "mirrored":
        return tf.distribute.MirroredStrategy()
    if name == "multi-worker":
        return tf.distribute.MultiWorkerMirroredStrategy()
    return tf.distribute.get_strategy()


def _train_member(
    tf: Any,
    member: int,
    training: Labelled,
    validation: Labelled,
    loglam: npt.NDArray[np.float64],
    network: Network,
    inputs: InputSettings,
    bins: Bins,
    augmentation: Augmentation | None,
    settings: TrainingSettings,
    random: np.random.Generator,
    history: History,
    on_epoch: Callable[[dict[str, Any]], None] | None,
) -> list[Floats]:
    keras = tf.keras
    step = float(loglam[1] - loglam[0])
    member_bins = tf.constant(bins.membership, tf.float32)

    def class_accuracy(y_true: Any, logits: Any) -> Any:
        truth = tf.argmax(tf.matmul(y_true, member_bins), axis=-1)
        predicted = tf.argmax(tf.matmul(tf.nn.softmax(logits), member_bins), axis=-1)
        return tf.cast(tf.equal(truth, predicted), tf.float32)

    def loss(y_true: Any, logits: Any) -> Any:
        # Half for the subtype, half for the class, whose probability is a sum over bins.
        subtype = tf.nn.softmax_cross_entropy_with_logits(y_true, logits)
        truth = tf.matmul(y_true, member_bins)
        predicted = tf.matmul(tf.nn.softmax(logits), member_bins)
        classes = -tf.reduce_sum(truth * tf.math.log(predicted + 1e-7), axis=-1)
        return 0.5 * subtype + 0.5 * classes

    per_epoch = len(training.flux) * settings.views
    steps = max(1, -(-per_epoch // settings.batch_size))
    schedule = keras.optimizers.schedules.CosineDecay(
        settings.learning_rate / 20,
        steps * settings.epochs,
        alpha=0.01,
        warmup_target=settings.learning_rate,
        warmup_steps=steps * min(3, settings.epochs - 1),
    )
    with _distribution(tf, settings.strategy).scope():
        model = build(tf, network, (len(loglam), inputs.num_channels), len(bins.codes))
        model.compile(
            optimizer=keras.optimizers.AdamW(schedule, weight_decay=settings.weight_decay),
            loss=loss,
            metrics=[class_accuracy],
        )
    known = len(validation.flux) > 0
    checked = (
        channels(validation.flux, validation.ivar, validation.mask, step, inputs) if known else None
    )
    checked_target = bins.targets(validation.classes, validation.code, settings.subtype_width)
    class_weight = _class_weights(training.classes, len(bins.classes), settings.class_weights)

    def prepare() -> tuple[Floats, Floats, Floats]:
        return _epoch(training, loglam, inputs, bins, augmentation, settings, class_weight, random)

    best, best_loss, since = model.get_weights(), np.inf, 0
    with ThreadPoolExecutor(1) as pool:
        # The next epoch is made while the network learns from this one.
        coming = pool.submit(prepare)
        for epoch in range(settings.epochs):
            before = time.perf_counter()
            x, y, w = coming.result()
            history.waiting_seconds += time.perf_counter() - before
            if epoch + 1 < settings.epochs:
                coming = pool.submit(prepare)
            fitted = model.fit(
                x, y, sample_weight=w, batch_size=settings.batch_size, shuffle=False, verbose=0
            ).history
            if not np.isfinite(fitted["loss"][0]):
                raise ConfigurationError(
                    "--learning-rate",
                    f"the loss of epoch {epoch + 1} is not a number at {settings.learning_rate:g}",
                    "a training that converges",
                    "give a lower rate",
                )
            row = {
                "member": member,
                "epoch": epoch + 1,
                "loss": float(fitted["loss"][0]),
                "accuracy": float(fitted["class_accuracy"][0]),
                "val_loss": None,
                "val_accuracy": None,
            }
            if checked is not None:
                scores = model.evaluate(checked, checked_target, verbose=0, return_dict=True)
                row["val_loss"] = float(scores["loss"])
                row["val_accuracy"] = float(scores["class_accuracy"])
            history.rows.append(row)
            if on_epoch is not None:
                on_epoch(row)
            value = row["val_loss"] if row["val_loss"] is not None else -float(epoch)
            since += 1
            if value < best_loss:
                best, best_loss, since = model.get_weights(), value, 0
            if checked is not None and settings.patience and since >= settings.patience:
                break
    model.set_weights(best)
    return ordered_weights(model)


def _epoch(
    training: Labelled,
    loglam: npt.NDArray[np.float64],
    inputs: InputSettings,
    bins: Bins,
    augmentation: Augmentation | None,
    settings: TrainingSettings,
    class_weight: npt.NDArray[np.float32],
    random: np.random.Generator,
) -> tuple[Floats, Floats, Floats]:
    step = float(loglam[1] - loglam[0])
    views = []
    for _ in range(settings.views):
        flux, mask, code = training.flux, training.mask, training.code
        if augmentation is not None:
            flux, mask, code = augment(
                flux, mask, code, training.classes, loglam, augmentation, random
            )
        views.append(
            (
                channels(flux, training.ivar, mask, step, inputs),
                bins.targets(training.classes, code, settings.subtype_width),
                class_weight[training.classes],
            )
        )
    x, y, w = (np.concatenate(parts) for parts in zip(*views, strict=True))
    order = random.permutation(len(x))
    return x[order], y[order], w[order]


def _class_weights(
    classes: npt.NDArray[np.int64], count: int, wanted: bool
) -> npt.NDArray[np.float32]:
    if not wanted:
        return np.ones(count, np.float32)
    numbers = np.maximum(np.bincount(classes, minlength=count), 1)
    weights = 1.0 / np.sqrt(numbers)
    return np.asarray(weights / np.average(weights, weights=numbers), np.float32)
