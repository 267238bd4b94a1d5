"""Train the autoencoder of the cutouts with Lightning."""

from __future__ import annotations

import copy
import logging
import math
import warnings
from collections.abc import Iterator, Sequence
from typing import Any

import lightning
import numpy as np
import torch
from lightning.pytorch.callbacks import EarlyStopping
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset

from astro_common.errors import ConfigurationError
from astromodal_tokenizers.autoencoder import Autoencoder
from astromodal_tokenizers.configuration import Configuration
from astromodal_tokenizers.hypercube import Cube, iter_rows
from astromodal_tokenizers.prefetching import Prefetch
from astromodal_tokenizers.split import TRAIN, VALIDATION
from astromodal_tokenizers.tokenizers.image import image_array

__all__ = ["train_autoencoder"]

logger = logging.getLogger(__name__)

_OUTER_WEIGHT = 0.3
# The source fills about this part of the side.
_INNER_SHARE = 0.25
# The learning rate rises over the first part of the steps, and falls to this part of itself.
_WARMUP = 0.05
_LAST_RATE = 0.01
_MAX_GRADIENT = 1.0


def train_autoencoder(
    configuration: Configuration,
    cubes: Sequence[Cube],
    bands: list[str],
    size_px: int,
    noise: NDArray[np.float64],
    network: Autoencoder,
) -> Autoencoder | None:
    """Train on the training part of the sky, and keep what is best on its validation part.

    Parameters
    ----------
    configuration : Configuration
    cubes : sequence of Cube
    bands : list of str
        Columns.
    size_px : int
    noise : ndarray of float64, shape (bands,)
        Per pixel, in the unit of the images.
    network : Autoencoder
        Its weights are where training starts.

    Returns
    -------
    Autoencoder or None
        The average of the weights; None in all processes but the first of a distributed run.

    Raises
    ------
    ConfigurationError
        If Lightning does not know the accelerator, strategy or devices.
    """
    settings = configuration.image
    loaders = [
        DataLoader(_Cutouts(configuration, cubes, bands, size_px, noise, split), batch_size=None)
        for split in (TRAIN, VALIDATION)
    ]
    has_validation = next(iter(loaders[1]), None) is not None
    if not has_validation:
        logger.warning("image: no cutout to validate with; all epochs are trained")
    stop = EarlyStopping("validation_loss", patience=settings.patience)
    precision = settings.precision
    if precision == "auto":
        half = torch.cuda.is_available() and torch.cuda.is_bf16_supported()
        precision = "bf16-mixed" if half else "32-true"
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        # Lightning's advice on worker processes does not fit data that a thread reads ahead.
        warnings.simplefilter("ignore")
        try:
            trainer = lightning.Trainer(
                accelerator=settings.accelerator,
                devices=settings.devices,
                strategy=settings.strategy,
                precision=precision,
                max_epochs=settings.epochs,
                gradient_clip_val=_MAX_GRADIENT,
                callbacks=[stop] if has_validation else [],
                logger=False,
                enable_checkpointing=False,
                enable_progress_bar=False,
                enable_model_summary=False,
                num_sanity_val_steps=0,
                use_distributed_sampler=False,
            )
        except Exception as error:
            # Lightning has an error class of its own for hardware that is not there.
            raise ConfigurationError(
                "image", str(error), "what Lightning's Trainer takes"
            ) from error
        steps = _steps(configuration, cubes, trainer.world_size)
        training = _Training(network, configuration, steps)
        trainer.fit(training, loaders[0], loaders[1] if has_validation else None)
    if trainer.interrupted:
        raise KeyboardInterrupt
    if not trainer.is_global_zero:
        return None
    result = training.averaged.cpu()
    if training.best:
        result.load_state_dict(training.best)
    return result


