"""Scales on which values spread evenly, and robust levels and noise of spectra."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "Transform",
    "choose_transform",
    "interpolate_levels",
    "robust_noise",
    "segment_levels",
]

Float = NDArray[np.float64]
Bool = NDArray[np.bool_]

# A distribution whose tails reach this many half-widths of its centre is called heavy.
_HEAVY = 12.0
_LEAST_SPREAD = 1e-12
_MAD_TO_SIGMA = 1.4826  # of a normal distribution


@dataclass(frozen=True)
class Transform:
    """A rising function of one variable.

    Attributes
    ----------
    name : str
        ``identity``; ``asinh``: arsinh((x - centre) / scale); ``log``: ln(x / scale).
    centre, scale : float
        In the unit of the values.
    """

    name: str = "identity"
    centre: float = 0.0
    scale: float = 1.0

    def forward(self, values: Float) -> Float:
        """Transform values (ndarray of float64); NaN where the function has no value."""
        if self.name == "asinh":
            return np.asarray(np.arcsinh((values - self.centre) / self.scale))
        if self.name == "log":
            with np.errstate(divide="ignore", invalid="ignore"):
                return np.asarray(np.log(values / self.scale))
        return np.asarray((values - self.centre) / self.scale)

    def inverse(self, values: Float) -> Float:
        """The values that transform into these (ndarray of float64)."""
        if self.name == "asinh":
            return np.asarray(self.centre + self.scale * np.sinh(values))
        if self.name == "log":
            return np.asarray(self.scale * np.exp(values))
        return np.asarray(self.centre + self.scale * values)

    def record(self) -> dict[str, Any]:
        """The function as JSON can hold it."""
        return {"name": self.name, "centre": self.centre, "scale": self.scale}

    @classmethod
    def from_record(cls, record: dict[str, Any]) -> Transform:
        """The function that `record` described."""
        return cls(str(record["name"]), float(record["centre"]), float(record["scale"]))


def choose_transform(values: Float, name: str = "auto") -> Transform:
    """Choose the scale of a column.

    Values that are all positive and span orders of magnitude are taken by their logarithm, other
    heavy tails by the inverse hyperbolic sine (Lupton, Gunn & Szalay 1999, AJ 118, 1406).

    Parameters
    ----------
    values : ndarray of float64, shape (n,)
        Finite.
    name : str
        ``auto`` or the name of a transform.

    Returns
    -------
    Transform
    """
    low, quarter, centre, three, high = np.percentile(values, [0.1, 25.0, 50.0, 75.0, 99.9])
    # A width that rounding alone could make says nothing, and dividing by it would overflow.
    least = _LEAST_SPREAD * float(np.abs(values).max())
    widths = (float(three - quarter) / 2.0, float(high - low) / 2.0, least)
    spread = next((width for width in widths if width > least), least or 1.0)
    positive = bool(values.min() > 0.0)
    if name == "auto":
        heavy = max(high - centre, centre - low) > _HEAVY * spread
        name = "identity" if not heavy else "log" if positive else "asinh"
    if name == "log" and positive:
        return Transform("log", 0.0, float(centre))
    if name in ("asinh", "log"):
        return Transform("asinh", float(centre), spread)
    return Transform("identity", float(centre), spread)


def robust_noise(values: Float) -> float:
    """Standard deviation from the median absolute deviation; NaN without values."""
    finite = values[np.isfinite(values)]
    if not finite.size:
        return float("nan")
    return float(_MAD_TO_SIGMA * np.median(np.abs(finite - np.median(finite))))


def segment_levels(values: Float, valid: Bool, count: int) -> Float:
    """Medians along spectra.

    Parameters
    ----------
    values : ndarray of float64, shape (n, length)
    valid : ndarray of bool, shape (n, length)
    count : int
        Segments of about equal length.

    Returns
    -------
    ndarray of float64, shape (n, count)
        Median of the valid values of each segment; that of the nearest segment where there are
        none; NaN in rows without any.
    """
    length = values.shape[1]
    masked = np.where(valid, values, np.nan)
    bounds = np.linspace(0, length, count + 1).round().astype(np.int64)
    result = np.full((len(values), count), np.nan)
    for index in range(count):
        part = masked[:, bounds[index] : bounds[index + 1]]
        some = np.isfinite(part).any(axis=1) if part.shape[1] else np.zeros(len(part), dtype=bool)
        if some.any():
            result[some, index] = np.nanmedian(part[some], axis=1)
    return _filled(result)


def _filled(levels: Float) -> Float:
    """Replace NaN by the nearest value of the row."""
    known = np.isfinite(levels)
    rows = np.flatnonzero(known.any(axis=1) & ~known.all(axis=1))
    for row in rows:
        places = np.flatnonzero(known[row])
        missing = np.flatnonzero(~known[row])
        nearest = np.abs(missing[:, None] - places).argmin(axis=1)
        levels[row, missing] = levels[row, places[nearest]]
    return levels


def interpolate_levels(levels: Float, length: int) -> Float:
    """Straight lines between the centres of the segments.

    Parameters
    ----------
    levels : ndarray of float64, shape (n, count)
    length : int
        Pixels.

    Returns
    -------
    ndarray of float64, shape (n, length)
    """
    count = levels.shape[1]
    bounds = np.linspace(0, length, count + 1).round()
    centres = (bounds[1:] + bounds[:-1] - 1.0) / 2.0
    if count == 1:
        return np.repeat(levels, length, axis=1)
    place = np.clip(np.arange(length), centres[0], centres[-1])
    right = np.clip(np.searchsorted(centres, place, side="right"), 1, count - 1)
    step = centres[right] - centres[right - 1]
    weight = np.divide(place - centres[right - 1], step, out=np.zeros(length), where=step > 0.0)
    return np.asarray(levels[:, right - 1] * (1.0 - weight) + levels[:, right] * weight)
