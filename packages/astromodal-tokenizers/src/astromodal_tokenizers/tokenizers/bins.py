"""Codes for single numbers: bins of a column, and the value that stands for each.

Most of the resolution follows the quantiles, so that all codes are used alike. The rest goes to
where it is needed, so that rare values keep a small error too, unless this would leave too many
codes without use: by the measurement errors if they are known, else evenly over the central range
of the transformed values. Values that many rows share, such as the 99 of
an undetected magnitude, have a bin of their own. Each bin is represented by the mean of its values,
which makes the squared error smallest (Lloyd 1982, IEEE Trans. Inf. Theory 28, 129), in the
outermost bins too.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from astromodal_tokenizers.normalization import Transform, choose_transform

__all__ = ["MISSING", "Bins", "fit_bins"]

Float = NDArray[np.float64]

MISSING = 65_535
"""The mark of a missing value in an array of codes; never a code."""

# Cells of the table by which a value finds its bin.
_CELLS = 1 << 16
# The even share reaches this many times farther than the central 98 per cent.
_REACH = 4.0
_MARGIN = 0.03
# Of the whole range: a narrower centre is no range to divide.
_LEAST_WIDTH = 1e-12
# A bin with less than this share of the values of an even one is rare; so many may be.
_LEAST_SHARE = 0.05
_MOST_RARE = 0.1
# With few values for each code an empty bin says little.
_MOST_RARE_OF_FEW = 0.2
_FEW_PER_CODE = 10
# Far values on each side that may get a bin of their own.
_MOST_DISTANT = 4
_CENTRAL_PER_CENT = (1.0, 50.0, 99.0)
# Errors are taken as the medians of so many groups of neighbouring values.
_ERROR_GROUPS = 64
_FEWEST_IN_GROUP = 10


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
    if not np.array_equal(distinct, np.rint(distinct)):
        # Whole numbers count something, and each may be a class of its own.
        size = min(size, max(2, len(values) // per_code))
    if len(distinct) <= size:
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
    need = None if errors is None else _Need(scale, rest, errors[is_rest])
    own = np.unique(np.concatenate([heavy, np.nextafter(heavy, np.inf), _distant(distinct)]))
    own = own[: size - 1]
    ordered = np.sort(values)
    few = len(values) < _FEW_PER_CODE * size
    most_rare = (_MOST_RARE_OF_FEW if few else _MOST_RARE) * size
    share = quantile_share
    while True:
        found = _edges(scale, rest, size - len(own), share, need)
        edges = _filled(np.union1d(found, own), ordered, size)
        # A long empty stretch must not take the codes: the quantiles then get a larger share.
        if share >= 1.0 or _rare(edges, ordered, size) <= most_rare:
            break
        share = min(1.0, share + 0.1)
    return _represented(edges, values, scale)


def _distant(distinct: Float) -> Float:
    """Edges that part single far values from all others, such as one 99 among magnitudes."""
    edges = []
    for ordered in (distinct, distinct[::-1]):
        left = ordered[: len(ordered) // 2 : -1]
        for place, outer in enumerate(left[:_MOST_DISTANT]):
            inner = ordered[-2 - place]
            if abs(outer - inner) <= abs(inner - ordered[0]):
                break
            edges.append((outer + inner) / 2.0)
    return np.array(edges)


class _Need:
    """How fine the scale has to be resolved, by the errors of values there."""

    def __init__(self, scale: Transform, values: Float, errors: Float) -> None:
        known = np.isfinite(errors) & (errors > 0.0)
        values, errors = values[known], errors[known]
        place = scale.forward(values)
        with np.errstate(invalid="ignore"):
            width = (scale.forward(values + errors) - scale.forward(values - errors)) / 2.0
        known = np.isfinite(place) & np.isfinite(width) & (width > 0.0)
        order = np.argsort(place[known], kind="stable")
        groups = min(_ERROR_GROUPS, len(order) // _FEWEST_IN_GROUP)
        parts = np.array_split(order, groups) if groups else []
        self._place = np.array([np.median(place[known][part]) for part in parts])
        self._density = np.array([1.0 / np.median(width[known][part]) for part in parts])

    def cumulative(self, grid: Float, start: float, stop: float) -> Float:
        """Share of the need below each point of a rising grid; none outside start and stop."""
        even = np.clip((grid - start) / (stop - start), 0.0, 1.0)
        if len(self._place) < 2:
            return np.asarray(even)
        density = np.interp(grid, self._place, self._density)
        steps = np.diff(even) * (density[1:] + density[:-1]) / 2.0
        summed = np.concatenate([[0.0], np.cumsum(steps)])
        return np.asarray(summed / summed[-1])


def _edges(
    scale: Transform, values: Float, count: int, quantile_share: float, need: _Need | None
) -> Float:
    """Edges of bins that hold equal shares of quantiles and of the central range."""
    if count < 2 or not len(values) or values.min() == values.max():
        return np.empty(0)
    ordered = np.sort(scale.forward(values))
    low, centre, high = np.percentile(ordered, _CENTRAL_PER_CENT)
    start = max(ordered[0], centre - _REACH * (centre - low))
    stop = min(ordered[-1], centre + _REACH * (high - centre))
    whole = ordered[-1] - ordered[0]
    if not whole > 0.0:  # the values differ, but not on the scale
        return np.empty(0)
    if stop - start <= _LEAST_WIDTH * whole:
        start, stop = ordered[0], ordered[-1]
    margin = _MARGIN * (stop - start)
    start, stop = start - margin, stop + margin
    known, first = np.unique(ordered, return_index=True)
    rank = first / len(ordered)
    grid = np.unique(np.concatenate([known, np.linspace(start, stop, 4 * count + 1)]))
    share = quantile_share * np.interp(grid, known, rank)
    if need is None:
        even = np.clip((grid - start) / (stop - start), 0.0, 1.0)
    else:
        even = need.cumulative(grid, start, stop)
    share += (1.0 - quantile_share) * even
    wanted = np.linspace(share[0], share[-1], count + 1)[1:-1]
    return scale.inverse(np.interp(wanted, share, grid))


def _filled(edges: Float, ordered: Float, size: int) -> Float:
    """Divide the fullest bins until there are as many as asked for."""
    edges = edges[(edges > ordered[0]) & (edges <= ordered[-1])]
    while len(edges) < size - 1:
        bounds = np.concatenate([[0], np.searchsorted(ordered, edges, side="left"), [len(ordered)]])
        some = np.diff(bounds) > 0
        first, last = ordered[bounds[:-1][some]], ordered[bounds[1:][some] - 1]
        counts = np.where(first < last, np.diff(bounds)[some], 0)
        fullest = np.argsort(-counts, kind="stable")[: size - 1 - len(edges)]
        fullest = fullest[counts[fullest] > 1]
        if not len(fullest):
            break
        start, stop = bounds[:-1][some][fullest], bounds[1:][some][fullest]
        middle = ordered[(start + stop) // 2]
        # Where many values are equal, the middle may be the lowest of the bin.
        middle = np.where(middle > first[fullest], middle, last[fullest])
        edges = np.union1d(edges, middle)
    return edges


def _rare(edges: Float, ordered: Float, size: int) -> int:
    """Bins with so few values that they would hardly ever be used."""
    bounds = np.concatenate([[0], np.searchsorted(ordered, edges, side="left"), [len(ordered)]])
    return int((np.diff(bounds) < max(1.0, _LEAST_SHARE * len(ordered) / size)).sum())


def _represented(edges: Float, values: Float, scale: Transform) -> Bins:
    codes = np.searchsorted(edges, values, side="right")
    transformed = scale.forward(values)
    size = len(edges) + 1
    counts = np.bincount(codes, minlength=size)
    sums = np.bincount(codes, weights=transformed, minlength=size)
    # Of a bin that no value has fallen into, the middle.
    outer = scale.forward(np.array([values.min(), values.max()]))
    inner = scale.forward(edges)
    bounds = np.concatenate([[min(outer[0], inner[0])], inner, [max(outer[1], inner[-1])]])
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
