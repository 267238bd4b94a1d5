"""Arrays written as text into the cells of a table, such as ``"[1.0, 2.0, null]"``.

All cells of a column are parsed together, as bytes, without a loop over cells or elements.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

__all__ = ["ArrayCellError", "parse_array_cells"]

_COMMA: Final = ord(",")
_DROPPED: Final = b"[]() \t"
_SPECIAL: Final = bytes(byte in _DROPPED + b"," for byte in range(256))
_OPENING: Final = np.isin(np.arange(256), list(b"[("))
_CLOSING: Final = np.isin(np.arange(256), list(b"])"))

# Bytes of cells that are parsed at once; the positions that are noted take about as much again.
_SLICE_BYTES: Final = 8 << 20

Bytes = npt.NDArray[np.uint8]


class ArrayCellError(ValueError):
    """A cell that is not an array of the type.

    Attributes
    ----------
    row : int
        The row of the cell, counted from 0.
    found, expected : str
        What the cell holds, and what it should hold.
    """

    def __init__(self, row: int, found: str, expected: str) -> None:
        super().__init__(row, found, expected)
        self.row = row
        self.found = found
        self.expected = expected


def parse_array_cells(cells: pa.StringArray, value_type: pa.DataType) -> pa.ListArray:
    """Parse cells such as ``[1, 2]``, ``(1, 2)`` or ``[[1, 2], [3, 4]]`` into flat lists.

    Parameters
    ----------
    cells : pyarrow.StringArray
        An empty cell, an empty array and ``null`` become null, as null does.
    value_type : pyarrow.DataType
        The type of the elements: boolean, integer or float. An element that is ``null``, ``None``
        or empty becomes null; ``nan`` stays NaN.

    Returns
    -------
    pyarrow.ListArray
        Nested arrays are flattened, last axis fastest.

    Raises
    ------
    ArrayCellError
        A cell that is not enclosed in brackets, or an element of another type.
    """
    trimmed = pc.utf8_trim_whitespace(cells)
    trimmed = pc.if_else(pc.is_in(trimmed, pa.array(["null", "None", "[]", "()"])), "", trimmed)
    trimmed = pc.fill_null(trimmed, "")
    parts = []
    first = 0
    ends = np.cumsum(pc.binary_length(trimmed).to_numpy(zero_copy_only=False), dtype=np.int64)
    while first < len(trimmed):
        limit = _SLICE_BYTES + (int(ends[first - 1]) if first else 0)
        last = max(first + 1, int(np.searchsorted(ends, limit, side="right")))
        parts.append(_parse(trimmed.slice(first, last - first), value_type, first))
        first = last
    return pa.concat_arrays(parts) if parts else pa.array([], pa.list_(value_type))


def _parse(cells: pa.StringArray, value_type: pa.DataType, first_row: int) -> pa.ListArray:
    text, bounds = _buffers(cells)
    starts, ends = bounds[:-1], bounds[1:]
    filled = ends > starts
    enclosed = _OPENING[text[starts[filled]]] & _CLOSING[text[ends[filled] - 1]]
    if not enclosed.all():
        _fail(cells, first_row, int(np.flatnonzero(filled)[int(np.argmin(enclosed))]), "brackets")
    # All that follows works on the places of commas and of the brackets and blanks to be dropped.
    raw = text.tobytes()
    special = np.flatnonzero(np.frombuffer(raw.translate(_SPECIAL), np.bool_))
    comma = text[special] == _COMMA
    _check_separated(cells, text, special[~comma], bounds, first_row)

    # An element ends at a comma, or at the last bracket of its cell.
    boundary = comma
    boundary[np.searchsorted(special, ends[filled] - 1)] = True
    element_ends = special[boundary] - np.flatnonzero(boundary)
    list_ends = np.searchsorted(special[boundary], bounds)
    elements = pa.StringArray.from_buffers(
        len(element_ends),
        pa.py_buffer(np.concatenate([[0], element_ends]).astype(np.int32)),
        pa.py_buffer(raw.translate(None, _DROPPED + b",")),
    )
    values = _cast(elements, value_type, list_ends, first_row)
    # Cells of brackets alone, such as "[ ]" or "[[]]", hold one empty element: they are null too.
    n_kept = np.diff(bounds - np.searchsorted(special, bounds))
    lone = (np.diff(list_ends) == 1) & (n_kept == 0)
    return pa.ListArray.from_arrays(
        pa.array(list_ends.astype(np.int32)), values, mask=pa.array(lone | ~filled)
    )


def _buffers(cells: pa.StringArray) -> tuple[Bytes, npt.NDArray[np.int64]]:
    _, offsets, data = cells.buffers()
    bounds = np.frombuffer(offsets, np.int32)[cells.offset : cells.offset + len(cells) + 1]
    text = np.frombuffer(data, np.uint8) if data is not None else np.empty(0, np.uint8)
    return text[bounds[0] : bounds[-1]], (bounds - bounds[0]).astype(np.int64)


def _check_separated(
    cells: pa.StringArray,
    text: Bytes,
    dropped: npt.NDArray[np.int64],
    bounds: npt.NDArray[np.int64],
    first_row: int,
) -> None:
    # Dropping brackets and blanks must not join what they separate, as in "1 2".
    new_run = np.diff(dropped, prepend=-2) != 1
    before = dropped[new_run] - 1
    after = dropped[np.concatenate([new_run[1:], [True]])] + 1 if len(dropped) else before
    inside = (before >= 0) & (after < len(text))
    before, after = before[inside], after[inside]
    apart = (text[before] != _COMMA) & (text[after] != _COMMA)
    before, after = before[apart], after[apart]
    rows = np.searchsorted(bounds, before, "right") - 1
    joins = rows == np.searchsorted(bounds, after, "right") - 1
    if joins.any():
        _fail(cells, first_row, int(rows[int(np.argmax(joins))]), "commas")


def _cast(
    elements: pa.StringArray,
    value_type: pa.DataType,
    list_ends: npt.NDArray[np.int64],
    first_row: int,
) -> pa.Array:
    missing = pc.is_in(elements, pa.array(["", "null", "None"]))
    if pc.any(missing).as_py():
        elements = pc.if_else(missing, None, elements)
    try:
        return pc.cast(elements, value_type)
    except pa.ArrowInvalid as error:
        row, reason = _first_bad(elements, value_type, list_ends), str(error)
        raise ArrayCellError(first_row + row, reason, f"elements of type {value_type}") from error


def _first_bad(
    elements: pa.StringArray, value_type: pa.DataType, list_ends: npt.NDArray[np.int64]
) -> int:
    # Bisection: the first half that cannot be cast holds the first bad element.
    low, high = 0, len(elements)
    while high - low > 1:
        middle = (low + high) // 2
        try:
            pc.cast(elements.slice(low, middle - low), value_type)
            low = middle
        except pa.ArrowInvalid:
            high = middle
    return int(np.searchsorted(list_ends, low, side="right")) - 1


def _fail(cells: pa.StringArray, first_row: int, row: int, missing: str) -> None:
    text = cells[row].as_py()
    shown = text if len(text) <= 60 else f"{text[:60]}..."
    raise ArrayCellError(
        first_row + row, repr(shown), f"an array such as [1, 2] ({missing} are missing)"
    )
