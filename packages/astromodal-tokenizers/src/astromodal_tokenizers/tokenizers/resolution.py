"""How fine a scale has to be resolved, and how fine some bins resolve it.

The unit is the measurement error where errors are known: where it is small, bins have to be
narrow. Without errors the unit is a part of the spread of the values.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from astromodal_tokenizers.normalization import Transform
from astromodal_tokenizers.tokenizers.density import expected_ranks

__all__ = ["Need", "expected_error"]

Float = NDArray[np.float64]

# Errors are taken as the medians of so many groups of neighbouring values.
_ERROR_GROUPS = 64
_FEWEST_IN_GROUP = 10


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

    def units(self, place: Float) -> Float:
        """Rising places on the scale, counted in errors (ndarray of float64)."""
        grid = np.unique(np.concatenate([place, self._place]))
        density = np.interp(grid, self._place, self._density)
        steps = np.diff(grid) * (density[1:] + density[:-1]) / 2.0
        summed = np.concatenate([[0.0], np.cumsum(steps)])
        return np.asarray(np.interp(place, grid, summed))


def expected_error(
    place: Float, counts: NDArray[np.int64], inner: Float, need: Need | None
) -> float:
    """Root mean square of the error to expect of values to come.

    An interval of width w that is represented by its middle has the mean squared error w^2 / 12.

    Parameters
    ----------
    place : ndarray of float64, shape (m,)
        Distinct values on the scale, rising; at least two.
    counts : ndarray of int64, shape (m,)
        How often each occurs.
    inner : ndarray of float64
        Edges on the scale, rising.
    need : Need or None

    Returns
    -------
    float
        In units of the measurement errors, or of the scale if these are not known.
    """
    edges = inner[(inner > place[0]) & (inner < place[-1])]
    bounds = np.concatenate([place[:1], edges, place[-1:]])
    rank = np.interp(bounds, place, expected_ranks(place, counts))
    width = np.diff(bounds if need is None else need.units(bounds))
    return float(np.sqrt(np.sum(np.diff(rank) * width**2) / (12.0 * (rank[-1] - rank[0]))))
