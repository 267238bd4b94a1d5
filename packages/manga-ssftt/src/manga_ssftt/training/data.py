"""Training and validation patches for Lightning."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import lightning
import torch
from torch.utils.data import DataLoader

from manga_ssftt.patch_loader import Batch, PatchLoader, PatchRecipe, Sample
from manga_ssftt.targets import Target
from manga_ssftt.training.recipe import Training

__all__ = ["PatchData"]


class PatchData(lightning.LightningDataModule):
    """Loaders of the training and the validation patches, made once the ranks are known."""

    def __init__(
        self,
        training_samples: Sequence[Sample],
        validation_samples: Sequence[Sample],
        recipe: PatchRecipe,
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
