"""On what kind of exposures a model was trained, and whether another is of that kind.

Cutouts are a number of pixels wide, so that the network knows how large a star is on them at the
pixel scale that it was trained with. What varies over a CCD depends on how large the CCD is.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow.parquet as pq

from astro_common.errors import InputError
from astro_common.parquet import parquet_errors

__all__ = ["Domain", "domain_of"]

# By which an exposure may differ from those trained on.
_SCALE_FACTOR: Final = 1.1
_SIDE_FACTOR: Final = 2.0

Range = tuple[float, float]


@dataclass(frozen=True)
class Domain:
    """Kind of the exposures that a model was trained on.

    Attributes
    ----------
    pixel_scale_arcsec : tuple of float
        Least and greatest.
    n_x, n_y : tuple of float
        Least and greatest number of columns and of rows of a CCD.
    """

    pixel_scale_arcsec: Range
    n_x: Range
    n_y: Range

    def as_json(self) -> dict[str, Any]:
        """The ranges as JSON can hold them."""
        return {name: list(values) for name, values in asdict(self).items()}

    @classmethod
    def from_json(cls, value: Any) -> Domain:
        """Make a domain of what `as_json` returned; KeyError, TypeError or ValueError if wrong."""
        ranges = {}
        for name in ("pixel_scale_arcsec", "n_x", "n_y"):
            low, high = value[name]
            ranges[name] = (float(low), float(high))
        return cls(**ranges)

    def differences(self, pixel_scale_arcsec: float, shape: tuple[int, int]) -> list[str]:
        """Say in what an exposure differs from all that the model was trained on.

        Parameters
        ----------
        pixel_scale_arcsec : float
            Its pixel scale; it may differ by 10 %.
        shape : tuple of int
            Rows and columns of its CCDs; each may differ by a factor of two.

        Returns
        -------
        list of str
            Empty if it does not.
        """
        found = []
        if not _is_in(pixel_scale_arcsec, self.pixel_scale_arcsec, _SCALE_FACTOR):
            trained = _text(self.pixel_scale_arcsec)
            found.append(f"{pixel_scale_arcsec:g} arcsec per pixel (trained: {trained}, +- 10 %)")
        rows = _is_in(shape[0], self.n_y, _SIDE_FACTOR)
        if not (rows and _is_in(shape[1], self.n_x, _SIDE_FACTOR)):
            trained = f"{_text(self.n_x)} x {_text(self.n_y)}, up to twice or half of it"
            found.append(f"CCDs of {shape[1]} x {shape[0]} pixels (trained: {trained})")
        return found


def domain_of(path: Path, exposures: Collection[str]) -> Domain:
    """Find out of what kind exposures are.

    Parameters
    ----------
    path : Path
        ``summary.parquet``.
    exposures : collection of str
        Which are trained on.

    Returns
    -------
    Domain

    Raises
    ------
    InputError
        If the table is damaged, lacks a column or has none of the exposures.
    """
    names = ["pixel_scale_arcsec", "n_x", "n_y"]
    with parquet_errors(path):
        table = pq.read_table(path, columns=["exposure", *names])
    missing = [name for name in ("exposure", *names) if name not in table.column_names]
    if missing:
        raise InputError(path, f"no column {missing[0]}", "a table made by cfht-iqa represent")
    chosen = np.array([name in exposures for name in table["exposure"].to_pylist()], bool)
    if not chosen.any():
        raise InputError(path, "none of the exposures that are trained on", "a row of each CCD")
    ranges = {}
    for name in names:
        values = table[name].to_numpy()[chosen]
        ranges[name] = (float(values.min()), float(values.max()))
    return Domain(**ranges)


def _is_in(value: float, trained: Range, factor: float) -> bool:
    return trained[0] / factor <= value <= trained[1] * factor


def _text(trained: Range) -> str:
    low, high = trained
    return f"{low:g}" if low == high else f"{low:g} to {high:g}"
