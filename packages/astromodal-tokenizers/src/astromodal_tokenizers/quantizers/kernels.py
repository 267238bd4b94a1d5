"""The loops of k-means that a processor runs compiled.

The nearest centroid c of a point x has the smallest ``|c|^2 / 2 - x.c``. A matrix product would
write all these numbers to memory before their minimum is sought; here they never leave the cache.
Some points at a time are laid out feature by feature, so that the innermost loops run over points.
With two features the distances themselves cost no more, and do not suffer where one centroid lies
far off.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, Final

import numba
import numpy as np

__all__ = ["FEATURES_AT_ONCE", "moves_kernel", "nearest_kernel", "planar_kernel", "spread_kernel"]

FEATURES_AT_ONCE: Final = 4
"""The number of features that `nearest_kernel` takes is a multiple of this."""

# Points whose features fit into the first level of the cache.
_POINTS: Final = 256
# Sums may be taken in another order; the caller keeps NaN out.
_FAST: Final = {"contract", "reassoc", "nsz"}


@cache
def nearest_kernel() -> Callable[..., None]:
    """Compile the search for the nearest centroid.

    Returns
    -------
    callable
        ``kernel(points, middle, centroids, halves, numbers, labels)``: ``points``, shape (n, d);
        ``middle``, shape (d,), is taken off the points as it was off ``centroids``, shape (k, e);
        ``halves``, shape (k,), half the squared lengths of the centroids; all of one type of float.
        k is even, and e is d or more, a multiple of `FEATURES_AT_ONCE`; what is added to reach
        that is zero, and infinite in ``halves``. ``numbers``, 0 to k - 1, and ``labels``, shape
        (n,), which is filled, are integers as wide as the floats.
    """
    size = _POINTS

    @numba.njit(nogil=True, cache=True, fastmath=_FAST, error_model="numpy")
    def kernel(
        points: Any, middle: Any, centroids: Any, halves: Any, numbers: Any, labels: Any
    ) -> None:
        by_feature = np.zeros((centroids.shape[1], size), points.dtype)
        one = np.empty(size, points.dtype)
        two = np.empty(size, points.dtype)
        least = np.empty(size, points.dtype)
        nearest = np.empty(size, labels.dtype)
        for start in range(0, len(points), size):
            count = min(size, len(points) - start)
            for place in range(count):
                for axis in range(points.shape[1]):
                    by_feature[axis, place] = points[start + place, axis] - middle[axis]
            least[:] = np.inf
            nearest[:] = 0
            # Two centroids and four features at a time: each number that is loaded counts twice.
            for number in range(0, len(centroids), 2):
                start_one, start_two = halves[number], halves[number + 1]
                for place in range(size):
                    one[place] = start_one
                    two[place] = start_two
                for axis in range(0, centroids.shape[1], 4):
                    a0, b0 = centroids[number, axis], centroids[number + 1, axis]
                    a1, b1 = centroids[number, axis + 1], centroids[number + 1, axis + 1]
                    a2, b2 = centroids[number, axis + 2], centroids[number + 1, axis + 2]
                    a3, b3 = centroids[number, axis + 3], centroids[number + 1, axis + 3]
                    x0, x1 = by_feature[axis], by_feature[axis + 1]
                    x2, x3 = by_feature[axis + 2], by_feature[axis + 3]
                    for p in range(size):
                        one[p] -= x0[p] * a0 + x1[p] * a1 + x2[p] * a2 + x3[p] * a3
                        two[p] -= x0[p] * b0 + x1[p] * b1 + x2[p] * b2 + x3[p] * b3
                first, second = numbers[number], numbers[number + 1]
                for place in range(size):
                    is_first = one[place] <= two[place]
                    score = one[place] if is_first else two[place]
                    winner = first if is_first else second
                    is_nearer = score < least[place]
                    least[place] = score if is_nearer else least[place]
                    nearest[place] = winner if is_nearer else nearest[place]
            labels[start : start + count] = nearest[:count]

    compiled: Callable[..., None] = kernel
    return compiled


@cache
def planar_kernel() -> Callable[..., None]:
    """Compile the search for the nearest centroid of points with two features.

    Returns
    -------
    callable
        ``kernel(points, middle, centroids, numbers, labels)``, as in `nearest_kernel`, with any
        number of centroids of two features.
    """
    size = _POINTS

    @numba.njit(nogil=True, cache=True, fastmath=_FAST, error_model="numpy")
    def kernel(points: Any, middle: Any, centroids: Any, numbers: Any, labels: Any) -> None:
        x = np.zeros(size, points.dtype)
        y = np.zeros(size, points.dtype)
        least = np.empty(size, points.dtype)
        nearest = np.empty(size, labels.dtype)
        for start in range(0, len(points), size):
            count = min(size, len(points) - start)
            for place in range(count):
                x[place] = points[start + place, 0] - middle[0]
                y[place] = points[start + place, 1] - middle[1]
            least[:] = np.inf
            nearest[:] = 0
            for row in range(len(centroids)):
                a, b, number = centroids[row, 0], centroids[row, 1], numbers[row]
                for place in range(size):
                    distance = (x[place] - a) ** 2 + (y[place] - b) ** 2
                    is_nearer = distance < least[place]
                    least[place] = distance if is_nearer else least[place]
                    nearest[place] = number if is_nearer else nearest[place]
            labels[start : start + count] = nearest[:count]

    compiled: Callable[..., None] = kernel
    return compiled


@cache
def moves_kernel() -> Callable[..., float]:
    """Compile the sums that a step of k-means needs.

    Returns
    -------
    callable
        ``kernel(points, labels, centroids, moves, counts)`` adds the offsets of points from their
        centroids to ``moves``, float64 of shape (k, d), and their numbers to ``counts``, float64
        of shape (k,); it returns the sum of squared distances.
    """

    @numba.njit(nogil=True, cache=True)
    def kernel(points: Any, labels: Any, centroids: Any, moves: Any, counts: Any) -> float:
        total = 0.0
        for row in range(len(points)):
            label = labels[row]
            counts[label] += 1.0
            for axis in range(points.shape[1]):
                offset = np.float64(points[row, axis]) - np.float64(centroids[label, axis])
                moves[label, axis] += offset
                total += offset * offset
        return total

    compiled: Callable[..., float] = kernel
    return compiled


@cache
def spread_kernel() -> Callable[..., None]:
    """Compile the choice of points in turn, each with a chance that goes with its distance squared.

    Returns
    -------
    callable
        ``kernel(by_feature, draws, chosen)``: ``by_feature``, shape (d, n), are the points;
        ``draws``, shape (k,), numbers from 0 to 1; fills ``chosen``, int64 of shape (k,), with
        their places.
    """

    @numba.njit(nogil=True, cache=True, fastmath=_FAST)
    def kernel(by_feature: Any, draws: Any, chosen: Any) -> None:
        dimensions, count = by_feature.shape
        distance = np.full(count, np.inf, by_feature.dtype)
        offset = np.empty(count, by_feature.dtype)
        row = min(int(draws[0] * count), count - 1)
        for number in range(len(draws)):
            if number:
                target = draws[number] * np.sum(distance.astype(np.float64))
                summed = 0.0
                row = count - 1
                for place in range(count):
                    summed += distance[place]
                    if summed > target:
                        row = place
                        break
            chosen[number] = row
            offset[:] = 0.0
            for axis in range(dimensions):
                here = by_feature[axis, row]
                for place in range(count):
                    step = by_feature[axis, place] - here
                    offset[place] += step * step
            for place in range(count):
                distance[place] = min(distance[place], offset[place])

    compiled: Callable[..., None] = kernel
    return compiled
