"""Which centroid is nearest: the step that decides how fast everything else is.

One dimension is a search among sorted midpoints. On a processor more dimensions are a compiled
loop that never writes the distances to memory. On an accelerator they are a matrix product in
blocks, and a maximum in two stages, since a plain argmax costs twice the product.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from astromodal_tokenizers.quantizers.kernels import (
    FEATURES_AT_ONCE,
    nearest_kernel,
    planar_kernel,
)
from astromodal_tokenizers.threads import each_part

__all__ = ["nearest_centroids"]

_BLOCK_ROWS = 512
_BLOCK_ROWS_GPU = 65_536
_GROUP = 32
# Rows that one thread takes at a time.
_PART_ROWS = 1 << 14
_PART_ROWS_GPU = 1 << 22
# For less work than this, and for long vectors, the product is as fast.
_FEWEST_SCORES = 1 << 18
_MOST_FEATURES = 64


def nearest_centroids(points: Tensor, centroids: Tensor) -> Tensor:
    """Find the nearest centroid of each point.

    Parameters
    ----------
    points : Tensor of float32 or float64, shape (n, d)
    centroids : Tensor, shape (k, d)
        Of the same type and on the same device.

    Returns
    -------
    Tensor of int64, shape (n,)
        Index of the nearest centroid by Euclidean distance. Of centroids at the same distance, to
        rounding, any one is taken.
    """
    if not len(points):
        return torch.empty(0, dtype=torch.int64, device=points.device)
    # Distances suffer least from rounding around the middle of the centroids.
    middle = centroids.mean(dim=0)
    centroids = centroids - middle
    dimensions = centroids.shape[1]
    find: Callable[[Tensor], Tensor]
    if dimensions == 1:
        find = partial(_by_midpoints, middle=middle, centroids=centroids)
    elif (
        points.device.type == "cpu"
        and dimensions <= _MOST_FEATURES
        and len(points) * len(centroids) >= _FEWEST_SCORES
    ):
        find = _Compiled(middle, centroids)
    else:
        find = partial(_by_product, middle=middle, centroids=centroids)
    if points.device.type != "cpu":
        parts = torch.split(points, _PART_ROWS_GPU)
        return torch.cat([find(part) for part in parts])
    result = torch.empty(len(points), dtype=torch.int64)

    def assign(part: slice) -> None:
        result[part] = find(points[part])

    each_part(assign, len(points), _PART_ROWS)
    return result


def _by_midpoints(points: Tensor, middle: Tensor, centroids: Tensor) -> Tensor:
    ordered, order = torch.sort(centroids[:, 0])
    midpoints = (ordered[1:] + ordered[:-1]) / 2.0
    return order[torch.searchsorted(midpoints, (points[:, 0] - middle[0]).contiguous())]


class _Compiled:
    """Goes through all centroids for some points at a time."""

    def __init__(self, middle: Tensor, centroids: Tensor) -> None:
        count, dimensions = centroids.shape
        # Numbers as wide as the distances share their registers.
        self._label = np.int32 if centroids.dtype == torch.float32 else np.int64
        self._kernel: Callable[..., None]
        self._given: tuple[NDArray[Any], ...]
        if dimensions == 2:
            self._kernel = planar_kernel()
            numbers = np.arange(count, dtype=self._label)
            self._given = (middle.numpy(), centroids.contiguous().numpy(), numbers)
            return
        self._kernel = nearest_kernel()
        more = -dimensions % FEATURES_AT_ONCE
        padded = torch.nn.functional.pad(centroids, (0, more, 0, count % 2)).numpy()
        halves = 0.5 * (padded * padded).sum(axis=1)
        halves[count:] = np.inf
        numbers = np.arange(len(padded), dtype=self._label)
        self._given = (middle.numpy(), padded, halves, numbers)

    def __call__(self, points: Tensor) -> Tensor:
        labels = np.empty(len(points), dtype=self._label)
        self._kernel(np.ascontiguousarray(points.numpy()), *self._given, labels)
        return torch.from_numpy(labels)


def _by_product(points: Tensor, middle: Tensor, centroids: Tensor) -> Tensor:
    """The nearest centroid has the largest x.c - |c|^2 / 2."""
    count, dimensions = centroids.shape
    # Centroids at infinity fill the last group and are never the nearest.
    padded = -(-count // _GROUP) * _GROUP
    weights = centroids.new_zeros(dimensions + 1, padded)
    weights[:dimensions, :count] = centroids.T
    weights[dimensions] = -torch.inf
    weights[dimensions, :count] = -0.5 * (centroids * centroids).sum(dim=1)
    rows = _BLOCK_ROWS if points.device.type == "cpu" else _BLOCK_ROWS_GPU
    rows = min(rows, len(points))
    scores = points.new_empty(rows, padded)
    block = points.new_ones(rows, dimensions + 1)
    numbers = torch.arange(rows, device=points.device)
    result = torch.empty(len(points), dtype=torch.int64, device=points.device)
    for start in range(0, len(points), rows):
        size = min(rows, len(points) - start)
        torch.sub(points[start : start + size], middle, out=block[:size, :dimensions])
        product = torch.mm(block[:size], weights, out=scores[:size])
        grouped = product.view(size, padded // _GROUP, _GROUP)
        column = grouped.amax(dim=1).argmax(dim=1)
        within = grouped[numbers[:size], :, column].argmax(dim=1)
        torch.add(column, within, alpha=_GROUP, out=result[start : start + size])
    return result
