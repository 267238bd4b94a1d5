"""Train the network with Lightning, choose its best epoch, and calibrate its verdicts."""

from __future__ import annotations

import logging
import signal
import threading
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

import lightning
import numpy as np
import torch
from lightning.pytorch.callbacks import Callback
from torch import Tensor
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset

from astro_common.errors import InputError
from cfht_iqa.classes import CLASSES
from cfht_iqa.model.augmentation import forgotten, resampled, turned
from cfht_iqa.model.inputs import CcdInputs
from cfht_iqa.model.network import IqaNetwork, NetworkConfiguration
from cfht_iqa.model.verdict import (
    by_exposure,
    fit_temperature,
    pooled_probabilities,
    rejection_threshold,
)

__all__ = ["Fitted", "Training", "class_weights", "fit_network", "log_probabilities"]

logger = logging.getLogger(__name__)

_BATCH: Final = 16
# Bins of each statistic: so fine that a limit is sharp, so coarse that noise does not make one.
_MOST_BINS: Final = 8
_EXPOSURES_PER_BIN: Final = 8


@dataclass(frozen=True)
class Training:
    """How the network is trained.

    Attributes
    ----------
    epochs : int
        At most.
    learning_rate, weight_decay : float
        Of AdamW.
    patience : int
        Epochs without a smaller loss in validation after which training ends.
    seed : int
        Of the first weights, of the order and of the augmentation.
    use_image, use_hits, use_statistics : bool
        Which inputs the network has.
    """

    epochs: int = 30
    learning_rate: float = 2e-3
    weight_decay: float = 1e-2
    patience: int = 15
    seed: int = 42
    use_image: bool = True
    use_hits: bool = True
    use_statistics: bool = True

    def as_json(self) -> dict[str, Any]:
        """The settings as a dict."""
        return asdict(self)


@dataclass(frozen=True, eq=False)
class Fitted:
    """A trained network with what its verdicts need.

    Attributes
    ----------
    network : IqaNetwork
        Set to predict.
    temperature, reject_below : float
        See `cfht_iqa.model.verdict`.
    record : dict
        Losses by epoch and the like.
    """

    network: IqaNetwork
    temperature: float
    reject_below: float
    record: dict[str, Any]


def class_weights(classes: Sequence[int]) -> Tensor:
    """Inverse frequency of each class, with mean 1 over the samples; 0 for one that is absent."""
    counts = np.bincount(classes, minlength=len(CLASSES)).astype(np.float64)
    inverse = np.divide(1.0, counts, out=np.zeros_like(counts), where=counts > 0)
    scale = len(classes) / max(float((inverse * counts).sum()), 1e-9)
    return torch.tensor(inverse * scale, dtype=torch.float32)


