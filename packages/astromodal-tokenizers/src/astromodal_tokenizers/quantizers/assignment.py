"""Which centroid is nearest: the step that decides how fast everything else is.

One dimension is a search among sorted midpoints. Two dimensions use a grid whose cells know the few
centroids that can be nearest to a point inside. More dimensions are a matrix product in blocks that
stay in the cache, and a maximum in two stages, since a plain argmax costs twice the product.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from astromodal_tokenizers.threads import each_part

__all__ = ["nearest_centroids"]

_BLOCK_ROWS = 512
_BLOCK_ROWS_GPU = 65_536
_GROUP = 32
# Rows that one thread takes at a time: few enough to keep the lists of candidates small.
_PART_ROWS = 1 << 14
_PART_ROWS_GPU = 1 << 22
# A grid pays from so many points on; below, and for few centroids, the product is as fast.
_GRID_POINTS = 20_000
_GRID_CENTROIDS = 64
_GRID_SIDE = 128
_FEW = (4, 8, 16, 32)


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
    elif dimensions == 2 and len(points) >= _GRID_POINTS and len(centroids) >= _GRID_CENTROIDS:
        find = _Grid(points, middle, centroids)
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


class _Grid:
    """Looks up the centroids that can be nearest in a point's cell, and compares those alone."""

    def __init__(self, points: Tensor, middle: Tensor, centroids: Tensor) -> None:
        self._middle = middle
        self._centroids = centroids
        self._columns = [
            _cell_edges(points[:, axis] - middle[axis], centroids[:, axis]) for axis in (0, 1)
        ]
        self._candidates, self._counts = _candidates(self._columns, centroids)

    def __call__(self, points: Tensor) -> Tensor:
        points = points - self._middle
        cell = torch.searchsorted(self._columns[0][1:-1], points[:, 0].contiguous()) * _GRID_SIDE
        cell += torch.searchsorted(self._columns[1][1:-1], points[:, 1].contiguous())
        return _among(points, self._centroids, cell, self._candidates, self._counts)


def _cell_edges(values: Tensor, centroids: Tensor) -> Tensor:
    """Edges between which about as many centroids lie; the outer ones hold all points."""
    share = torch.linspace(0.0, 1.0, _GRID_SIDE + 1, dtype=values.dtype, device=values.device)
    edges = torch.quantile(centroids, share)
    edges[0] = torch.minimum(edges[0], values.min())
    edges[-1] = torch.maximum(edges[-1], values.max())
    return edges


def _candidates(columns: list[Tensor], centroids: Tensor) -> tuple[Tensor, Tensor]:
    """For each cell the centroids that may be nearest to a point of it, padded, and their number.

    A centroid is out if another is nearer to every point of the cell: if its smallest distance to
    the cell is larger than the smallest of all largest distances.
    """
    near, far = [], []
    for edges, place in zip(columns, centroids.T, strict=True):
        below = edges[:-1, None] - place
        above = place - edges[1:, None]
        near.append(torch.clamp(torch.maximum(below, above), min=0.0) ** 2)
        far.append(torch.maximum((edges[1:, None] - place).abs(), below.abs()) ** 2)
    limit = _FEW[-1]
    cells = _GRID_SIDE * _GRID_SIDE
    candidates = torch.zeros(cells, limit, dtype=torch.int64, device=centroids.device)
    counts = torch.zeros(cells, dtype=torch.int64, device=centroids.device)
    for row in range(_GRID_SIDE):
        bound = (far[0][row] + far[1]).amin(dim=1, keepdim=True)
        # A little slack covers rounding.
        possible = near[0][row] + near[1] <= bound * (1.0 + 1e-5)
        cell, centroid = possible.nonzero(as_tuple=True)
        number = possible.sum(dim=1)
        first = torch.cumsum(number, 0) - number
        place = torch.arange(len(cell), device=cell.device) - first[cell]
        kept = place < limit
        part = slice(row * _GRID_SIDE, (row + 1) * _GRID_SIDE)
        candidates[part][cell[kept], place[kept]] = centroid[kept]
        counts[part] = number
    # The first candidate stands in for those that a cell lacks.
    lacking = torch.arange(limit, device=counts.device) >= counts[:, None]
    candidates = torch.where(lacking, candidates[:, :1], candidates)
    return candidates, counts


def _among(
    points: Tensor, centroids: Tensor, cell: Tensor, candidates: Tensor, counts: Tensor
) -> Tensor:
    result = torch.empty(len(points), dtype=torch.int64, device=points.device)
    number = counts[cell]
    lower = 0
    for limit in _FEW:
        chosen = ((number > lower) & (number <= limit)).nonzero()[:, 0]
        lower = limit
        if not len(chosen):
            continue
        some = candidates[cell[chosen], :limit]
        place = points[chosen]
        distance = (centroids[:, 0][some] - place[:, :1]) ** 2
        distance += (centroids[:, 1][some] - place[:, 1:]) ** 2
        best = distance.argmin(dim=1, keepdim=True)
        result[chosen] = some.gather(1, best)[:, 0]
    rest = (number > lower).nonzero()[:, 0]
    if len(rest):
        zero = torch.zeros_like(centroids[0])
        result[rest] = _by_product(points[rest], zero, centroids)
    return result
