"""What a code stands for, as fixed functions of its bin centre or centroid."""

from __future__ import annotations

import math

import torch
from torch import Tensor

__all__ = ["code_features"]

# Cosines over the ranks of bins, and octaves of sines over their values.
_RANK_TERMS, _OCTAVES = 12, (-1, 0, 1, 2, 3)
_MOST_FOURIER_DIMENSIONS = 4


def code_features(centroids: Tensor, *, ordered: bool) -> Tensor:
    """Fixed functions of what codes stand for.

    Parameters
    ----------
    centroids : Tensor of float32, shape (size, dimensions)
        In standardised units.
    ordered : bool
        Whether the codes are bins in rising order.

    Returns
    -------
    Tensor of float32, shape (size, features)
        The centroids and their squares, limited; sines and cosines of them if there are few
        dimensions; cosines over the rank of bins.
    """
    limited = centroids.clamp(-5.0, 5.0)
    # Fine structure begins small: what changes slowly from code to code is learned first.
    parts = [limited, limited.square() / 4.0]
    if centroids.shape[1] <= _MOST_FOURIER_DIMENSIONS:
        for octave in _OCTAVES:
            size = 0.5 * min(1.0, 2.0 ** (-octave / 2.0))
            parts += [size * torch.sin(limited * 2.0**octave)]
            parts += [size * torch.cos(limited * 2.0**octave)]
    if ordered:
        size = len(centroids)
        rank = (torch.arange(size, dtype=torch.float32, device=centroids.device) + 0.5) / size
        terms = torch.arange(1, _RANK_TERMS + 1, device=centroids.device)
        parts.append(torch.cos(math.pi * rank[:, None] * terms) / terms)
    return torch.cat(parts, dim=1)
