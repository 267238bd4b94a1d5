"""Where the edges of bins lie: by quantiles, by errors, in gaps, and beyond what was seen."""

from __future__ import annotations

import heapq
import itertools

import numpy as np
from numpy.typing import NDArray

from astromodal_tokenizers.normalization import Transform

__all__ = [
    "FEWEST_TO_EXTEND",
    "Need",
    "distant_edges",
    "divided",
    "expected_cost",
    "filled",
    "outer_edges",
    "rare_bins",
    "spread_edges",
    "thinned",
    "without_distant",
]

Float = NDArray[np.float64]

# The even share reaches this many times farther than the central 98 per cent.
_REACH = 4.0
_MARGIN = 0.03
# Of the whole range: a narrower centre is no range to divide.
_LEAST_WIDTH = 1e-12
# A bin with less than this share of the values of an even one is rare.
_LEAST_SHARE = 0.05
# From so many codes on, one in so many lies beyond each end of what was seen, as far as this share
# of the range.
FEWEST_TO_EXTEND = 64
_CODES_PER_OUTER = 100
_OUTER_REACH = 0.3
# With fewer values for each edge, the gaps between single values are what counts.
_FEW_PER_EDGE = 20.0
# Far values on each side that may get a bin of their own.
_MOST_DISTANT = 4
_CENTRAL_PER_CENT = (1.0, 50.0, 99.0)
# Errors are taken as the medians of so many groups of neighbouring values.
_ERROR_GROUPS = 64
_FEWEST_IN_GROUP = 10


def thinned(values: Float, most: int) -> Float:
    """So many of the values at most, at even steps of their rank, with the first and the last."""
    if len(values) <= most:
        return values
    return np.sort(values)[np.linspace(0, len(values) - 1, most).round().astype(np.int64)]


