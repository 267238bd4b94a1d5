"""Everything that a hypercube holds about one source."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from astro_common.errors import InputError
from splus_hypercube.schema import cutout_column, offset_columns
from splus_hypercube.view.cube import Cube, open_cube

__all__ = ["Source", "read_row", "read_source"]


@dataclass(frozen=True)
class Source:
    """One row of a hypercube.

    Attributes
    ----------
    path : Path
        The hypercube.
    row : int
    identifier : str
        S-PLUS identifier.
    metadata : mapping
        The hypercube's own JSON of the footer.
    values : mapping of str to object
        By column name: a number, a text, or None for null; an ndarray of the file's float type
        for a list of floats; a tuple for any other list. Cutouts are in `cutouts` instead.
    cutouts : mapping of str to ndarray of float32, shape (size_px, size_px), or None
        By band; None where the file has null.
    """

    path: Path
    row: int
    identifier: str
    metadata: Mapping[str, Any]
    values: Mapping[str, Any]
    cutouts: Mapping[str, NDArray[np.float32] | None]

    @cached_property
    def _by_lower_name(self) -> Mapping[str, str]:
        return {name.lower(): name for name in reversed(list(self.values))}

    @property
    def field_name(self) -> str:
        """Name of the S-PLUS field (str)."""
        return str(self.metadata.get("field", ""))

    @property
    def synthetic(self) -> bool:
        """Whether the file says that its data are simulated (bool)."""
        return bool(self.metadata.get("synthetic", False))

    def get(self, name: str) -> Any:
        """A value by the column's name in any case; None if it is null or there is no column."""
        if name in self.values:
            return self.values[name]
        return self.values.get(self._by_lower_name.get(name.lower(), ""))

    def knows(self, name: str) -> bool:
        """Whether the file has a column of this name, in any case."""
        return name in self.values or name.lower() in self._by_lower_name

    def number(self, name: str) -> float | None:
        """A value as a finite number, or None."""
        value = self.get(name)
        if isinstance(value, bool) or not isinstance(value, int | float):
            return None
        return float(value) if np.isfinite(value) else None

    def array(self, name: str) -> NDArray[np.float64]:
        """A list of numbers as float64 (shape (n,), NaN where missing); empty if null."""
        value = self.get(name)
        if value is None or np.ndim(value) != 1:
            return np.empty(0)
        return np.asarray(value, dtype=np.float64)

    def has(self, survey: str) -> bool:
        """Whether the hypercube was built with a survey."""
        return survey in self.metadata.get("surveys", {})

    def offset_px(self, band: str) -> tuple[float, float]:
        """Offset of the source from the pixel at index size // 2 of a band's cutout: x, y."""
        offsets = []
        for own, common in zip(offset_columns(band), offset_columns(), strict=True):
            value = self.number(own)
            if value is None:
                value = self.number(common)
            offsets.append(0.0 if value is None else value)
        return offsets[0], offsets[1]


def read_source(path: Path, identifier: str) -> Source:
    """Read one source of a hypercube.

    Parameters
    ----------
    path : Path
        The hypercube.
    identifier : str
        S-PLUS identifier.

    Returns
    -------
    Source

    Raises
    ------
    InputError
        If the file is no hypercube or has no such source.
    """
    with open_cube(path) as cube:
        return read_row(cube, cube.find_row(identifier))


def read_row(cube: Cube, row: int) -> Source:
    """Read one row of an open hypercube.

    Parameters
    ----------
    cube : Cube
    row : int

    Returns
    -------
    Source

    Raises
    ------
    InputError
        If the row cannot be read.
    """
    bands = [str(band) for band in cube.metadata.get("bands", [])]
    columns = {cutout_column(band): band for band in bands}
    images = {name: band for name, band in columns.items() if name in cube.schema.names}
    table = cube.row(row, [name for name in cube.schema.names if name not in images])
    values = {name: _python(table[name]) for name in table.column_names}
    cutouts: dict[str, NDArray[np.float32] | None] = {}
    for name, band in images.items():
        pixels = _python(cube.row(row, [name])[name])
        if pixels is not None:
            size = math.isqrt(len(pixels))
            if size * size != len(pixels):
                raise InputError(cube.path, f"{len(pixels)} pixels in {name}", "a square cutout")
            pixels = pixels.reshape(size, size)
        cutouts[band] = pixels
    return Source(
        path=cube.path,
        row=row,
        identifier=str(values[cube.identifier_name]),
        metadata=cube.metadata,
        values=values,
        cutouts=cutouts,
    )


def _python(column: pa.ChunkedArray) -> Any:
    """The one value of a column of one row."""
    value = column[0]
    if not value.is_valid:
        return None
    if not hasattr(value, "values"):
        return value.as_py()
    items = value.values
    if pa.types.is_floating(items.type):
        return items.to_numpy(zero_copy_only=False)
    # Integers may be identifiers: with nulls among them NumPy would make them floats.
    return tuple(items.to_pylist())
