"""Training with PyTorch Lightning."""

from __future__ import annotations

import json
import logging
import math
import time
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import lightning
import numpy as np
import torch
from lightning.pytorch.callbacks import EarlyStopping, ModelCheckpoint, Timer
from torch.optim.lr_scheduler import ReduceLROnPlateau
from torch.utils.data import DataLoader

from astro_common.atomic import atomic_path
from astro_common.errors import OutputError
from manga_ssftt.checkpoints import (
    CONFIGURATION_KEY,
    SCHEMA_VERSION,
    build_network,
    export_weights,
)
from manga_ssftt.heads import interpret, loss
from manga_ssftt.model.ssftt import SpectralStem
from manga_ssftt.patch_loader import DEFAULT_POOL_BYTES, Batch, PatchLoader, Recipe, Sample
from manga_ssftt.targets import Target
from manga_ssftt.training_statistics import Statistics

__all__ = ["BEST_NAME", "HISTORY_NAME", "LAST_NAME", "Training", "train"]

logger = logging.getLogger(__name__)

BEST_NAME: Final = "best.ckpt"
LAST_NAME: Final = "last.ckpt"
HISTORY_NAME: Final = "history.json"
# Share of a cosine schedule in which the rate grows to its full value.
_WARM_UP: Final = 0.05
# Of which a stem's principal components are found.
_MAX_STEM_SPECTRA: Final = 8192


@dataclass(frozen=True)
class Training:
    """How to train.

    Attributes
    ----------
    architecture : str
        Of `checkpoints.ARCHITECTURES`.
    epochs, batch_size : int
    max_time_s : float or None
        Training ends after this time; a cosine schedule then ends with it.
    learning_rate, weight_decay, dropout : float
    schedule : {"cosine", "plateau"}
    balance : {"none", "weights", "sampling"}
        What is done about rare classes.
    augment : bool
        Turn and mirror patches.
    patience : int
        Epochs without a better validation score after which training stops; 0 never stops.
    seed : int
    precision : str
        ``32-true`` or ``bf16-mixed``.
    accelerator, strategy : str
    devices : int
        As Lightning takes them.
    pool_bytes : int
        See `PatchLoader`.
    resume : bool
        Go on from the last checkpoint in the folder.
    """

    architecture: str = "ssftt"
    epochs: int = 50
    batch_size: int = 128
    max_time_s: float | None = None
    learning_rate: float = 1e-3
    weight_decay: float = 1e-4
    dropout: float = 0.1
    schedule: str = "cosine"
    balance: str = "none"
    augment: bool = True
    patience: int = 0
    seed: int = 1
    precision: str = "32-true"
    accelerator: str = "auto"
    strategy: str = "auto"
    devices: int = 1
    pool_bytes: int = DEFAULT_POOL_BYTES
    resume: bool = False


