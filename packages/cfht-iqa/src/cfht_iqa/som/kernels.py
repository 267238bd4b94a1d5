"""The loops over sources and nodes, compiled.

The nearest node of a source x minimises ``|w|^2 / 2 - x w``. Blocks of sources are transposed, so
that the innermost loop runs over sources and fills the vector registers. The number of features is
a constant of each compiled function, since an unrolled sum is several times as fast.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, Final

import numba
import numpy as np

__all__ = ["nearest_kernel", "two_nearest_kernel"]

_BLOCK: Final = 256
# Sums may be reordered; NaN and infinities are kept out by the caller.
_FAST: Final = {"contract", "reassoc", "nsz", "arcp"}


@functools.cache
def nearest_kernel(n_features: int) -> Callable[..., None]:
    """Compile the search for the nearest node.

    Parameters
    ----------
    n_features : int
        Of a source.

    Returns
    -------
    callable
        ``kernel(data, offset, nodes, half_norms, nearest, sums, counts, accumulate)``: `data` is
        float32 of shape (n, n_features); `offset`, float32 of shape (n_features,), is taken off
        the data and has been taken off `nodes`, float32 of shape (n_nodes, n_features);
        `half_norms`, float32 of shape (n_nodes,), are half their squared lengths. Fills `nearest`,
        int32 of shape (n,), and where `accumulate` adds the sources, without the offset, to
        `sums`, float64 of shape (n_nodes, n_features), and `counts`, int64 of shape (n_nodes,).
    """
    features = n_features
    block = _BLOCK

    @numba.njit(nogil=True, cache=True, fastmath=_FAST, error_model="numpy")
    def kernel(
        data: Any,
        offset: Any,
        nodes: Any,
        half_norms: Any,
        nearest: Any,
        sums: Any,
        counts: Any,
        accumulate: bool,
    ) -> None:
        n_rows = data.shape[0]
        turned = np.zeros((features, block), np.float32)
        best = np.empty(block, np.float32)
        index = np.empty(block, np.int32)
        for start in range(0, n_rows, block):
            used = min(block, n_rows - start)
            for row in range(used):
                for feature in range(features):
                    turned[feature, row] = data[start + row, feature] - offset[feature]
            for row in range(block):
                best[row] = np.inf
                index[row] = 0
            for node in range(nodes.shape[0]):
                half = half_norms[node]
                for row in range(block):
                    score = half
                    for feature in range(features):
                        score -= turned[feature, row] * nodes[node, feature]
                    closer = score < best[row]
                    best[row] = score if closer else best[row]
                    index[row] = np.int32(node) if closer else index[row]
            for row in range(used):
                nearest[start + row] = index[row]
            if accumulate:
                for row in range(used):
                    winner = index[row]
                    counts[winner] += 1
                    for feature in range(features):
                        sums[winner, feature] += turned[feature, row]

    compiled: Callable[..., None] = kernel
    return compiled


@functools.cache
def two_nearest_kernel() -> Callable[..., None]:
    """Compile the search for the two nearest nodes and the distance of the nearest.

    Returns
    -------
    callable
        ``kernel(data, weights, first, second, distance)``: `data` and `weights` are float32 with
        as many columns; fills `first` and `second`, int32, and `distance`, float64.
    """

    @numba.njit(nogil=True, cache=True, error_model="numpy")
    def kernel(data: Any, weights: Any, first: Any, second: Any, distance: Any) -> None:
        n_nodes, n_features = weights.shape
        for row in range(data.shape[0]):
            nearest, runner_up = np.inf, np.inf
            nearest_node, runner_up_node = 0, 0
            for node in range(n_nodes):
                total = 0.0
                for feature in range(n_features):
                    step = np.float64(data[row, feature]) - np.float64(weights[node, feature])
                    total += step * step
                if total < nearest:
                    runner_up, runner_up_node = nearest, nearest_node
                    nearest, nearest_node = total, node
                elif total < runner_up:
                    runner_up, runner_up_node = total, node
            first[row] = nearest_node
            second[row] = runner_up_node
            distance[row] = np.sqrt(nearest)

    compiled: Callable[..., None] = kernel
    return compiled
