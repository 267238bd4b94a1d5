"""Where the edges of bins lie: by quantiles and errors inside, and beyond what was seen.

Bins that make the squared error smallest have a density that goes with the cube root of that of the
values (Panter & Dite 1951, Proc. IRE 39, 44). A gap between two neighbours of a sorted sample then
holds a number of edges below one where values lie dense, and more than one in gaps so wide that a
bin of each neighbour would be too coarse. The bins that this leaves without values in wide gaps are
bounded in number, since codes are there to be used.
"""

from __future__ import annotations

import heapq

import numpy as np
from numpy.typing import NDArray

from astromodal_tokenizers.normalization import Transform
from astromodal_tokenizers.tokenizers.density import smoothed_density
from astromodal_tokenizers.tokenizers.resolution import Need

__all__ = [
    "FEWEST_TO_EXTEND",
    "distant_edges",
    "empty_bins",
    "laid_edges",
    "outer_edges",
    "thinned",
    "without_distant",
]

Float = NDArray[np.float64]

# Of the whole range: a narrower centre is no range to divide.
_LEAST_WIDTH = 1e-12
# From so many codes on, one in so many lies outside of what was seen, as far as this share of the
# range, and so many at least beyond each end.
FEWEST_TO_EXTEND = 64
_CODES_PER_OUTER = 50
_FEWEST_OUTER = 2
_OUTER_REACH = 0.3
# Values from which the tail beyond an end is judged, and its least scale as a part of the reach.
_TAIL = 10
_LEAST_EXCESS = 1e-4
# Values of a gap at most: a bin that holds so many is used by those that did not teach.
_MOST_IN_GAP = 32
# Halvings of the range in which the number of edges is sought.
_HALVINGS = 80
# Far values on each side that may get a bin of their own.
_MOST_DISTANT = 4


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