class PatchModule(lightning.LightningModule):
    """A network with its loss, optimiser and validation score.

    Parameters
    ----------
    configuration : dict
        Plain values alone, so that the checkpoint can be read with ``weights_only=True``.
    training : Training
    statistics : Statistics, optional
        Kept in the checkpoint.
    class_weights : sequence of float, optional
    """

    def __init__(
        self,
        configuration: dict[str, Any],
        training: Training,
        statistics: Statistics | None = None,
        class_weights: Sequence[float] | None = None,
    ) -> None:
        super().__init__()
        self.save_hyperparameters({CONFIGURATION_KEY: configuration})
        self.target = Target.from_json(configuration["target"])
        self.training_recipe = training
        self.network = build_network(
            configuration["architecture"],
            configuration["n_bands"],
            configuration["patch_size"],
            self.target.n_outputs,
            training.dropout,
        )
        if statistics is not None:
            for name in ("mean", "std", "components"):
                values = torch.from_numpy(np.array(getattr(statistics, name)))
                self.register_buffer(f"stats_{name}", values)
        weights = None if class_weights is None else torch.tensor(class_weights)
        self.class_weights: torch.Tensor | None
        self.register_buffer("class_weights", weights, persistent=False)
        self.history: list[dict[str, float]] = []
        self._started = time.monotonic()
        self._sums: dict[str, float] = {}

    def forward(self, patches: torch.Tensor) -> torch.Tensor:
        """Outputs of the network."""
        result: torch.Tensor = self.network(patches)
        return result

    def training_step(self, batch: Batch, _index: int) -> torch.Tensor:
        """Loss of a batch."""
        patches, index, value = batch
        weights = self.class_weights
        found = loss(self(patches.to(self.dtype)), index, value, self.target, weights)
        self._add("train_loss", float(found.detach()) * len(index), len(index))
        return found

    def validation_step(self, batch: Batch, _index: int) -> None:
        """Collect loss and score of a batch."""
        patches, index, value = batch
        outputs = self(patches.to(self.dtype))
        self._add("val_loss", float(loss(outputs, index, value, self.target)) * len(index),
                  len(index))  # fmt: skip
        found = interpret(outputs, self.target)
        hits = (found.probability.argmax(dim=1) == index).sum()
        self._add("val_accuracy", float(hits), len(index))
        if found.log_oh is not None:
            known = torch.isfinite(value)
            error = torch.abs(found.log_oh[known] - value[known])
            self._add("val_mae_dex", float(error.sum()), int(known.sum()))

    def _add(self, name: str, total: float, count: int) -> None:
        self._sums[name] = self._sums.get(name, 0.0) + total
        self._sums[f"n_{name}"] = self._sums.get(f"n_{name}", 0.0) + count

    def on_validation_epoch_end(self) -> None:
        """Log the score that decides which epoch is best: larger is better."""
        if self.trainer.sanity_checking:
            self._sums.clear()
            return
        totals = torch.tensor(
            [self._sums.get(key, 0.0) for key in _SUM_KEYS], dtype=torch.float64,
            device=self.device if self.device.type != "mps" else "cpu",
        )  # fmt: skip
        totals = self.trainer.strategy.reduce(totals, reduce_op="sum")
        found = {
            name: float(totals[place] / totals[place + 1])
            for name, place in zip(_SUM_KEYS[::2], range(0, len(totals), 2), strict=True)
            if totals[place + 1] > 0
        }
        regression = self.target.task == "logOH" and self.target.head != "classification"
        score = -found["val_mae_dex"] if regression else found.get("val_accuracy", 0.0)
        if self.target.task == "joint" and "val_mae_dex" in found:
            score -= found["val_mae_dex"] / self.target.scale
        self.log("val_score", score, sync_dist=False)
        self._sums.clear()
        rate = float(self.optimizers(use_pl_optimizer=False).param_groups[0]["lr"])  # type: ignore[union-attr]
        self.history.append({"epoch": self.current_epoch, "learning_rate": rate, **found})
        if self.trainer.is_global_zero:
            parts = ", ".join(f"{name} {value:.4g}" for name, value in found.items())
            logger.info("epoch %d: %s", self.current_epoch + 1, parts)

    def on_train_batch_start(self, _batch: Batch, index: int) -> None:
        """Set the rate of a cosine schedule, by epochs or by time, whichever is further."""
        recipe = self.training_recipe
        if recipe.schedule != "cosine":
            return
        count = max(float(self.trainer.num_training_batches), 1.0)
        progress = (self.current_epoch + index / count) / recipe.epochs
        if recipe.max_time_s is not None:
            progress = max(progress, (time.monotonic() - self._started) / recipe.max_time_s)
        rate = 0.5 * (1.0 + math.cos(math.pi * min(progress, 1.0)))
        rate *= min(1.0, (progress + 1e-3) / _WARM_UP)
        for group in self.optimizers(use_pl_optimizer=False).param_groups:  # type: ignore[union-attr]
            group["lr"] = recipe.learning_rate * rate

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep the curves, so that a resumed run goes on with them."""
        checkpoint["history"] = self.history

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Take up the curves of the run that is resumed."""
        self.history = list(checkpoint.get("history", []))

    def configure_optimizers(self) -> Any:
        """Adam with weight decay on weights, not on biases, norms and tokens."""
        decayed = [p for p in self.network.parameters() if p.ndim > 1]
        free = [p for p in self.network.parameters() if p.ndim <= 1]
        optimizer = torch.optim.AdamW(
            [
                {"params": decayed, "weight_decay": self.training_recipe.weight_decay},
                {"params": free, "weight_decay": 0.0},
            ],
            lr=self.training_recipe.learning_rate,
        )
        if self.training_recipe.schedule == "cosine":
            return optimizer
        scheduler = ReduceLROnPlateau(optimizer, mode="max", factor=0.3, patience=8)
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": scheduler, "monitor": "val_score"},
        }


