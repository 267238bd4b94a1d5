"""Codes for single numbers: bins of a column, and the value that stands for each.

Bins follow the quantiles, so that codes are used alike, as far as the error to expect stays well
below that of the measurements. Otherwise a part of them goes to where it makes the squared error
smallest, in units of the measurement errors if they are known. Nearly all bins have values that
taught: the others divide the widest gaps between single values, or lie beyond both ends, wider and
wider, for values farther out than all that taught. Values that many
rows share, such as the 99 of an undetected magnitude, have a bin of their own. Each bin is
represented by the mean of its values, which makes the squared error smallest (Lloyd 1982, IEEE
Trans. Inf. Theory 28, 129), or of the values to expect where only a few have taught.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from astromodal_tokenizers.normalization import Transform, choose_transform
from astromodal_tokenizers.tokenizers.density import predicted_means
from astromodal_tokenizers.tokenizers.edges import (
    FEWEST_TO_EXTEND,
    distant_edges,
    empty_bins,
    laid_edges,
    outer_edges,
    thinned,
    without_distant,
)
from astromodal_tokenizers.tokenizers.occupancy import expected_use
from astromodal_tokenizers.tokenizers.resolution import Need, expected_error
from astromodal_tokenizers.tokenizers.search import CellTable, cell_table, search_kernel

__all__ = ["MISSING", "Bins", "fit_bins"]

Float = NDArray[np.float64]

MISSING = 65_535
"""The mark of a missing value in an array of codes; never a code."""

# For fewer values NumPy's search is as fast.
_FEWEST_SEARCHED = 1 << 12
# Share of the bins that may be left without values that taught.
_EMPTY = 0.1
_ATTEMPTS = 4
# Bins follow the quantiles as far as the error to expect stays below this part of the measurement
# error, or without one, of the standard deviation: bins elsewhere are rarely used.
_TARGET = 0.2
_TARGET_OF_SPREAD = 0.01
# They follow them farther if values to come would otherwise use less than this share of the codes.
_LEAST_USE = 0.92
# Halvings of the range in which the effort is sought.
_HALVINGS = 5
# The mean of so many values is as good as any other guess.
_MANY_IN_BIN = 3
# More values for each code tell no more about where to put its edges.
_MOST_PER_CODE = 100
# Fewer rows for each distinct value: no classes, but a short sample of a continuous column.
_ROWS_OF_A_CLASS = 2.0


@dataclass(frozen=True)
class Bins:
    """The codes of a column.

    Attributes
    ----------
    edges : ndarray of float64, shape (size - 1,)
        Rising; a value belongs to the bin whose lower edge is the last that is not above it.
    values : ndarray of float64, shape (size,)
        What stands for each bin.
    transform : Transform
        The scale on which errors are normalised.
    spread : float
        Standard deviation of the transformed values.
    counts : ndarray of int64, shape (size,)
        Values of each bin among those that taught; empty if that is not known.
    """

    edges: Float
    values: Float
    transform: Transform = field(default_factory=Transform)
    spread: float = 1.0
    counts: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, dtype=np.int64))

    @property
    def size(self) -> int:
        """Number of codes (int)."""
        return len(self.values)

    def encode(self, values: NDArray[Any]) -> NDArray[np.uint16]:
        """Codes of values; `MISSING` for NaN.

        Parameters
        ----------
        values : ndarray of float, any shape

        Returns
        -------
        ndarray of uint16, same shape
        """
        flat = np.asarray(values, dtype=np.float64).ravel()
        return self._search(flat).reshape(np.shape(values))

    def decode(self, codes: NDArray[np.integer[Any]]) -> Float:
        """Values of codes (ndarray of float64, same shape); NaN for `MISSING`."""
        missing = codes == MISSING
        result = self.values[np.where(missing, 0, codes)]
        result[missing] = np.nan
        return np.asarray(result)

    def arrays(self, name: str) -> dict[str, NDArray[Any]]:
        """What a file has to hold, under the name of the codebook.

        Returns
        -------
        dict of str to ndarray
            ``<name>.edges`` and ``<name>.values`` in the unit of the values, ``<name>.counts``, and
            ``<name>.codebook``, the values on the scale of `normalised` (float32, shape (size, 1)).
        """
        codebook = self.normalised(self.values).astype(np.float32)[:, None]
        return {
            f"{name}.edges": self.edges,
            f"{name}.values": self.values,
            f"{name}.counts": self.counts,
            f"{name}.codebook": codebook,
        }

    def record(self) -> dict[str, Any]:
        """What JSON has to hold besides `arrays`."""
        return {"transform": self.transform.record(), "spread": self.spread}

    @classmethod
    def from_state(cls, arrays: dict[str, NDArray[Any]], name: str, record: dict[str, Any]) -> Bins:
        """Make the bins of which `arrays` and `record` were written."""
        return cls(
            arrays[f"{name}.edges"],
            arrays[f"{name}.values"],
            Transform.from_record(record["transform"]),
            float(record["spread"]),
            arrays[f"{name}.counts"],
        )

    def normalised(self, values: Float) -> Float:
        """Values on the scale on which the column has a standard deviation of one."""
        return np.asarray(self.transform.forward(values) / self.spread)

    @cached_property
    def _table(self) -> CellTable:
        return cell_table(self.edges)

    def _search(self, values: Float) -> NDArray[np.uint16]:
        if len(values) < _FEWEST_SEARCHED or self.size < 3:
            result = np.searchsorted(self.edges, values, side="right").astype(np.uint16)
            result[np.isnan(values)] = MISSING
            return result
        result = np.empty(len(values), dtype=np.uint16)
        search_kernel()(values, self.edges, *self._table, MISSING, result)
        return result


def fit_bins(
    values: Float,
    size: int,
    *,
    quantile_share: float = 0.65,
    transform: str = "auto",
    errors: Float | None = None,
    per_code: int = 1,
) -> Bins:
    """Learn the codes of a column.

    Parameters
    ----------
    values : ndarray of float64, shape (n,)
        Finite, at least one.
    size : int
        Codes at most; fewer if the column has fewer distinct values, or too few values to learn
        from.
    quantile_share : float
        Share of the edges that follows the quantiles at least; as many more as leave the error to
        expect small.
    transform : str
        Name of the scale, or ``auto``.
    errors : ndarray of float64, shape (n,), optional
        Standard errors of the values; NaN where unknown. The error is then made small in units of
        these.
    per_code : int
        Values that there have to be for each code, unless they are whole numbers: with few values
        for a code, single ones are learned by heart.

    Returns
    -------
    Bins
    """
    distinct, counts = np.unique(values, return_counts=True)
    # Whole numbers count something, and each may be a class of its own.
    whole = np.array_equal(distinct, np.rint(distinct))
    if not whole:
        size = min(size, max(2, len(values) // per_code))
    classes = len(distinct) < FEWEST_TO_EXTEND or len(values) > _ROWS_OF_A_CLASS * len(distinct)
    if not (whole or classes):
        size = min(size, len(distinct))
    elif len(distinct) <= size:
        scale = choose_transform(values, transform)
        middle = (distinct[1:] + distinct[:-1]) / 2.0
        # The middle of two neighbouring numbers may round to the lower one.
        edges = np.where(middle > distinct[:-1], middle, distinct[1:])
        return Bins(edges, distinct, scale, _spread(scale.forward(values)), counts)
    heavy = distinct[counts > max(2.0, 1.5 * len(values) / size)]
    heavy = heavy[: max(0, (size - 2) // 3)] if 3 * len(heavy) > size - 2 else heavy
    is_rest = ~np.isin(values, heavy)
    rest = values[is_rest]
    scale = choose_transform(rest if len(rest) else values, transform)
    need = None if errors is None else Need(scale, rest, errors[is_rest])
    if need is not None and not need.is_known:
        need = None
    rest = thinned(rest, _MOST_PER_CODE * size)
    distant = distant_edges(distinct)
    own = np.unique(np.concatenate([heavy, np.nextafter(heavy, np.inf), distant]))
    own = own[: size - 1]
    ordered = np.sort(values)
    body = without_distant(rest, distant)
    beyond = outer_edges(scale, body, size, need=need, whole=whole)
    beyond = beyond[~np.isin(beyond, own)][: max(0, size - 1 - len(own))]
    own = np.union1d(own, beyond)
    most_empty = int(_EMPTY * size)
    spare = max(0, most_empty - len(beyond)) if size >= FEWEST_TO_EXTEND else 0
    known = np.unique(scale.forward(body), return_counts=True)
    target = _TARGET if need is not None else _TARGET_OF_SPREAD * _spread(scale.forward(body))

    def lay(effort: float, spare: int) -> Float:
        inner = laid_edges(
            scale,
            body,
            size - 1 - len(own),
            quantile_share=1.0 - effort * (1.0 - quantile_share),
            need=need,
            spare=round(effort * spare),
            whole=whole,
        )
        return np.asarray(np.union1d(inner, own))

    def is_fine(effort: float) -> bool:
        inner = scale.forward(lay(effort, spare))
        return expected_error(*known, inner, need) <= target

    def is_used(effort: float) -> bool:
        return expected_use(*known, scale.forward(lay(effort, spare))) >= _LEAST_USE

    # Quantiles alone leave nothing to weigh: wide gaps are divided as far as is allowed.
    settled = whole or classes or quantile_share == 1.0 or len(known[0]) < 2
    effort = 1.0 if settled else _effort(is_fine, is_used)
    for _ in range(_ATTEMPTS):
        edges = lay(effort, spare)
        excess = empty_bins(edges, ordered) - most_empty
        if excess <= 0 or not spare:
            break
        spare = max(0, spare - excess)
    return _represented(edges, ordered, scale, None if whole or classes else body)


def _effort(is_fine: Callable[[float], bool], is_used: Callable[[float], bool]) -> float:
    """The least effort from 0, quantiles alone, to 1 that is fine, as far as codes are used."""
    low, high = 0.0, 0.0 if is_fine(0.0) else 1.0
    for _ in range(_HALVINGS if high else 0):
        middle = (low + high) / 2.0
        low, high = (low, middle) if is_fine(middle) else (middle, high)
    if is_used(high):
        return high
    low = 0.0
    for _ in range(_HALVINGS):
        middle = (low + high) / 2.0
        low, high = (middle, high) if is_used(middle) else (low, middle)
    return low


def _represented(edges: Float, ordered: Float, scale: Transform, body: Float | None) -> Bins:
    """Bins with their values; without a body, values are classes with nothing between them."""
    bounds = np.concatenate([[0], np.searchsorted(ordered, edges, side="left"), [len(ordered)]])
    counts = np.diff(bounds)
    filled = np.flatnonzero(counts)
    transformed = scale.forward(ordered)
    # Of a bin beyond all values, the middle, or where it has no end, a little outside.
    inner = scale.forward(edges)
    steps = (np.diff(inner)[[0, -1]] if len(inner) > 1 else np.zeros(2)) / 2.0
    low_end = min(transformed[0], inner[0] - steps[0])
    high_end = max(transformed[-1], inner[-1] + steps[1])
    limits = np.concatenate([[low_end], inner, [high_end]])
    means = (limits[1:] + limits[:-1]) / 2.0
    means[filled] = np.add.reduceat(transformed, bounds[filled]) / counts[filled]
    if body is not None and len(body):
        predicted = predicted_means(*np.unique(scale.forward(body), return_counts=True), inner)
        few = np.isfinite(predicted) & (counts < _MANY_IN_BIN)
        means[few] = predicted[few]
    represented = scale.inverse(means)
    # Values that are all equal come back as they were, whatever the transform rounds.
    some = filled if body is None else np.flatnonzero(counts > 1)
    first, last = ordered[bounds[some]], ordered[bounds[some + 1] - 1]
    equal = first == last
    represented[some[equal]] = first[equal]
    return Bins(edges, represented, scale, _spread(transformed), counts)


def _spread(transformed: Float) -> float:
    deviation = float(np.std(transformed))
    return deviation if deviation > 0.0 else 1.0
