"""The search for the bin of a value, compiled: a table of cells leads to the few edges nearby."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

__all__ = ["CellTable", "cell_table", "search_kernel"]

# Cells of the table; most hold no edge or one.
_CELLS = 1 << 16
# A cell is judged with a margin for rounding, as a part of its width.
_MARGIN = 1e-3
# The cells cover these percentiles of the edges; values beyond take a few more steps.
_INNER_PER_CENT = (0.5, 99.5)

CellTable = tuple[float, float, NDArray[np.int32], NDArray[np.int32]]
"""Start and inverse width of the cells, and by cell the lowest and the highest bin of a value."""


def cell_table(edges: NDArray[np.float64]) -> CellTable:
    """Make the table; its first and last cells stand for all values below and above the others."""
    inside = edges[np.isfinite(edges)]
    low, high = np.percentile(inside, _INNER_PER_CENT) if len(inside) else (0.0, 0.0)
    if not high > low:
        low, high = low - 1.0, low + 1.0
    step = (high - low) / _CELLS
    bounds = low + step * np.arange(_CELLS + 1)
    lowest = np.searchsorted(edges, bounds - _MARGIN * step, side="right")
    highest = np.searchsorted(edges, bounds + _MARGIN * step, side="right")
    return (
        float(low),
        float(1.0 / step),
        np.concatenate([[0], lowest]).astype(np.int32),
        np.concatenate([highest, [len(edges)]]).astype(np.int32),
    )


@cache
def search_kernel() -> Callable[..., None]:
    """Compile the search.

    Returns
    -------
    callable
        ``kernel(values, edges, low, inverse, lowest, highest, missing, codes)``: ``values``,
        float64 of shape (n,); ``edges``, rising; then what `cell_table` gave; fills ``codes``,
        uint16 of shape (n,), with the number of edges that are not above each value, and with
        ``missing`` for NaN.
    """

    @numba.njit(nogil=True, cache=True)
    def kernel(
        values: Any,
        edges: Any,
        low: float,
        inverse: float,
        lowest: Any,
        highest: Any,
        missing: int,
        codes: Any,
    ) -> None:
        last = len(lowest) - 1
        for row in range(len(values)):
            value = values[row]
            if np.isnan(value):
                codes[row] = missing
                continue
            place = (value - low) * inverse
            cell = 0
            if place >= last - 1:
                cell = last
            elif place >= 0.0:
                cell = int(place) + 1
            start, stop = lowest[cell], highest[cell]
            while stop - start > 2:
                middle = (start + stop) // 2
                if value >= edges[middle]:
                    start = middle + 1
                else:
                    stop = middle
            while start < stop and value >= edges[start]:
                start += 1
            codes[row] = start

    compiled: Callable[..., None] = kernel
    return compiled
