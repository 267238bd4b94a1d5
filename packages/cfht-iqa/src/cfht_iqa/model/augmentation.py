"""Changes of the inputs in training that leave the class as it is."""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor

from cfht_iqa.model.statistics import CCD_SHAPES, EXPOSURE_SHAPES
from cfht_iqa.representatives import CUTOUT_PX

__all__ = ["forgotten", "resampled", "turned"]

# Share of the CCDs whose shapes are taken away in training, and of these, of whole exposures.
_SHAPES_LOST: Final = 0.2
_OF_THEM_ALL_LOST: Final = 0.3


def turned(image: Tensor) -> Tensor:
    """Mirror and turn the tiles of each CCD alike: the sky has no up."""
    n = len(image)
    tiles = image.reshape(n, CUTOUT_PX, -1, CUTOUT_PX)
    flip_x, flip_y, turn = (torch.rand(n, 1, 1, 1) < 0.5 for _ in range(3))
    tiles = torch.where(flip_x, tiles.flip(3), tiles)
    tiles = torch.where(flip_y, tiles.flip(1), tiles)
    return torch.where(turn, tiles.transpose(1, 3), tiles).reshape(image.shape)


def resampled(hits: Tensor, n_clusters: int) -> Tensor:
    """In half of the batches, the hits as a shallower exposure with few sources would have them."""
    if torch.rand(()) < 0.5:
        return hits
    # 6 to 300 sources, evenly by their logarithm.
    count = int(torch.exp(torch.empty(()).uniform_(1.8, 5.7)))
    parts = []
    for shares in (hits[:, :n_clusters], hits[:, n_clusters:]):
        drawn = torch.multinomial(shares + 1e-9, count, replacement=True)
        found = torch.zeros_like(shares)
        parts.append(found.scatter_add_(1, drawn, torch.ones_like(drawn, dtype=found.dtype)))
    return torch.cat(parts, dim=1) / count


def forgotten(statistics: Tensor) -> Tensor:
    """Of some CCDs, take away what was measured of shapes, as if there were too few sources."""
    changed = statistics.clone()
    lost = torch.rand(len(statistics), 1) < _SHAPES_LOST
    for places, share in ((CCD_SHAPES, 1.0), (EXPOSURE_SHAPES, _OF_THEM_ALL_LOST)):
        lost = lost & (torch.rand(len(statistics), 1) < share)
        columns = torch.zeros(statistics.shape[1], dtype=torch.bool)
        columns[list(places)] = True
        changed = torch.where(lost & columns, torch.zeros_like(changed), changed)
    return changed
