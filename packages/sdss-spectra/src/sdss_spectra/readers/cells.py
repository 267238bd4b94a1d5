"""Header values and table cells as plain Python values."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
from astropy.io.fits import Header

__all__ = ["header_cards", "row_cells"]


def header_cards(header: Header) -> dict[str, Any]:
    """Values of a header by keyword, without comments and undefined values."""
    values: dict[str, Any] = {}
    for keyword in header:
        if keyword in ("", "COMMENT", "HISTORY") or keyword in values:
            continue
        value = header[keyword]
        if isinstance(value, (bool, int, float, str)):
            values[keyword] = value
    return values


def row_cells(table: pa.Table, row: int) -> dict[str, Any]:
    """Cells of one row by column; lists become arrays."""
    values: dict[str, Any] = {}
    for name, column in zip(table.column_names, table.columns, strict=True):
        value = column[row].as_py()
        values[name] = np.asarray(value) if isinstance(value, list) else value
    return values
