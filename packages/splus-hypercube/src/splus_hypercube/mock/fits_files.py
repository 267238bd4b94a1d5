"""FITS files without the time of writing, so that the same mock has the same bytes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits

__all__ = ["SYNTHETIC_CARDS", "primary", "table_column", "write_fits"]

SYNTHETIC_CARDS = (
    ("SYNTHET", True, "synthetic data, not an observation"),
    ("ORIGIN", "splus-hypercube mock", "program that made this file"),
)
"""Header cards that every file of the mock carries."""


def primary(**cards: Any) -> fits.PrimaryHDU:
    """A primary HDU without data that says that the file is synthetic.

    Parameters
    ----------
    **cards
        Further keywords and values.
    """
    hdu = fits.PrimaryHDU()
    for keyword, value, comment in SYNTHETIC_CARDS:
        hdu.header[keyword] = (value, comment)
    for keyword, value in cards.items():
        hdu.header[keyword] = value
    return hdu


def table_column(
    name: str, format_code: str, values: Any, *, unit: str = "", null: int | None = None
) -> fits.Column:
    """A column of a binary table.

    Parameters
    ----------
    name, format_code : str
        TTYPE and TFORM.
    values : array_like
        One entry per row.
    unit : str, optional
        TUNIT.
    null : int, optional
        TNULL of an integer column.
    """
    return fits.Column(
        name=name, format=format_code, array=np.asarray(values), unit=unit or None, null=null
    )


def write_fits(path: Path, hdus: Sequence[Any]) -> None:
    """Write HDUs to a new file, without checksums, whose comments would hold the time."""
    fits.HDUList(list(hdus)).writeto(path, output_verify="exception")