class _Module(lightning.LightningModule):
    def __init__(self, network: IqaNetwork, weights: Tensor, training: Training) -> None:
        super().__init__()
        self.network = network
        self.training_settings = training
        self.register_buffer("class_weight", weights)
        self.losses: list[float] = []

    def training_step(self, batch: Any, _index: int) -> Tensor:
        image, hits, statistics, label = batch
        # Some of the tiles, so that no single group decides, nor how many are filled.
        n_clusters = self.network.configuration.n_clusters
        count = int(torch.randint(1 + n_clusters // 6, 1 + (n_clusters + 1) // 2, ()))
        tiles = torch.randperm(n_clusters)[:count]
        hits = resampled(hits, n_clusters)
        statistics = forgotten(statistics)
        logits = self.network(turned(image), hits, statistics, tiles)
        weight: Any = self.class_weight
        loss = functional.cross_entropy(logits, label, weight=weight, label_smoothing=0.03)
        self.losses.append(float(loss.detach()))
        return loss

    def configure_optimizers(self) -> Any:
        settings = self.training_settings
        optimizer = torch.optim.AdamW(
            self.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay
        )
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(
            optimizer, settings.epochs, settings.learning_rate / 50.0
        )
        return {"optimizer": optimizer, "lr_scheduler": schedule}


class _BestEpoch(Callback):
    """Keeps the weights of the epoch with the least loss in validation."""

    def __init__(self, inputs: CcdInputs, classes: Sequence[int], patience: int) -> None:
        self._inputs = inputs
        self._classes = np.array(classes)
        self._patience = patience
        self.history: list[dict[str, float]] = []
        self.best = np.inf
        self.best_epoch = -1
        self.state: dict[str, Tensor] = {}

    def on_train_epoch_end(self, trainer: lightning.Trainer, module: Any) -> None:
        losses, module.losses = module.losses, []
        loss = float(np.mean(losses))
        row = {"train_loss": loss}
        if len(self._inputs):
            logs = log_probabilities(module.network, self._inputs)
            loss = -float(logs[np.arange(len(logs)), self._classes].mean())
            row["validation_loss"] = loss
            module.network.train()
        self.history.append(row)
        logger.debug("epoch %d: %s", len(self.history), row)
        if loss < self.best:
            self.best, self.best_epoch = loss, len(self.history)
            self.state = {
                name: value.detach().clone() for name, value in module.network.state_dict().items()
            }
        if len(self.history) - self.best_epoch >= self._patience:
            trainer.should_stop = True


def fit_network(
    inputs: CcdInputs,
    labels: Mapping[str, str],
    splits: Mapping[str, str],
    n_clusters: int,
    training: Training,
) -> Fitted:
    """Train a network.

    Parameters
    ----------
    inputs : CcdInputs
        CCDs of all exposures.
    labels : mapping of str to str
        Class by exposure.
    splits : mapping of str to str
        ``train`` and ``validation`` are used.
    n_clusters : int
        Tiles of an image.
    training : Training
        Settings.

    Returns
    -------
    Fitted

    Raises
    ------
    InputError
        If there is no CCD to train on, or of one class alone.
    """
    rows = {
        split: [
            row
            for row, name in enumerate(inputs.exposures)
            if splits.get(name) == split and name in labels
        ]
        for split in ("train", "validation")
    }
    classes = {
        split: [CLASSES.index(labels[inputs.exposures[row]]) for row in chosen]
        for split, chosen in rows.items()
    }
    if len(set(classes["train"])) < 2:
        raise InputError(
            "training split",
            f"{len(rows['train'])} CCDs of {len(set(classes['train']))} classes",
            "CCDs of two classes at least",
        )
    n_exposures = len({inputs.exposures[row] for row in rows["train"]})
    configuration = NetworkConfiguration(
        n_clusters,
        inputs.hits.shape[1] - n_clusters,
        bins=min(_MOST_BINS, n_exposures // _EXPOSURES_PER_BIN),
        use_image=training.use_image,
        use_hits=training.use_hits,
        use_statistics=training.use_statistics,
    )
    validation = inputs.take(rows["validation"])
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(training.seed)
        network = IqaNetwork(configuration)
        network.statistics_encoding.fit(torch.from_numpy(inputs.statistics[rows["train"]]))
        module = _Module(network, class_weights(classes["train"]), training)
        best = _BestEpoch(validation, classes["validation"], training.patience)
        _run(module, best, inputs.take(rows["train"]), classes["train"], training)
    network.load_state_dict(best.state)
    network.eval()
    temperature, threshold = _calibrated(network, validation, labels)
    record = {
        "settings": training.as_json(),
        "n_train_ccds": len(rows["train"]),
        "n_validation_ccds": len(rows["validation"]),
        "best_epoch": best.best_epoch,
        "history": best.history,
    }
    return Fitted(network, temperature, threshold, record)


def _run(
    module: _Module,
    best: _BestEpoch,
    inputs: CcdInputs,
    classes: Sequence[int],
    training: Training,
) -> None:
    data = TensorDataset(
        torch.from_numpy(inputs.images),
        torch.from_numpy(inputs.hits),
        torch.from_numpy(inputs.statistics),
        torch.tensor(classes),
    )
    order = torch.Generator().manual_seed(training.seed)
    # Batch normalisation cannot learn from a batch of one.
    drop = len(data) % _BATCH == 1
    loader = DataLoader(data, _BATCH, shuffle=True, generator=order, drop_last=drop)
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        # Lightning's advice on workers and logging, and deprecations inside it, are not ours.
        warnings.simplefilter("ignore")
        trainer = lightning.Trainer(
            max_epochs=training.epochs,
            accelerator="cpu",
            devices=1,
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            num_sanity_val_steps=0,
            callbacks=[best],
        )
        handler = signal.getsignal(signal.SIGINT)
        try:
            trainer.fit(module, loader)
        except SystemExit as error:
            # So Lightning ends on Ctrl-C, deaf to further signals; the command has its own way.
            raise KeyboardInterrupt from error
        finally:
            if threading.current_thread() is threading.main_thread():
                signal.signal(signal.SIGINT, handler)


def log_probabilities(network: IqaNetwork, inputs: CcdInputs) -> np.ndarray[Any, Any]:
    """Log-probabilities of CCDs; ndarray of float64, shape (n, 5)."""
    network.eval()
    parts = []
    with torch.no_grad():
        for start in range(0, len(inputs), 64):
            rows = slice(start, start + 64)
            logits = network(
                torch.from_numpy(inputs.images[rows]),
                torch.from_numpy(inputs.hits[rows]),
                torch.from_numpy(inputs.statistics[rows]),
            )
            parts.append(torch.log_softmax(logits.double(), dim=1).numpy())
    return np.concatenate(parts) if parts else np.empty((0, len(CLASSES)))


def _calibrated(
    network: IqaNetwork, validation: CcdInputs, labels: Mapping[str, str]
) -> tuple[float, float]:
    if not len(validation):
        return 1.0, 0.5
    logs = log_probabilities(network, validation)
    rows = by_exposure(validation.exposures)
    classes = [CLASSES.index(labels[name]) for name in rows]
    means = [logs[places] for places in rows.values()]
    temperature = fit_temperature(means, classes)
    pooled = np.stack([pooled_probabilities(part, temperature) for part in means])
    right = pooled.argmax(axis=1) == np.array(classes)
    return temperature, rejection_threshold(pooled.max(axis=1), right)
