"""What Lightning runs: the loss of a batch, the optimiser, the running average of the weights."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import lightning
import torch
from torch import Tensor

from astro_common.errors import AstroError, InputError
from astromodal_transformer.batches import Batch
from astromodal_transformer.configuration import Configuration
from astromodal_transformer.model import Transformer
from astromodal_transformer.training.schedule import Schedule

__all__ = ["NonFiniteLossError", "TrainingModule", "parameter_groups"]


class NonFiniteLossError(AstroError):
    """The loss is no number any more."""


def parameter_groups(model: torch.nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Matrices decay towards zero; norms, gains, biases and embeddings of places do not."""
    decaying: list[torch.nn.Parameter] = []
    other: list[torch.nn.Parameter] = []
    for name, parameter in model.named_parameters():
        matrix = parameter.dim() >= 2 and not name.endswith(("embedding", "gain"))
        (decaying if matrix else other).append(parameter)
    return [
        {"params": decaying, "weight_decay": weight_decay},
        {"params": other, "weight_decay": 0.0},
    ]


class TrainingModule(lightning.LightningModule):
    """The model in training.

    Parameters
    ----------
    model : Transformer
    configuration : Configuration
    weights : Tensor of float32, shape (codebooks + 1,)
        Of the queries of each codebook in the loss.
    schedule : Schedule
    first_step : int
        Steps that were done before this process began.
    elapsed : float
        Seconds that they took.
    """

    def __init__(
        self,
        model: Transformer,
        configuration: Configuration,
        weights: Tensor,
        schedule: Schedule,
        first_step: int = 0,
        elapsed: float = 0.0,
    ) -> None:
        super().__init__()
        self.model = model
        self.configuration = configuration
        self.schedule = schedule
        self.first_step = first_step
        self.elapsed_before = elapsed
        self.weights: Tensor
        self.register_buffer("weights", weights, persistent=False)
        self.average: dict[str, Tensor] = {}
        self.resumed_optimizer: dict[str, Any] | None = None
        self._begun: float | None = None

    @property
    def step(self) -> int:
        """Steps that are done, in earlier processes too (int)."""
        done = self.trainer.global_step if self._trainer is not None else 0
        return self.first_step + done

    @property
    def elapsed(self) -> float:
        """Seconds of training, in earlier processes too (float)."""
        now = 0.0 if self._begun is None else time.perf_counter() - self._begun
        return self.elapsed_before + now

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """AdamW (Loshchilov & Hutter 2019, ICLR) with weight decay on matrices alone."""
        settings = self.configuration.training
        groups = parameter_groups(self.model, settings.weight_decay)
        rate = self.schedule.rate(self.first_step, self.elapsed)
        return torch.optim.AdamW(groups, lr=rate, betas=settings.betas)

    def on_train_start(self) -> None:
        """Take over the state of an earlier process, and start the clock."""
        if self.resumed_optimizer is not None:
            optimizer = self.trainer.optimizers[0]
            optimizer.load_state_dict(self.resumed_optimizer)
            self.resumed_optimizer = None
        if self.configuration.training.ema and not self.average:
            self.average = {n: p.detach().clone() for n, p in self.model.named_parameters()}
        self.average = {name: value.to(self.device) for name, value in self.average.items()}
        self._begun = time.perf_counter()

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> None:
        """Set the learning rate of the step."""
        rate = self.schedule.rate(self.step, self.elapsed)
        for group in self.trainer.optimizers[0].param_groups:
            group["lr"] = rate

    def transfer_batch_to_device(
        self, batch: Batch, device: torch.device, dataloader_idx: int
    ) -> Batch:
        """Lightning moves tensors and mappings by itself, but not our batches."""
        return batch.to(device)

    def loss(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Mean loss of a batch, and sums per codebook.

        With several processes the mean is taken over the queries of all of them, so that the
        average of their gradients is the gradient of the whole batch.
        """
        settings = self.configuration.loss
        terms = self.model(
            batch,
            self.weights,
            reconstruction=settings.reconstruction,
            cross_entropy=settings.cross_entropy,
            chunk_elements=settings.chunk_elements,
        )
        block = self.model.slot_block[batch.query_slots]
        total_weight = (self.weights[block] * (batch.targets >= 0)).sum()
        world = 1
        if torch.distributed.is_available() and torch.distributed.is_initialized():
            world = torch.distributed.get_world_size()
            torch.distributed.all_reduce(total_weight)
        return terms.total * world / total_weight.clamp(min=1e-9), terms.sums

    def training_step(self, batch: Batch, batch_idx: int) -> dict[str, Tensor]:
        """Loss of a batch; ends the run if it is no number."""
        try:
            loss, sums = self.loss(batch)
        except RuntimeError as error:
            raise_out_of_memory(error, self.configuration)
            raise
        if not torch.isfinite(loss):
            path = self._save_batch(batch)
            raise NonFiniteLossError(
                path,
                f"the loss of step {self.step + 1} is {float(loss.detach())}; the batch is in this "
                "file",
                "a finite loss",
                "lower training.learning_rate, or set training.precision to fp32, and --resume",
            )
        return {"loss": loss, "sums": sums}

    def update_average(self) -> None:
        """Let the running average of the weights follow a step of the optimiser."""
        decay = self.configuration.training.ema
        if not decay:
            return
        # Early weights are forgotten soon.
        decay = min(decay, (1.0 + self.step) / (10.0 + self.step))
        parameters = dict(self.model.named_parameters())
        with torch.no_grad():
            torch._foreach_lerp_(
                list(self.average.values()),
                [parameters[name].detach() for name in self.average],
                1.0 - decay,
            )

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """Put the running average in the place of the weights for a while."""
        parameters = dict(self.model.named_parameters())
        kept = {name: parameters[name].detach().clone() for name in self.average}
        with torch.no_grad():
            for name, value in self.average.items():
                parameters[name].copy_(value)
        try:
            yield
        finally:
            with torch.no_grad():
                for name, value in kept.items():
                    parameters[name].copy_(value)

    def _save_batch(self, batch: Batch) -> Path:
        from safetensors.torch import save

        from astro_common.atomic import atomic_path

        path = self.configuration.output / f"failed_batch_step-{self.step + 1:06d}.safetensors"
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_path(path, overwrite=True) as partial:
            partial.write_bytes(save(batch.tensors()))
        return path


def raise_out_of_memory(error: RuntimeError, configuration: Configuration) -> None:
    """Turn an error of the allocator into one that says what to lower; others pass."""
    text = str(error)
    if isinstance(error, torch.OutOfMemoryError) or "allocate memory" in text:
        settings = configuration.training
        raise InputError(
            "memory",
            f"not enough for training.batch_size {settings.batch_size} and model.preset "
            f"{configuration.model.preset}",
            action="lower training.batch_size (and raise training.accumulate), "
            "sequences.visible_tokens or sequences.query_tokens, or set "
            "training.gradient_checkpointing to true",
        ) from error
