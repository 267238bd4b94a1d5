"""The sources of a hypercube on the sky: which are selected, how many lie where, which is nearest.

A field may hold hundreds of thousands of sources. The page gets counts on a coarse grid while there
are many in its view, and single sources once there are few.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from astro_common.errors import ConfigurationError
from splus_hypercube.catalogues import comparable_column, float_column
from splus_hypercube.expressions import parse_selection
from splus_hypercube.view.cube import Cube

__all__ = ["MAX_POINTS", "Box", "Sky", "filter_columns"]

Float = NDArray[np.float64]
Bool = NDArray[np.bool_]

MAX_POINTS = 2000
_GRID = 96
_KEPT_SELECTIONS = 8
# Beyond this angle from the centre a tangential projection is of no use.
_MAX_OFFSET_DEG = 60.0


@dataclass(frozen=True)
class Box:
    """A rectangle of the projected sky, degrees from the centre of the field.

    Attributes
    ----------
    low_x, high_x : float
        Towards the east.
    low_y, high_y : float
        Towards the north.
    """

    low_x: float
    high_x: float
    low_y: float
    high_y: float


def filter_columns(schema: pa.Schema) -> list[str]:
    """The columns that a filter may name: those of single numbers and logical values."""
    numbers = (pa.types.is_integer, pa.types.is_floating, pa.types.is_boolean)
    return [field.name for field in schema if any(kind(field.type) for kind in numbers)]


class Sky:
    """Positions of all sources and selections among them.

    Parameters
    ----------
    cube : Cube

    Attributes
    ----------
    centre_deg : tuple of float
        Right ascension and declination of the centre of the projection.
    x, y : ndarray of float64, shape (n,)
        Tangential projection about it, degrees towards the east and the north; NaN for a source
        without position or on the other side of the sky.
    """

    def __init__(self, cube: Cube) -> None:
        self._cube = cube
        self.ra, self.dec = cube.positions()
        self.centre_deg = _centre(self.ra, self.dec)
        self.x, self.y = _projected(self.ra, self.dec, self.centre_deg)
        self._names = set(filter_columns(cube.schema))
        self.selected = lru_cache(maxsize=_KEPT_SELECTIONS)(self._selected)
        self.values = lru_cache(maxsize=4 * _KEPT_SELECTIONS)(self._values)

    def bounds(self) -> Box:
        """The rectangle that holds every source, with a margin."""
        known = np.isfinite(self.x) & np.isfinite(self.y)
        if not known.any():
            return Box(-1.0, 1.0, -1.0, 1.0)
        edges = []
        for values in (self.x[known], self.y[known]):
            low, high = float(values.min()), float(values.max())
            margin = max(0.04 * (high - low), 1e-3)
            edges += [low - margin, high + margin]
        return Box(*edges)

    def _column(self, name: str) -> pa.Table:
        if name not in self._names:
            raise ConfigurationError("where", f"column {name!r}", "a column of numbers")
        return self._cube.columns([name])

    def _values(self, name: str) -> Float:
        return float_column(self._column(name), name, self._cube.path)

    def _selected(self, where: str) -> Bool:
        if not where.strip():
            return np.ones(len(self.x), dtype=bool)
        selection = parse_selection(where)
        values = {
            name: comparable_column(self._column(name), name, self._cube.path)
            for name in selection.columns
        }
        return selection.rows(values, len(self.x))

    def within(self, box: Box, where: str) -> dict[str, Any]:
        """What the page draws of a rectangle.

        Parameters
        ----------
        box : Box
        where : str
            A selection as in `splus_hypercube.expressions`; empty for all.

        Returns
        -------
        dict
            ``total``, ``selected`` and ``inside``: numbers of sources. ``points``, a list of
            ``[row, x, y]``, if at most `MAX_POINTS` are inside; else ``counts``, rows of a grid
            by rising y, each by rising x.

        Raises
        ------
        ConfigurationError
            If the selection is not a condition, or names a column that does not exist.
        """
        chosen = self.selected(where)
        inside = chosen & (self.x >= box.low_x) & (self.x <= box.high_x)
        inside &= (self.y >= box.low_y) & (self.y <= box.high_y)
        rows = np.flatnonzero(inside)
        found: dict[str, Any] = {
            "total": len(self.x),
            "selected": int(chosen.sum()),
            "inside": len(rows),
        }
        if len(rows) <= MAX_POINTS:
            points = zip(rows.tolist(), self.x[rows].tolist(), self.y[rows].tolist(), strict=True)
            found["points"] = [[row, round(x, 7), round(y, 7)] for row, x, y in points]
            return found
        counts, _, _ = np.histogram2d(
            self.y[rows],
            self.x[rows],
            bins=_GRID,
            range=((box.low_y, box.high_y), (box.low_x, box.high_x)),
        )
        found["counts"] = counts.astype(np.int64).tolist()
        return found

    def nearest(self, x: float, y: float, where: str) -> int | None:
        """The row of the selected source nearest to a place; None if none is selected."""
        rows = np.flatnonzero(self.selected(where) & np.isfinite(self.x))
        if not len(rows):
            return None
        distance = np.hypot(self.x[rows] - x, self.y[rows] - y)
        return int(rows[np.argmin(distance)])

    def ordered(self, where: str, sort: str, *, descending: bool) -> NDArray[np.int64]:
        """Selected rows in the order of a column; missing values last, equal ones by row.

        Parameters
        ----------
        where, sort : str
            An empty `sort` keeps the order of the file.
        descending : bool

        Returns
        -------
        ndarray of int64

        Raises
        ------
        ConfigurationError
            If the column does not exist or holds no numbers.
        """
        rows = np.flatnonzero(self.selected(where)).astype(np.int64)
        if not sort:
            return rows[::-1] if descending else rows
        values = self.values(sort)[rows]
        key = -values if descending else values
        return rows[np.argsort(key, kind="stable")]


def _centre(ra: Float, dec: Float) -> tuple[float, float]:
    """Direction of the mean of all unit vectors, degrees; RA may wrap within the field."""
    known = np.isfinite(ra) & np.isfinite(dec)
    if not known.any():
        return 0.0, 0.0
    lon, lat = np.radians(ra[known]), np.radians(dec[known])
    mean = [
        float(part.mean())
        for part in (np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat))
    ]
    across = float(np.hypot(mean[0], mean[1]))
    return (
        float(np.degrees(np.arctan2(mean[1], mean[0]))) % 360.0,
        float(np.degrees(np.arctan2(mean[2], across))),
    )


def _projected(ra: Float, dec: Float, centre: tuple[float, float]) -> tuple[Float, Float]:
    """Gnomonic projection (Calabretta & Greisen 2002, A&A 395, 1077, section 5.1.1)."""
    lon, lat = np.radians(ra - centre[0]), np.radians(dec)
    lat0 = np.radians(centre[1])
    depth = np.sin(lat0) * np.sin(lat) + np.cos(lat0) * np.cos(lat) * np.cos(lon)
    near = depth > np.cos(np.radians(_MAX_OFFSET_DEG))
    depth = np.where(near, depth, np.nan)
    x = np.cos(lat) * np.sin(lon) / depth
    y = (np.cos(lat0) * np.sin(lat) - np.sin(lat0) * np.cos(lat) * np.cos(lon)) / depth
    return np.degrees(x), np.degrees(y)
