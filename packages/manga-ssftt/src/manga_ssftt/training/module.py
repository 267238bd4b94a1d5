"""A network with its loss, its optimiser and its validation score."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Sequence
from typing import Any, Final

import lightning
import numpy as np
import torch
from torch.optim.lr_scheduler import ReduceLROnPlateau

from manga_ssftt.checkpoints import CONFIGURATION_KEY, build_network
from manga_ssftt.heads import interpret, loss
from manga_ssftt.patch_loader import Batch
from manga_ssftt.targets import Target
from manga_ssftt.training.recipe import Training
from manga_ssftt.training_statistics import Statistics

__all__ = ["PatchModule"]

logger = logging.getLogger(__name__)

# Share of a cosine schedule in which the rate grows to its full value.
_WARM_UP: Final = 0.05
_SUM_KEYS: Final = tuple(
    key
    for name in ("train_loss", "val_loss", "val_accuracy", "val_mae_dex")
    for key in (name, f"n_{name}")
)


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
        self.synthetic = bool(configuration["synthetic"])
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
        counted = int((index >= 0).sum())  # the others have a class that the network does not know
        self._add("val_loss", float(loss(outputs, index, value, self.target)) * counted, counted)
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
            [self._sums.get(key, 0.0) for key in _SUM_KEYS],
            dtype=torch.float64,
            device=self.device if self.device.type != "mps" else "cpu",  # which has no float64
        )
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
        row = {"epoch": self.current_epoch, "learning_rate": rate, **found}
        if self.synthetic:  # figures of simulated galaxies say so
            row["synthetic"] = True
        self.history.append(row)
        if self.trainer.is_global_zero:
            parts = ", ".join(f"{name} {value:.4g}" for name, value in found.items())
            logger.info("epoch %d: %s", self.current_epoch + 1, parts)

    def on_train_batch_start(self, _batch: Batch, index: int) -> None:
        """Set the rate of a cosine schedule, by the epochs or the time gone, whichever is more."""
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
        """Continue the curves of the run that is resumed."""
        self.history = list(checkpoint.get("history", []))

    def configure_optimizers(self) -> Any:
        """AdamW, whose weight decay leaves out biases and normalisation layers."""
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