def without_distant(values: Float, distant: Float) -> Float:
    """Values, in order, without those that are parted from all others."""
    ordered = np.sort(values)
    middle = ordered[len(ordered) // 2] if len(ordered) else 0.0
    low = distant[distant < middle].max(initial=-np.inf)
    high = distant[distant >= middle].min(initial=np.inf)
    return np.asarray(ordered[(ordered >= low) & (ordered < high)])


def outer_edges(scale: Transform, ordered: Float, size: int, *, whole: bool) -> Float:
    """Edges outside the range of the values, at distances that grow by a constant factor."""
    count = size // _CODES_PER_OUTER + 1
    if size < FEWEST_TO_EXTEND or whole or len(ordered) < size // 2:
        return np.empty(0)
    place = scale.forward(ordered)
    reach = _OUTER_REACH * (place[-1] - place[0])
    if not reach > _LEAST_WIDTH * max(abs(place[0]), abs(place[-1])):
        return np.empty(0)
    edges = []
    for end, sign in ((place[0], -1.0), (place[-1], 1.0)):
        # As wide as bins are near the end, for there the values are as sparse.
        near = np.sort(np.abs(place - end))[max(1, 2 * len(place) // size)] / 2.0
        first = min(max(near, 1e-4 * reach), reach / 10.0)
        edges.append(end + sign * np.geomspace(first, reach, count))
    result = scale.inverse(np.concatenate(edges))
    # What never was negative may be unable to be.
    kept = np.isfinite(result) & ((result > 0.0) | (ordered[0] < 0.0))
    kept &= (result < ordered[0]) | (result > ordered[-1])
    return np.unique(result[kept])


def divided(edges: Float, ordered: Float, scale: Transform, need: Need | None, count: int) -> Float:
    """Add edges where the largest squared errors are expected."""
    place = np.unique(scale.forward(ordered))
    if count < 1 or len(place) < 2:
        return edges
    grid, units = _units(place, need)
    inside = (edges > ordered[0]) & (edges <= ordered[-1])
    inner = scale.forward(edges[inside])
    if len(ordered) < _FEW_PER_EDGE * len(inner):
        laid = _widest_gaps(inner, place, np.interp(place, grid, units), count)
    else:
        cuts = np.interp([place[0], *inner, place[-1]], grid, units)
        taught = np.interp(scale.forward(ordered), grid, units)
        laid = np.union1d(inner, np.interp(_halves(cuts, taught, count), units, grid))
    found = scale.inverse(laid)
    found = found[(found > ordered[0]) & (found <= ordered[-1])]
    return np.union1d(edges[~inside], found)


def _units(place: Float, need: Need | None) -> tuple[Float, Float]:
    """Places on the scale, rising, and the same counted in errors."""
    if need is None:
        return place, place
    grid = np.unique(np.concatenate([place, np.linspace(place[0], place[-1], 4096)]))
    return grid, need.cumulative(grid, place[0], place[-1])


def expected_cost(edges: Float, ordered: Float, scale: Transform, need: Need | None) -> float:
    """Squared error to expect of values that did not teach, to a factor."""
    place = scale.forward(ordered)
    grid, units = _units(np.unique(place), need)
    inner = scale.forward(edges[(edges > ordered[0]) & (edges <= ordered[-1])])
    cuts = np.interp([place[0], *inner, place[-1]], grid, units)
    taught = np.histogram(place, np.maximum.accumulate([place[0], *inner, place[-1]]))[0]
    # An empty bin may be hit too.
    return float(((taught + 0.5) * np.diff(cuts) ** 2).sum())


def _widest_gaps(edges: Float, place: Float, units: Float, count: int) -> Float:
    """Add edges in the widest gaps between neighbouring values, and space them evenly there.

    With few values for each bin, a value farther from all of them is met as often in each gap.
    """
    gaps = np.diff(units)
    number = np.bincount(np.searchsorted(place, edges, side="left") - 1, minlength=len(gaps))
    # The error in a gap falls with the number of edges; without any, its values share a bin.
    heap = list(zip(-gaps / np.maximum(number, 0.5), range(len(gaps)), strict=True))
    heapq.heapify(heap)
    for _ in range(count):
        row = heap[0][1]
        number[row] += 1
        heapq.heapreplace(heap, (-gaps[row] / number[row], row))
    rows = np.repeat(np.arange(len(gaps)), number)
    turn = np.arange(len(rows)) - np.repeat(np.cumsum(number) - number, number)
    share = (2.0 * turn + 1.0) / (2.0 * number[rows])
    return np.asarray(place[rows] + share * np.diff(place)[rows])


def _halves(cuts: Float, taught: Float, count: int) -> Float:
    """Middles of the bins that cost most, each half being divided again where it costs most."""

    def cost(low: float, high: float) -> float:
        inside = np.searchsorted(taught, high) - np.searchsorted(taught, low)
        # One more, as an empty bin may be hit too.
        return float(inside + 1) * (high - low) ** 2

    heap = [(-cost(low, high), low, high) for low, high in itertools.pairwise(cuts.tolist())]
    heapq.heapify(heap)
    middles = []
    for _ in range(count):
        _, low, high = heapq.heappop(heap)
        middle = (low + high) / 2.0
        middles.append(middle)
        heapq.heappush(heap, (-cost(low, middle), low, middle))
        heapq.heappush(heap, (-cost(middle, high), middle, high))
    return np.array(middles)


def distant_edges(distinct: Float) -> Float:
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


class Need:
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

    @property
    def is_known(self) -> bool:
        """Whether there are errors enough to say anything (bool)."""
        return len(self._place) > 1

    def cumulative(self, grid: Float, start: float, stop: float) -> Float:
        """Share of the need below each point of a rising grid; none outside start and stop."""
        even = np.clip((grid - start) / (stop - start), 0.0, 1.0)
        density = np.interp(grid, self._place, self._density)
        steps = np.diff(even) * (density[1:] + density[:-1]) / 2.0
        summed = np.concatenate([[0.0], np.cumsum(steps)])
        return np.asarray(summed / summed[-1])


def spread_edges(
    scale: Transform, values: Float, count: int, quantile_share: float, need: Need | None
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


def filled(edges: Float, ordered: Float, size: int) -> Float:
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


def rare_bins(edges: Float, ordered: Float, size: int) -> int:
    """Bins with so few values that they would hardly ever be used."""
    bounds = np.concatenate([[0], np.searchsorted(ordered, edges, side="left"), [len(ordered)]])
    return int((np.diff(bounds) < max(1.0, _LEAST_SHARE * len(ordered) / size)).sum())
