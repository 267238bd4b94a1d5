"""Whether a value of a hypercube equals the value that was derived again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

__all__ = ["Between", "Mismatch", "Near", "Row", "best_alternative", "cells", "differences"]

Row = Mapping[str, Any]
"""Expected values by column; a column that is not there is expected to be missing."""

_SHOWN_CHARACTERS = 60
_EXACT_IN_FLOAT = 2**53


@dataclass(frozen=True)
class Near:
    """A number that two derivations give with different rounding.

    Attributes
    ----------
    value : float
    tolerance : float
        Largest difference.
    turn : float or None
        Period of an angle: 359.9 is near 0.1.
    """

    value: float
    tolerance: float
    turn: float | None = None

    def holds(self, found: Any) -> bool:
        """Whether a value of the file is near enough."""
        if not isinstance(found, (int, float)):
            return False
        difference = abs(found - self.value)
        if self.turn is not None:
            difference = min(difference, abs(self.turn - difference))
        return bool(difference <= self.tolerance)


@dataclass(frozen=True)
class Between:
    """A count that depends on whether objects at the very radius are inside."""

    low: int
    high: int

    def holds(self, found: Any) -> bool:
        """Whether a value of the file is in the range."""
        return isinstance(found, int) and self.low <= found <= self.high


@dataclass(frozen=True)
class Mismatch:
    """A value of the file that is not what the survey files give.

    Attributes
    ----------
    row : int or None
        Row of the hypercube, from 0; None where the whole file is meant.
    identifier : str
        The source's identifier in the S-PLUS catalogue, if there is one.
    column : str
    found, expected : str
        Shortened for people.
    """

    row: int | None
    identifier: str
    column: str
    found: str
    expected: str

    def __str__(self) -> str:
        where = "" if self.row is None else f"row {self.row} ({self.identifier}), "
        return f"{where}{self.column}: found {self.found}; expected {self.expected}"


def cells(column: pa.ChunkedArray) -> list[Any]:
    """The cells of a column as Python values, lists of floats as arrays, nulls as None."""
    kind = column.type
    if not (_is_list(kind) and pa.types.is_floating(kind.value_type)):
        return list(column.to_pylist())
    return [
        np.asarray(cell.values.to_numpy(zero_copy_only=False)) if cell.is_valid else None
        for cell in column
    ]


def differences(
    found: Row, expected: Row, columns: Sequence[str], kinds: Mapping[str, pa.DataType]
) -> list[str]:
    """The columns in which a row is not as expected.

    Parameters
    ----------
    found : mapping
        Cells of the file.
    expected : mapping
    columns : sequence of str
        Those to compare.
    kinds : mapping of str to pyarrow.DataType
        Types of the file's columns.
    """
    return [name for name in columns if not _same(found.get(name), expected.get(name), kinds[name])]


def best_alternative(
    found: Row,
    alternatives: Sequence[Row],
    columns: Sequence[str],
    kinds: Mapping[str, pa.DataType],
) -> tuple[Row, list[str]]:
    """Of several rows that would be right, the one with the fewest differences, and these."""
    judged = [(row, differences(found, row, columns, kinds)) for row in alternatives]
    return min(judged, key=lambda item: len(item[1]))


def describe(found: Any, expected: Any) -> tuple[str, str]:
    """Both sides of a difference, shortened for people."""
    left, right = _flat(found), _flat(expected)
    if left is None or right is None or len(left) != len(right) or len(left) <= 1:
        return _shown(found), _shown(expected)
    pairs = zip(left, right, strict=True)
    place = next((k for k, pair in enumerate(pairs) if not _same_element(*pair)), 0)
    return f"{left[place]} at [{place}]", f"{right[place]} of {len(right)} values"


def _shown(value: Any) -> str:
    if isinstance(value, Near):
        return repr(float(value.value))
    if isinstance(value, Between):
        return str(value.low) if value.low == value.high else f"{value.low} to {value.high}"
    if isinstance(value, (list, np.ndarray)) and len(value) > 3:
        return f"{len(value)} values"
    if _missing(value):
        return "nothing"
    text = str(value.item() if isinstance(value, np.generic) else value)
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}..."


def _same(found: Any, expected: Any, kind: pa.DataType) -> bool:
    if isinstance(expected, (Near, Between)):
        return expected.holds(found)
    if _missing(found) or _missing(expected):
        return _missing(found) and _missing(expected)
    left, right = _flat(found), _flat(expected)
    if left is None or right is None or len(left) != len(right):
        return False
    leaf = _leaf(kind)
    if pa.types.is_floating(leaf):
        return _same_floats(left, right, leaf.to_pandas_dtype())
    return all(_same_element(*pair) for pair in zip(left, right, strict=True))


def _missing(value: Any) -> bool:
    """Null, NaN, a masked value or an empty text; an empty list is not missing."""
    if value is None or value is np.ma.masked:
        return True
    if isinstance(value, (str, bytes)):
        return not value.strip()
    return bool(isinstance(value, (float, np.floating)) and np.isnan(value))


def _flat(value: Any) -> list[Any] | NDArray[Any] | None:
    """The elements of a cell in the order of the file; one for a scalar."""
    if value is None or isinstance(value, (Near, Between)):
        return None
    if isinstance(value, np.ma.MaskedArray):
        return [None if item is np.ma.masked else item for item in value.ravel()]
    if isinstance(value, np.ndarray):
        if value.dtype.kind == "c":
            value = np.ascontiguousarray(value).view(value.real.dtype)
        flat: NDArray[Any] = value.ravel()
        return flat
    if isinstance(value, (list, tuple)):
        parts = [_flat(item) for item in value]
        return [item for part in parts for item in ([None] if part is None else part)]
    if isinstance(value, (complex, np.complexfloating)):
        return [value.real, value.imag]
    return [value]


def _same_floats(left: Any, right: Any, dtype: Any) -> bool:
    """Equal in the column's precision up to the last bit, which text does not always keep."""
    if any(abs(item) > _EXACT_IN_FLOAT for item in _integers(right)):
        return False  # an identifier that went through a float
    try:
        first, second = (_as_floats(side).astype(dtype) for side in (left, right))
    except (TypeError, ValueError):
        return False
    with np.errstate(invalid="ignore", over="ignore"):
        equal = first == second
        equal |= np.abs(first - second) <= np.spacing(np.abs(second))
    return bool(np.all(equal | (np.isnan(first) & np.isnan(second))))


def _integers(values: list[Any] | NDArray[Any]) -> list[int]:
    if isinstance(values, np.ndarray) and values.dtype.kind not in "iuO":
        return []
    return [int(item) for item in values if isinstance(item, (int, np.integer))]


def _as_floats(values: list[Any] | NDArray[Any]) -> NDArray[np.float64]:
    if isinstance(values, np.ndarray) and values.dtype.kind != "O":
        return values.astype(np.float64)
    return np.array([np.nan if _missing(item) else item for item in values], np.float64)


def _same_element(found: Any, expected: Any) -> bool:
    if _missing(found) or _missing(expected):
        return _missing(found) and _missing(expected)
    if isinstance(expected, bytes):
        expected = expected.decode("latin-1")
    if isinstance(found, bool) and isinstance(expected, str):
        return str(found).lower() == expected.strip().lower()
    if isinstance(found, str):
        # Numbers become texts where the files of a run disagree about a column.
        return found.rstrip() == str(expected).rstrip() or _as_number(found) == expected
    return bool(found == expected)


def _as_number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _leaf(kind: pa.DataType) -> pa.DataType:
    while _is_list(kind):
        kind = kind.value_type
    return kind


def _is_list(kind: pa.DataType) -> bool:
    return bool(
        pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)
    )