_SUM_KEYS: Final = tuple(
    key
    for name in ("train_loss", "val_loss", "val_accuracy", "val_mae_dex")
    for key in (name, f"n_{name}")
)


class PatchData(lightning.LightningDataModule):
    """Loaders of the training and the validation patches, made once the ranks are known."""

    def __init__(
        self,
        training_samples: Sequence[Sample],
        validation_samples: Sequence[Sample],
        recipe: Recipe,
        target: Target,
        training: Training,
    ) -> None:
        super().__init__()
        self._samples = (training_samples, validation_samples)
        self._recipe, self._target, self._training = recipe, target, training

    def _loader(self, samples: Sequence[Sample], *, train: bool) -> Any:
        trainer = self.trainer
        loader = PatchLoader(
            samples,
            self._recipe,
            self._target,
            self._training.batch_size,
            shuffle=train,
            balanced=train and self._training.balance == "sampling",
            augment=train and self._training.augment,
            seed=self._training.seed,
            pool_bytes=self._training.pool_bytes,
            reuse=True,
            rank=0 if trainer is None else trainer.global_rank,
            world=1 if trainer is None else trainer.world_size,
        )
        # A batch is ready made; the loader's workers would only copy it between processes.
        return DataLoader(_Iterable(loader), batch_size=None, num_workers=0)

    def train_dataloader(self) -> Any:
        """Batches in random order."""
        return self._loader(self._samples[0], train=True)

    def val_dataloader(self) -> Any:
        """Batches in order."""
        return self._loader(self._samples[1], train=False)


class _Iterable(torch.utils.data.IterableDataset[Batch]):
    def __init__(self, loader: PatchLoader) -> None:
        self._loader = loader

    def __iter__(self) -> Any:
        return iter(self._loader)

    def __len__(self) -> int:
        return len(self._loader)