def outer_edges(
    scale: Transform, ordered: Float, size: int, *, need: Need | None, whole: bool
) -> Float:
    """Edges outside the range of the values.

    Most lie beyond the end where errors are small: the faint end of magnitudes needs few.
    """
    if size < FEWEST_TO_EXTEND or whole or len(ordered) < size // 2:
        return np.empty(0)
    place = scale.forward(ordered)
    reach = _OUTER_REACH * (place[-1] - place[0])
    if not reach > _LEAST_WIDTH * max(abs(place[0]), abs(place[-1])):
        return np.empty(0)
    total = 2 * (size // (2 * _CODES_PER_OUTER) + 1)
    share = 0.5
    if need is not None:
        ends = np.array([place[0] - reach, place[0], place[-1], place[-1] + reach])
        below, _, above = np.cbrt(np.diff(need.units(ends)) ** 2)
        share = below / (below + above)
    fewest = min(_FEWEST_OUTER, total // 2)
    low = int(np.clip(round(share * total), fewest, total - fewest))
    edges = []
    for end, sign, count in ((place[0], -1.0, low), (place[-1], 1.0, total - low)):
        edges.append(end + sign * _beyond(np.abs(place - end), reach, count))
    result = scale.inverse(np.concatenate(edges))
    # What never was negative may be unable to be.
    kept = np.isfinite(result) & ((result > 0.0) | (ordered[0] < 0.0))
    kept &= (result < ordered[0]) | (result > ordered[-1])
    return np.unique(result[kept])


def _beyond(distance: Float, reach: float, count: int) -> Float:
    """Distances from the end of so many edges outside, given those of the values inside.

    Beyond the largest of a sample from an exponential tail the density falls with the same scale,
    the mean excess of the last values. Its cube root, which is that of the best edges, falls three
    times as slowly. For tails that are heavier, others follow, each about twice as far.
    """
    last = np.sort(distance)[: _TAIL + 1]
    excess = max(float(last[-1] - last[:-1].mean()), _LEAST_EXCESS * reach)
    start = 3.0 * excess * np.log(count)
    far = int(np.clip(np.ceil(np.log2(reach / start)), 1, count - 1)) if reach > start > 0 else 1
    near = -3.0 * excess * np.log1p(-np.arange(1, count - far + 1) / (count - far + 1.0))
    near = near[near < reach]
    start = float(near[-1]) if len(near) else excess
    return np.concatenate([near, np.geomspace(start, reach, far + 1)[1:]])


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


def laid_edges(
    scale: Transform,
    ordered: Float,
    count: int,
    *,
    quantile_share: float,
    need: Need | None,
    spare: int,
    whole: bool,
) -> Float:
    """Edges inside the range of the values.

    Parameters
    ----------
    scale : Transform
    ordered : ndarray of float64, shape (n,)
        Values, rising.
    count : int
        Edges; fewer where there are too few distinct values.
    quantile_share : float
        Part of the edges that follows the quantiles; the others make the squared error small, in
        units of the errors if they are known, else on the scale.
    need : Need or None
    spare : int
        Bins that may be left without values, in wide gaps.
    whole : bool
        Whether values are whole numbers, between which there is nothing.

    Returns
    -------
    ndarray of float64
        Rising.
    """
    place, values = np.unique(scale.forward(ordered), return_counts=True)
    if count < 1 or len(place) < 2:
        return np.empty(0)
    knots, taught = _gaps(values, count)
    place = place[knots]
    width = np.diff(place if need is None else need.units(place))
    most = np.full(len(width), np.inf)
    if whole:
        most = np.maximum(1.0, np.rint(np.diff(scale.inverse(place))))
    number = _numbers(width, taught, count, quantile_share, spare, most)
    rows = np.repeat(np.arange(len(width)), number)
    turn = np.arange(len(rows)) - np.repeat(np.cumsum(number) - number, number)
    share = (2.0 * turn + 1.0) / (2.0 * number[rows])
    edges = np.unique(scale.inverse(place[rows] + share * np.diff(place)[rows]))
    return np.asarray(edges[(edges > ordered[0]) & (edges <= ordered[-1])], dtype=np.float64)


def _gaps(values: NDArray[np.int64], count: int) -> tuple[NDArray[np.int64], Float]:
    """Which distinct values bound the gaps, and the values in each gap."""
    summed = np.cumsum(values)
    least = max(1, min(_MOST_IN_GAP, int(summed[-1]) // (2 * (count + 1))))
    while True:
        turn = summed // least
        kept = np.flatnonzero(np.diff(turn, prepend=-1) > 0)
        kept = np.union1d(kept, [0, len(values) - 1])
        if least == 1 or len(kept) > 2 * count:
            return kept, np.diff(summed[kept]).astype(np.float64)
        least //= 2


def _numbers(
    width: Float, taught: Float, count: int, quantile_share: float, spare: int, most: Float
) -> NDArray[np.int64]:
    """Edges of each gap."""
    even = quantile_share * count * taught / taught.sum()
    finest = np.cbrt(smoothed_density(width, taught)) * width
    finest *= count / max(float(finest.sum()), np.finfo(np.float64).tiny)

    def wanted(factor: float) -> Float:
        return np.asarray(np.minimum(even + factor * finest, most))

    def total(factor: float) -> float:
        numbers = wanted(factor)
        beyond = np.maximum(numbers - 1.0, 0.0).sum()
        return float(np.minimum(numbers, 1.0).sum() + min(beyond, spare))

    low, high = 0.0, 1.0
    while total(high) < count and high < 1e12:
        high *= 4.0
    for _ in range(_HALVINGS):
        middle = (low + high) / 2.0
        low, high = (middle, high) if total(middle) < count else (low, middle)
    numbers = wanted(high)
    summed = np.cumsum(np.minimum(numbers, 1.0))
    # There is one bin more than edges; an edge has its place where a bin is full.
    summed *= (1.0 - 1e-12) * (summed[-1] + 1.0) / summed[-1]
    result: NDArray[np.int64] = np.minimum(np.diff(np.floor(summed), prepend=0.0), 1.0).astype(
        np.int64
    )
    _divide_widest(result, width, taught, count - int(result.sum()), most)
    return result


def _divide_widest(
    number: NDArray[np.int64], width: Float, taught: Float, more: int, most: Float
) -> None:
    """Add edges to the gaps where each lowers the squared error most."""

    def gain(row: int) -> float:
        return float(cost[row] * (1.0 / number[row] ** 2 - 1.0 / (number[row] + 1) ** 2))

    cost = taught * width**2
    heap = [(-gain(row), row) for row in np.flatnonzero(number > 0).tolist()]
    heapq.heapify(heap)
    while more > 0 and heap:
        _, row = heapq.heappop(heap)
        if number[row] >= most[row]:
            continue
        number[row] += 1
        more -= 1
        heapq.heappush(heap, (-gain(row), row))


def empty_bins(edges: Float, ordered: Float) -> int:
    """Bins without a value."""
    bounds = np.concatenate([[0], np.searchsorted(ordered, edges, side="left"), [len(ordered)]])
    return int((np.diff(bounds) == 0).sum())
