"""The rows of a table or an image that are wanted, read in few, bounded pieces."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from astro_common.fits.content import Content

__all__ = ["RowReader", "Rows", "resolve_rows"]

Rows = slice | Sequence[int] | npt.NDArray[np.integer] | None
Integers = npt.NDArray[np.int64]
Bytes = npt.NDArray[np.uint8]

_BLOCK_BYTES: Final = 8 << 20

# Wanted rows that are this close are read together with what lies between them.
_GAP_BYTES: Final = 32 << 10

# Of rows wider than this, only the wanted parts are read.
_WIDE_ROW_BYTES: Final = 64 << 10


def resolve_rows(rows: Rows, count: int) -> range | Integers:
    """Turn a selection of rows into row numbers.

    Parameters
    ----------
    rows : slice, integer array or None
        None means all rows. An array may repeat rows, in any order.
    count : int
        How many rows there are.

    Returns
    -------
    range or ndarray of int64

    Raises
    ------
    IndexError
        A row below 0, or at or beyond `count`.
    TypeError
        An array that is not one-dimensional, or not of integers.
    """
    if rows is None:
        return range(count)
    if isinstance(rows, slice):
        return range(count)[rows]
    numbers = np.asarray(rows)
    if numbers.size == 0:
        return np.empty(0, np.int64)
    if numbers.ndim != 1 or numbers.dtype.kind not in "iu":
        raise TypeError(
            f"rows are an array of type {numbers.dtype} and {numbers.ndim} dimensions; "
            "a slice or a 1-D array of integers is needed"
        )
    low, high = int(numbers.min()), int(numbers.max())
    if low < 0 or high >= count:
        raise IndexError(f"row {low if low < 0 else high} of {count}, counted from 0")
    return numbers.astype(np.int64, copy=False)


class RowReader:
    """Reads parts of rows of equal size.

    Parameters
    ----------
    content : Content
        The open file.
    offset : int
        Where row 0 begins.
    row_bytes : int
        The size of a row.
    wanted : sequence of (int, int)
        The byte ranges within a row, as (offset, size), that are needed.
    """

    def __init__(
        self, content: Content, offset: int, row_bytes: int, wanted: Sequence[tuple[int, int]]
    ) -> None:
        self._content = content
        self._offset = offset
        self._row_bytes = row_bytes
        self._parts = _merge(wanted) if row_bytes > _WIDE_ROW_BYTES else [(0, row_bytes)]
        self.width = sum(end - start for start, end in self._parts)
        self._rows_per_block = max(1, _BLOCK_BYTES // max(1, self.width))
        self._gap_rows = _GAP_BYTES // max(1, row_bytes)

    def place(self, offset: int) -> int:
        """Where byte `offset` of a row lies in a row of a block (int)."""
        before = 0
        for start, end in self._parts:
            if start <= offset < end:
                return before + offset - start
            before += end - start
        raise IndexError(f"byte {offset} of a row is not among the parts that are read")

    def blocks(
        self, rows: range | Integers
    ) -> Iterator[tuple[Bytes, slice | Integers, slice | Integers]]:
        """Read the rows block by block.

        Yields
        ------
        block : ndarray of uint8, shape (m, width)
            The parts of m rows. It is overwritten by the next block.
        source : slice or ndarray of int64
            Which rows of the block are wanted.
        target : slice or ndarray of int64
            Their places in `rows`.
        """
        if self.width == 0:
            return
        if isinstance(rows, range) and (rows.step == 1 or len(rows) == 1):
            yield from self._consecutive(rows.start, len(rows))
        elif len(rows):
            yield from self._scattered(np.asarray(rows, np.int64))

    def _consecutive(self, start: int, count: int) -> Iterator[tuple[Bytes, slice, slice]]:
        buffer = np.empty((min(count, self._rows_per_block), self.width), np.uint8)
        for first in range(0, count, self._rows_per_block):
            block = buffer[: min(self._rows_per_block, count - first)]
            self._fill(block, start + first)
            yield block, slice(None), slice(first, first + len(block))

    def _scattered(self, rows: Integers) -> Iterator[tuple[Bytes, Integers, Integers]]:
        order = np.argsort(rows, kind="stable")
        rows = rows[order]
        step = np.diff(rows, prepend=rows[0])
        jump = step > self._gap_rows + 1
        # The place of each wanted row among all rows that are read.
        place = np.cumsum(np.where(jump, 1, step))
        buffer = np.empty((min(self._rows_per_block, int(place[-1]) + 1), self.width), np.uint8)
        first = 0
        while first < len(rows):
            limit = place[first] + self._rows_per_block
            last = int(np.searchsorted(place, limit, side="left"))
            source = place[first:last] - place[first]
            begins = np.concatenate([[0], np.flatnonzero(jump[first + 1 : last]) + 1])
            ends = np.concatenate([begins[1:], [last - first]]) - 1
            for begin, end in zip(begins.tolist(), ends.tolist(), strict=True):
                self._fill(buffer[source[begin] : source[end] + 1], int(rows[first + begin]))
            yield buffer[: source[-1] + 1], source, order[first:last]
            first = last

    def _fill(self, block: Bytes, first_row: int) -> None:
        start = self._offset + first_row * self._row_bytes
        if self.width == self._row_bytes:
            self._content.read_into(start, block.data.cast("B"))
            return
        for number, row in enumerate(block):
            place = 0
            for begin, end in self._parts:
                part = row[place : place + end - begin]
                self._content.read_into(start + number * self._row_bytes + begin, part.data)
                place += end - begin


def _merge(wanted: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    # One read costs about as much as copying a page, so close ranges are read as one.
    parts: list[tuple[int, int]] = []
    for offset, size in sorted(item for item in wanted if item[1]):
        if parts and offset <= parts[-1][1] + 4096:
            parts[-1] = (parts[-1][0], max(parts[-1][1], offset + size))
        else:
            parts.append((offset, offset + size))
    return parts
