"""What happens between steps: logs, validation, checkpoints, and the end of the run."""

from __future__ import annotations

import logging
import math
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import lightning
import torch

from astromodal_transformer.batches import Batch
from astromodal_transformer.checkpoints import (
    remove_old_checkpoints,
    step_name,
    write_checkpoint,
)
from astromodal_transformer.training.metrics import METRICS_FILE, PROGRESS_FILE, MetricsTable
from astromodal_transformer.training.module import TrainingModule
from astromodal_transformer.training.order import BatchLoader
from astromodal_transformer.training.state import collect_state
from astromodal_transformer.training.stopping import Stopping

__all__ = ["Recorder"]

logger = logging.getLogger(__name__)

_PROGRESS = (
    "step",
    "reconstruction",
    "cross_entropy",
    "learning_rate",
    "tokens_per_second",
    "data_wait_share",
    "elapsed_seconds",
)


class Recorder(lightning.Callback):
    """Keeps the books of a run.

    Parameters
    ----------
    folder : Path
        Of the run.
    record : dict
        ``config.json`` of its models.
    validation : sequence of Batch
    loader : BatchLoader
    last_step : int or None
        At which the run ends.
    progress : dict
        Step, best validation loss and the like of the checkpoint resumed from.
    stopping : Stopping
    """

    def __init__(
        self,
        folder: Path,
        record: dict[str, Any],
        validation: Sequence[Batch],
        loader: BatchLoader,
        last_step: int | None,
        progress: dict[str, Any],
        stopping: Stopping,
    ) -> None:
        self.folder = folder
        self.record = record
        self.validation = validation
        self.loader = loader
        self.last_step = last_step
        self.stopping = stopping
        self.best: float | None = progress.get("best_validation_loss")
        self.validation_loss: float | None = progress.get("validation_loss")
        self.train_loss: float | None = progress.get("train_loss")
        self.step = int(progress.get("step", 0))
        self._losses: list[float] = list(progress.get("losses", []))
        self._terms: list[list[float]] = list(progress.get("terms", []))
        self._part: list[float] = []
        self._tokens = 0
        self._since = time.perf_counter()
        self._waited = 0.0
        self._bar: Any = None

    def on_train_start(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule
    ) -> None:
        """Open the tables."""
        self.stopping.listen()
        self._since, self._waited = time.perf_counter(), self.loader.waited
        if not trainer.is_global_zero:
            return
        columns = ("step", "train_loss", "validation_loss")
        self._metrics = MetricsTable(self.folder / METRICS_FILE, columns, self.step)
        self._progress = MetricsTable(self.folder / PROGRESS_FILE, _PROGRESS, self.step)
        settings = _module(pl_module).configuration.training
        if settings.progress and sys.stderr.isatty():
            from tqdm import tqdm

            self._bar = tqdm(
                total=self.last_step, initial=self.step, unit="step", file=sys.stderr, leave=False
            )

    def on_train_batch_end(
        self,
        trainer: lightning.Trainer,
        pl_module: lightning.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Look after the step, if the batch completed one."""
        module = _module(pl_module)
        sums = outputs["sums"].sum(dim=0)
        self._part.append(float(outputs["loss"].detach()))
        self._terms.append((sums[:2] / sums[2].clamp(min=1.0)).tolist())
        self._tokens += batch.num_tokens
        if module.step == self.step:
            return
        self.step = module.step
        module.update_average()
        # Lightning divides the loss by the number of batches of a step.
        accumulated = module.configuration.training.accumulate
        self._losses.append(sum(self._part) * (accumulated / len(self._part)))
        self._part = []
        settings = module.configuration.training
        if self._bar is not None:
            self._bar.update(1)
        minutes = settings.max_minutes
        out_of_time = minutes is not None and module.elapsed >= 60.0 * minutes
        done = self.step == self.last_step or out_of_time or self.stopping.wanted
        saving = done or self.step % settings.checkpoint_every_steps == 0
        every = settings.validate_every_steps or settings.checkpoint_every_steps
        validating = done or self.step % every == 0
        if validating and not self.stopping.wanted:
            self.validation_loss = self._validated(module)
        if validating or self.step % settings.log_every_steps == 0:
            self._log(trainer, module, validating)
        if saving:
            self._save(trainer, module)
        if done:
            trainer.should_stop = True

    def on_train_end(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule
    ) -> None:
        """Close the bar."""
        if self._bar is not None:
            self._bar.close()

    def _validated(self, module: TrainingModule) -> float | None:
        if not self.validation:
            return None
        before = time.perf_counter()
        module.eval()
        total = weight = 0.0
        with torch.no_grad(), module.averaged():
            for batch in self.validation:
                own = batch.to(module.device)
                settings = module.configuration.loss
                terms = module.model(
                    own,
                    module.weights,
                    reconstruction=settings.reconstruction,
                    cross_entropy=settings.cross_entropy,
                    chunk_elements=settings.chunk_elements,
                )
                block = module.model.slot_block[own.query_slots]
                total += float(terms.total)
                weight += float((module.weights[block] * (own.targets >= 0)).sum())
        module.train()
        self._since += time.perf_counter() - before
        return total / weight if weight else None

    def _log(self, trainer: lightning.Trainer, module: TrainingModule, validating: bool) -> None:
        if self._losses:
            self.train_loss = sum(self._losses) / len(self._losses)
        terms = torch.tensor(self._terms).mean(dim=0).tolist() if self._terms else [math.nan] * 2
        self._losses, self._terms = [], []
        now, waited = time.perf_counter(), self.loader.waited
        seconds = max(1e-9, now - self._since)
        row = {
            "step": self.step,
            "train_loss": self.train_loss,
            "validation_loss": self.validation_loss if validating else None,
            "reconstruction": terms[0],
            "cross_entropy": terms[1],
            "learning_rate": trainer.optimizers[0].param_groups[0]["lr"],
            "tokens_per_second": self._tokens / seconds,
            "data_wait_share": (waited - self._waited) / seconds,
            "elapsed_seconds": module.elapsed,
        }
        self._since, self._waited, self._tokens = now, waited, 0
        if not trainer.is_global_zero:
            return
        self._metrics.add(row)
        self._progress.add(row)
        for tensorboard in trainer.loggers:
            tensorboard.log_metrics(
                {k: float(v) for k, v in row.items() if v is not None and k != "step"}, self.step
            )
        shown = "" if row["validation_loss"] is None else f", validation {self.validation_loss:.4f}"
        if self._bar is None:
            logger.info(
                "step %d: loss %.4f%s, %.0f tokens/s",
                self.step,
                self.train_loss if self.train_loss is not None else math.nan,
                shown,
                row["tokens_per_second"],
            )
        else:
            self._bar.set_postfix_str(f"loss {self.train_loss:.4f}{shown}")

    def _save(self, trainer: lightning.Trainer, module: TrainingModule) -> None:
        # Collecting may need all processes, for weights that are spread over them.
        weights = {
            name.removeprefix("model."): value
            for name, value in trainer.strategy.lightning_module_state_dict().items()
        }
        optimizer = trainer.strategy.optimizer_state(trainer.optimizers[0])
        if not trainer.is_global_zero:
            return
        parameters = {name: weights[name] for name, _ in module.model.named_parameters()}
        tensors, groups = collect_state(parameters, optimizer)
        shown = {**weights, **module.average}
        better = self.validation_loss is None or (
            self.best is None or self.validation_loss < self.best
        )
        if better:
            self.best = self.validation_loss
        progress = {
            "step": self.step,
            "elapsed_seconds": module.elapsed,
            "best_validation_loss": self.best,
            "validation_loss": self.validation_loss,
            "train_loss": self.train_loss,
            "losses": self._losses,
            "terms": self._terms,
            **groups,
        }
        record = {
            **self.record,
            "step": self.step,
            "train_loss": self.train_loss,
            "validation_loss": self.validation_loss,
        }
        names = [step_name(self.step), "last", *(["best"] if better else [])]
        folder = self.folder / "checkpoints"
        cpu = {name: value.detach().cpu().contiguous() for name, value in shown.items()}
        write_checkpoint(folder, names, record, cpu, (tensors, progress))
        remove_old_checkpoints(folder, module.configuration.training.keep_checkpoints)


def _module(module: lightning.LightningModule) -> TrainingModule:
    if not isinstance(module, TrainingModule):
        raise TypeError(f"a {type(module).__name__} in training")
    return module