class _Cutouts(IterableDataset[tuple[Tensor, Tensor]]):
    """Normalised cutouts and their weights, in an order that changes with each epoch."""

    def __init__(
        self,
        configuration: Configuration,
        cubes: Sequence[Cube],
        bands: list[str],
        size_px: int,
        noise: NDArray[np.float64],
        split: int,
    ) -> None:
        self._configuration = configuration
        self._cubes = cubes
        self._bands = bands
        self._size_px = size_px
        self._noise = noise.astype(np.float32)[:, None, None]
        self._split = split
        self._epoch = 0
        offset = np.arange(size_px) - size_px // 2
        inside = np.hypot(offset[:, None], offset) < _INNER_SHARE * size_px
        self._weights = np.where(inside, 1.0, _OUTER_WEIGHT).astype(np.float32)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        random = np.random.default_rng([self._configuration.seed, self._epoch, self._split])
        self._epoch += 1
        units = [(c, g) for c, cube in enumerate(self._cubes) for g in range(cube.num_row_groups)]
        order = random.permutation(len(units))
        # Processes of a distributed run take as many images of each row group, or the one that had
        # more would wait for ever for the others.
        rank, share = _share_of_process() if self._split == TRAIN else (0, 1)
        for found in Prefetch(self._images([units[number] for number in order])):
            images = found[rank::share][: len(found) // share]
            batch = self._configuration.image.batch_size
            shuffled = random.permutation(len(images))
            for start in range(0, len(images), batch):
                some = images[shuffled[start : start + batch]]
                scaled = np.arcsinh(some / self._noise)
                known = np.isfinite(scaled)
                weights = np.where(known, self._weights, np.float32(0.0))
                yield torch.from_numpy(np.nan_to_num(scaled, nan=0.0)), torch.from_numpy(weights)

    def _images(self, units: list[tuple[int, int]]) -> Iterator[NDArray[np.float32]]:
        for cube, group in units:
            rows = iter_rows(
                self._cubes[cube], self._bands, self._configuration, self._split, [group]
            )
            for part in rows:
                images = image_array(part.table, self._bands, self._size_px)
                some = np.isfinite(images).any(axis=(1, 2, 3))
                if some.any():
                    yield images[some]


def _share_of_process() -> tuple[int, int]:
    """Number of this process in a distributed run, and how many there are."""
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        return torch.distributed.get_rank(), torch.distributed.get_world_size()
    return 0, 1


class _Training(lightning.LightningModule):
    """The autoencoder, an average of its weights, and the best average so far."""

    def __init__(self, network: Autoencoder, configuration: Configuration, steps: int) -> None:
        super().__init__()
        self.network = network
        self.averaged = copy.deepcopy(network).requires_grad_(requires_grad=False)
        self.best: dict[str, Tensor] = {}
        self.best_loss = float("inf")
        self._rate = configuration.image.learning_rate
        self._steps = steps
        self._decay = configuration.image.ema_decay

    def training_step(self, batch: tuple[Tensor, Tensor], number: int) -> Tensor:
        loss = _loss(self.network, batch)
        self.log("training_loss", loss, on_step=False, on_epoch=True, batch_size=len(batch[0]))
        return loss

    def on_train_batch_end(self, outputs: Any, batch: Any, batch_idx: int) -> None:
        # Early on, an average over few steps is better than one that remembers the start.
        decay = min(self._decay, (1.0 + self.global_step) / (10.0 + self.global_step))
        with torch.no_grad():
            pairs = zip(self.averaged.parameters(), self.network.parameters(), strict=True)
            for mean, value in pairs:
                mean.lerp_(value, 1.0 - decay)

    def validation_step(self, batch: tuple[Tensor, Tensor], number: int) -> None:
        loss = _loss(self.averaged, batch)
        self.log("validation_loss", loss, sync_dist=True, batch_size=len(batch[0]))

    def on_validation_epoch_end(self) -> None:
        self._remember("validation_loss")

    def on_train_epoch_end(self) -> None:
        if not self.best:
            return
        metrics = self.trainer.callback_metrics
        shown = ", ".join(f"{name} {float(value):.4f}" for name, value in sorted(metrics.items()))
        logger.info("image: epoch %d: %s", self.current_epoch + 1, shown)

    def _remember(self, name: str) -> None:
        value = self.trainer.callback_metrics.get(name)
        if value is None or self.trainer.sanity_checking or not float(value) < self.best_loss:
            return
        self.best_loss = float(value)
        state = self.averaged.state_dict()
        self.best = {key: tensor.detach().cpu().clone() for key, tensor in state.items()}

    def configure_optimizers(self) -> Any:
        optimizer = torch.optim.Adam(self.network.parameters(), lr=self._rate)
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, self._share_of_rate)
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": schedule, "interval": "step"},
        }

    def _share_of_rate(self, step: int) -> float:
        """A rise, then half a cosine (Loshchilov & Hutter 2017, arXiv:1608.03983)."""
        rise = max(1.0, _WARMUP * self._steps)
        turn = min(1.0, step / max(1, self._steps))
        fall = _LAST_RATE + (1.0 - _LAST_RATE) * (1.0 + math.cos(math.pi * turn)) / 2.0
        return min(1.0, (step + 1) / rise) * fall


def _loss(network: Autoencoder, batch: tuple[Tensor, Tensor]) -> Tensor:
    """Squared error of known pixels, the more so near the source."""
    images, weights = batch
    error = (network(images) - images) ** 2
    loss: Tensor = (weights * error).sum() / weights.sum().clamp(min=1.0)
    return loss


def _steps(configuration: Configuration, cubes: Sequence[Cube], processes: int) -> int:
    """Steps of the whole training, if every source has a cutout."""
    batch = configuration.image.batch_size * processes
    batches = sum(
        -(-len(rows) // batch)
        for cube in cubes
        for rows in iter_rows(cube, ["id"], configuration, TRAIN)
    )
    return configuration.image.epochs * max(1, batches)
