"""Training on the patches of a scene, and prediction."""

from __future__ import annotations

import logging
import math
from typing import Final

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from manga_ssftt.hsi.recipe import Recipe

__all__ = ["centre_weights", "class_probabilities", "train_network"]

logger = logging.getLogger(__name__)

_LEARNING_RATE: Final = 1e-3
# Of the first rate; what is left at the end of the cosine.
_LAST_RATE: Final = 0.05
_LOGGED_EPOCHS: Final = 10


def centre_weights(patch_size: int) -> torch.Tensor:
    """Weights of the pixels of a patch: a Gaussian with a sixth of the patch as its deviation.

    Parameters
    ----------
    patch_size : int
        Odd.

    Returns
    -------
    tensor of float32, shape (patch_size, patch_size)
        1 in the centre.
    """
    offset = torch.arange(patch_size) - patch_size // 2
    profile = torch.exp(-0.5 * (6.0 * offset / patch_size) ** 2)
    return profile[:, None] * profile


def train_network(
    network: nn.Module,
    patches: torch.Tensor,
    target: torch.Tensor,
    recipe: Recipe,
    *,
    epochs: int,
    batch_size: int,
    random: np.random.Generator,
) -> nn.Module:
    """Train a network with Adam.

    Parameters
    ----------
    network : torch.nn.Module
        Its weights change.
    patches : tensor of float32, shape (n, 1, n_bands, p, p)
    target : tensor of int64, shape (n,)
        Place of the class among the outputs.
    recipe : Recipe
    epochs, batch_size : int
    random : numpy.random.Generator

    Returns
    -------
    torch.nn.Module
        What predicts: the network, or its average.
    """
    optimizer = torch.optim.Adam(network.parameters(), lr=_LEARNING_RATE)
    average = torch.optim.swa_utils.AveragedModel(network, use_buffers=True)
    # Batches of equal size: a rest of one patch would spoil the statistics of a normalisation.
    n_batches = math.ceil(len(target) / batch_size)
    n_steps, step = epochs * n_batches, 0
    network.train()
    for epoch in range(epochs):
        total = 0.0
        order = torch.from_numpy(random.permutation(len(target)))
        for chosen in order.tensor_split(n_batches):
            if recipe.cosine:
                share = max(0.5 * (1 + math.cos(math.pi * step / n_steps)), _LAST_RATE)
                for group in optimizer.param_groups:
                    group["lr"] = _LEARNING_RATE * share
            batch = patches[chosen]
            if recipe.oriented:
                batch = _oriented(batch, int(random.integers(8)))
            optimizer.zero_grad(set_to_none=True)
            loss = functional.cross_entropy(
                network(batch), target[chosen], label_smoothing=recipe.label_smoothing
            )
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            total += loss.item() * len(chosen)
            step += 1
        if recipe.averaged and 3 * epoch >= 2 * epochs:
            average.update_parameters(network)
        if (epoch + 1) % _LOGGED_EPOCHS == 0:
            logger.info("epoch %d: loss %.4f", epoch + 1, total / len(target))
    result: nn.Module = average.module if average.n_averaged else network
    return result.eval()


def class_probabilities(network: nn.Module, patches: torch.Tensor, recipe: Recipe) -> torch.Tensor:
    """Probability of each class.

    Parameters
    ----------
    network : torch.nn.Module
        Set to predict.
    patches : tensor of float32, shape (n, 1, n_bands, p, p)
    recipe : Recipe

    Returns
    -------
    tensor of float32, shape (n, n_classes)
    """
    orientations = range(8 if recipe.oriented else 1)
    with torch.inference_mode():
        votes = [torch.softmax(network(_oriented(patches, k)), dim=1) for k in orientations]
    return torch.stack(votes).mean(dim=0)


def _oriented(patches: torch.Tensor, number: int) -> torch.Tensor:
    """One of the eight orientations of a square."""
    turned = torch.rot90(patches, number % 4, (3, 4))
    return turned.transpose(3, 4) if number >= 4 else turned
