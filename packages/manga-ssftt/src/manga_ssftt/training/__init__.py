"""Training with PyTorch Lightning."""

from __future__ import annotations

from manga_ssftt.training.recipe import Training
from manga_ssftt.training.run import BEST_NAME, HISTORY_NAME, LAST_NAME, train

__all__ = ["BEST_NAME", "HISTORY_NAME", "LAST_NAME", "Training", "train"]
