"""Codes for single numbers: bins of a column, and the value that stands for each.

Most of the resolution follows the quantiles, so that all codes are used alike. The rest goes to
where it is needed, so that rare values keep a small error too, unless this would leave too many
codes without use: by the measurement errors if they are known, else evenly over the central range
of the transformed values. The widest bins are then divided once more, and a few bins beyond both
ends, wider and wider, are there for values farther out than all that taught. Values that many rows
share, such as the 99 of an undetected magnitude, have a bin of their own. Each bin is represented
by the mean of its values, which makes the squared error smallest (Lloyd 1982, IEEE Trans. Inf.
Theory 28, 129), in the outermost bins with values too.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from astromodal_tokenizers.normalization import Transform, choose_transform
from astromodal_tokenizers.tokenizers.edges import (
    FEWEST_TO_EXTEND,
    Need,
    distant_edges,
    divided,
    expected_cost,
    filled,
    outer_edges,
    rare_bins,
    spread_edges,
    thinned,
    without_distant,
)

__all__ = ["MISSING", "Bins", "fit_bins"]

Float = NDArray[np.float64]

MISSING = 65_535
"""The mark of a missing value in an array of codes; never a code."""

# Cells of the table by which a value finds its bin.
_CELLS = 1 << 16
# So many bins may be rare; see `rare_bins`.
_MOST_RARE = 0.09
# With few values for each code, more sources will fill some of the empty bins,
# most of all where the errors asked for them.
_MOST_RARE_OF_FEW = 0.1
_MOST_RARE_BY_ERRORS = 0.115
_FEWEST_BY_ERRORS = 2
_FEW_PER_CODE = 10
# One of these shares of the codes divides wide bins.
_DIVIDED = (0.05, 0.2)
_DIVIDED_OF_FEW = (0.05, 0.08, 0.1, 0.115, 0.13, 0.15, 0.2, 0.25, 0.3)
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
    def _table(self) -> tuple[float, float, NDArray[np.uint16], NDArray[np.bool_]]:
        """Start and inverse width of equal cells, their lowest bins, and which have many."""
        inside = self.edges[np.isfinite(self.edges)]
        # Most values lie between these; others take the slow way.
        low, high = np.percentile(inside, [0.5, 99.5]) if len(inside) else (0.0, 0.0)
        if not high > low:
            low, high = low - 1.0, low + 1.0
        step = (high - low) / _CELLS
        bounds = low + step * np.arange(_CELLS + 1)
        # A cell is judged with a margin for rounding.
        before = np.searchsorted(self.edges, bounds[:-1] - 1e-3 * step, side="right")
        after = np.searchsorted(self.edges, bounds[1:] + 1e-3 * step, side="right")
        first = np.concatenate([[0], before, [0]]).astype(np.uint16)
        return low, 1.0 / step, first, np.concatenate([[True], after > before + 1, [True]])

    def _search(self, values: Float) -> NDArray[np.uint16]:
        if len(values) < _CELLS or self.size < 3:
            result = np.searchsorted(self.edges, values, side="right").astype(np.uint16)
            result[np.isnan(values)] = MISSING
            return result
        low, inverse, first, many = self._table
        upper = np.append(self.edges, np.inf)
        result = np.empty(len(values), dtype=np.uint16)
        # Parts that stay in the cache.
        for start in range(0, len(values), 1 << 15):
            part = values[start : start + (1 << 15)]
            place = (part - low) * inverse
            np.clip(place, -1.0, _CELLS, out=place)
            with np.errstate(invalid="ignore"):
                cell = np.floor(place, out=place).astype(np.int32)
            cell += 1
            missing = np.isnan(part)
            some_missing = bool(missing.any())
            if some_missing:
                cell[missing] = 1
            found = first[cell]
            # Most cells hold no edge or one.
            found += part >= upper[found]
            rest = np.flatnonzero(many[cell])
            if len(rest):
                found[rest] = np.searchsorted(self.edges, part[rest], side="right")
            if some_missing:
                found[missing] = MISSING
            result[start : start + len(part)] = found
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
        Share of the resolution that follows the quantiles.
    transform : str
        Name of the scale, or ``auto``.
    errors : ndarray of float64, shape (n,), optional
        Standard errors of the values; NaN where unknown. The rest of the resolution then follows
        their inverse: bins much narrower than the error would be wasted.
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
    beyond = outer_edges(scale, body, size, whole=whole)
    beyond = beyond[~np.isin(beyond, own)][: max(0, size - 1 - len(own))]
    few = len(values) < _FEW_PER_CODE * size
    by_errors = need is not None and len(values) > _FEWEST_BY_ERRORS * size
    most_rare = _MOST_RARE
    if few:
        most_rare = _MOST_RARE_BY_ERRORS if by_errors else _MOST_RARE_OF_FEW
    most_rare *= size
    fractions: tuple[float, ...] = (0.0,)
    if size >= FEWEST_TO_EXTEND and not whole:
        fractions = _DIVIDED_OF_FEW if few else _DIVIDED
    best, least = np.empty(0), (True, np.inf)
    for share in (quantile_share, 1.0):
        for fraction in fractions:
            more = int(fraction * size)
            first = size - len(beyond) - more
            found = spread_edges(scale, rest, first - len(own), share, need)
            edges = filled(np.union1d(found, own), ordered, first)
            is_own = np.isin(edges, own)
            inner = divided(edges[~is_own], body, scale, need, more)
            edges = np.union1d(np.union1d(inner, edges[is_own]), beyond)
            # A long empty stretch must not take the codes.
            rare = rare_bins(edges, ordered, size)
            cost = (
                rare > most_rare,
                rare if rare > most_rare else expected_cost(edges, body, scale, need),
            )
            if cost < least:
                best, least = edges, cost
    return _represented(best, values, scale)


def _represented(edges: Float, values: Float, scale: Transform) -> Bins:
    codes = np.searchsorted(edges, values, side="right")
    transformed = scale.forward(values)
    size = len(edges) + 1
    counts = np.bincount(codes, minlength=size)
    sums = np.bincount(codes, weights=transformed, minlength=size)
    # Of a bin that no value has fallen into, the middle.
    outer = scale.forward(np.array([values.min(), values.max()]))
    inner = scale.forward(edges)
    # Where nothing lies beyond the last edge, a little outside it.
    steps = (np.diff(inner)[[0, -1]] if len(inner) > 1 else np.zeros(2)) / 2.0
    low_end, high_end = inner[0] - steps[0], inner[-1] + steps[1]
    bounds = np.concatenate([[min(outer[0], low_end)], inner, [max(outer[1], high_end)]])
    means = np.where(counts > 0, sums / np.maximum(counts, 1), (bounds[1:] + bounds[:-1]) / 2.0)
    represented = scale.inverse(means)
    # Values that are all equal come back as they were, whatever the transform rounds.
    order = np.argsort(codes, kind="stable")
    ends = np.cumsum(counts)
    low = np.full(size, np.nan)
    filled = counts > 0
    sorted_values = values[order]
    least = np.minimum.reduceat(sorted_values, (ends - counts)[filled])
    most = np.maximum.reduceat(sorted_values, (ends - counts)[filled])
    low[filled] = np.where(least == most, least, np.nan)
    represented = np.where(np.isnan(low), represented, low)
    return Bins(edges, represented, scale, _spread(transformed), counts)


def _spread(transformed: Float) -> float:
    deviation = float(np.std(transformed))
    return deviation if deviation > 0.0 else 1.0