def train(
    training_samples: Sequence[Sample],
    validation_samples: Sequence[Sample],
    recipe: Recipe,
    target: Target,
    training: Training,
    folder: Path,
    *,
    window: tuple[float, float],
    overwrite: bool = False,
) -> dict[str, Any]:
    """Train a network.

    Parameters
    ----------
    training_samples, validation_samples : sequence of Sample
    recipe : Recipe
    target : Target
    training : Training
    folder : Path
        Where ``best.ckpt``, ``last.ckpt``, ``best.safetensors`` and ``history.json`` go.
    window : (float, float)
        Rest-frame wavelength of the first and the last pixel, angstrom.
    overwrite : bool, optional
        Replace a model that is there.

    Returns
    -------
    dict
        ``is_first_rank``, ``checkpoint``, ``epochs``, ``best_score``, ``n_parameters``,
        ``n_train`` and ``n_val``.

    Raises
    ------
    OutputError
        If a model is there, and neither replaced nor resumed, or a file cannot be written.
    KeyboardInterrupt
        On Ctrl-C; ``last.ckpt`` is that of the last whole epoch.
    """
    best, last = folder / BEST_NAME, folder / LAST_NAME
    if best.exists() and not (overwrite or training.resume):
        raise OutputError(
            best, "the file exists", action="give --overwrite to replace it, or --resume to go on"
        )
    folder.mkdir(parents=True, exist_ok=True)
    if not training.resume:
        for path in (best, last):
            path.unlink(missing_ok=True)
    lightning.seed_everything(training.seed, verbose=False)
    n_wave = training_samples[0].shape[2]
    loader = PatchLoader(
        training_samples,
        recipe,
        target,
        training.batch_size,
        shuffle=True,
        seed=training.seed,
        pool_bytes=training.pool_bytes,
    )
    configuration: dict[str, Any] = {
        "schema_version": SCHEMA_VERSION,
        "architecture": training.architecture,
        "n_bands": loader.n_bands,
        "patch_size": recipe.patch_size,
        "dropout": training.dropout,
        "norm": recipe.norm,
        "target": target.as_json(),
        "window": [float(value) for value in window],
        "n_wave": n_wave,
        "training_plateifus": sorted(sample.plateifu for sample in training_samples),
        "seed": training.seed,
    }
    weights = _class_weights(training_samples, target) if training.balance == "weights" else None
    module = PatchModule(configuration, training, recipe.statistics, weights)
    stem = getattr(module.network, "stem", None)
    if isinstance(stem, SpectralStem):
        stem.initialise(_centre_spectra(loader))
    data = PatchData(training_samples, validation_samples, recipe, target, training)
    checkpoint = ModelCheckpoint(
        dirpath=folder,
        filename=Path(BEST_NAME).stem,
        monitor="val_score",
        mode="max",
        save_top_k=1,
        save_last=True,
        enable_version_counter=False,
    )
    callbacks: list[Any] = [checkpoint]
    if training.max_time_s is not None:
        callbacks.append(Timer(timedelta(seconds=training.max_time_s), verbose=False))
    if training.patience:
        callbacks.append(EarlyStopping("val_score", mode="max", patience=training.patience))
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        # Advice about workers, loggers and folders that does not apply here.
        warnings.filterwarnings("ignore", module="lightning")
        warnings.filterwarnings("ignore", message=".*LeafSpec.*")
        trainer = lightning.Trainer(
            max_epochs=training.epochs,
            accelerator=training.accelerator,
            strategy=training.strategy,
            devices=training.devices,
            precision=training.precision,  # type: ignore[arg-type]
            logger=False,
            callbacks=callbacks,
            enable_progress_bar=False,
            enable_model_summary=False,
            num_sanity_val_steps=0,
            use_distributed_sampler=False,
        )
        resume_from = str(last) if training.resume and last.exists() else None
        trainer.fit(module, datamodule=data, ckpt_path=resume_from, weights_only=True)
        if trainer.interrupted:
            raise KeyboardInterrupt
        if not best.exists():  # the time was over before the first validation
            trainer.save_checkpoint(best)
    if trainer.is_global_zero:
        export_weights(best, folder / "best.safetensors")
        with atomic_path(folder / HISTORY_NAME, overwrite=True) as partial:
            partial.write_text(json.dumps(module.history, indent=1) + "\n", encoding="utf-8")
    score = checkpoint.best_model_score
    return {
        "is_first_rank": trainer.is_global_zero,
        "checkpoint": str(best),
        "epochs": trainer.current_epoch,
        "best_score": None if score is None else float(score),
        "n_parameters": sum(p.numel() for p in module.network.parameters()),
        "n_train": sum(map(len, training_samples)),
        "n_val": sum(map(len, validation_samples)),
    }


def _centre_spectra(loader: PatchLoader) -> torch.Tensor:
    """Spectra of labelled training spaxels, up to some thousand."""
    found: list[torch.Tensor] = []
    count, middle = 0, loader.recipe.patch_size // 2
    for patches, _, _ in loader:
        found.append(patches[:, 0, :, middle, middle].clone())
        count += len(patches)
        if count >= _MAX_STEM_SPECTRA:
            break
    return torch.cat(found)


def _class_weights(samples: Sequence[Sample], target: Target) -> list[float]:
    """Inverse frequency of each class, 1 on average over the spaxels; 0 for one that is absent."""
    index = np.concatenate([target.indices(sample.label) for sample in samples])
    counts = np.bincount(index[index >= 0], minlength=len(target.class_ids))
    present = counts > 0
    weights = np.divide(counts.sum(), counts, out=np.zeros(len(counts)), where=present)
    return [float(value) for value in weights / present.sum()]
