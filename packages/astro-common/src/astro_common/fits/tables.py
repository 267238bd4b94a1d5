"""Binary tables as Arrow tables, reading only the columns and rows that are asked for.

Rows are read in blocks of bounded size, and only the wanted elements are kept. The memory in use is
that of the result and one block, whatever the size of the file.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from astro_common.fits.arrays import element_array, text_array, unpack_bits
from astro_common.fits.columns import (
    CHUNK_ELEMENTS,
    Column,
    arrow_field,
    find_column,
    parse_columns,
)
from astro_common.fits.content import Content
from astro_common.fits.headers import HduInfo, hdu_error, header_integer
from astro_common.fits.heap import Heap
from astro_common.fits.rows import RowReader, Rows, resolve_rows

__all__ = ["BinaryTable", "FitsTable"]

Integers = npt.NDArray[np.int64]

# The column decides the dtype.
Elements = npt.NDArray[Any]


class FitsTable(ABC):
    """A table, read on demand while its file is open."""

    @property
    @abstractmethod
    def num_rows(self) -> int:
        """The number of rows (int)."""

    @property
    @abstractmethod
    def schema(self) -> pa.Schema:
        """One field per column, with ``unit, ucd, description`` as metadata where given."""

    @property
    def column_names(self) -> list[str]:
        """The names of the columns in the order of the file (list of str)."""
        return list(self.schema.names)

    @abstractmethod
    def read(self, columns: Sequence[str] | None = None, rows: Rows = None) -> pa.Table:
        """Read columns and rows.

        Parameters
        ----------
        columns : sequence of str, optional
            Names of the columns, in the order wanted; all by default.
        rows : slice or integer array, optional
            Row numbers, counted from 0; an array may repeat them, in any order. All by default.

        Returns
        -------
        pyarrow.Table
            Values scaled by TSCAL and TZERO; TNULL as null; NaN as NaN.

        Raises
        ------
        InputError
            An unknown column, or data that do not agree with the header.
        IndexError
            A row outside the table.
        TypeError
            Rows that are not a slice or a one-dimensional array of integers.
        """


class BinaryTable(FitsTable):
    """A binary table.

    Attributes
    ----------
    columns : tuple of Column
        The columns as the header describes them.
    heap : Heap
        The elements of variable-length arrays.

    Raises
    ------
    InputError
        The keywords that describe the table are missing, wrong or do not agree.
    """

    def __init__(self, content: Content, info: HduInfo) -> None:
        self._content = content
        self._info = info
        path, header = content.path, info.header
        for keyword, expected in (("BITPIX", 8), ("NAXIS", 2), ("GCOUNT", 1)):
            value = header_integer(path, info.index, header, keyword, default=1)
            if value != expected:
                raise hdu_error(path, info.index, f"{keyword} = {value}", f"{expected} in a table")
        self.columns = parse_columns(path, info.index, header)
        self._row_bytes = header_integer(path, info.index, header, "NAXIS1")
        self._num_rows = header_integer(path, info.index, header, "NAXIS2")
        if self._num_rows and not self._row_bytes:
            raise hdu_error(path, info.index, f"{self._num_rows} rows of 0 bytes", "NAXIS1 > 0")
        self.heap = Heap(content, info)
        self._schema = pa.schema([arrow_field(column) for column in self.columns])

    @property
    def num_rows(self) -> int:
        """The number of rows (int)."""
        return self._num_rows

    @property
    def schema(self) -> pa.Schema:
        """One field per column, with ``unit, ucd, description`` as metadata where given."""
        return self._schema

    def read(self, columns: Sequence[str] | None = None, rows: Rows = None) -> pa.Table:
        """Read columns and rows; see `FitsTable.read`."""
        if columns is None:
            chosen = list(self.columns)
        else:
            path, index = self._content.path, self._info.index
            chosen = [find_column(path, index, self.columns, name) for name in columns]
        numbers = resolve_rows(rows, self._num_rows)
        stored = self._read_stored(chosen, numbers)
        arrays = {}
        for column in dict.fromkeys(chosen):
            # Popped, so that the stored form is freed before the next column is converted.
            arrays[column.name] = self._to_arrow(column, stored.pop(column.number), numbers)
        names = [column.name for column in chosen]
        schema = pa.schema([self._schema.field(name) for name in names])
        return pa.Table.from_arrays([arrays[name] for name in names], schema=schema)

    def descriptors(self, column: str) -> tuple[Integers, Integers]:
        """Read the array descriptors of a column, and check them against the heap.

        Returns
        -------
        counts, offsets : ndarray of int64, shape (num_rows,)
            Number of elements, and offset in bytes from the start of the heap.

        Raises
        ------
        InputError
            There is no such column, it holds no variable-length arrays, or an array lies outside
            the heap.
        """
        path, index = self._content.path, self._info.index
        found = find_column(path, index, self.columns, column)
        if not found.descriptor:
            raise hdu_error(path, index, f"column {column!r} of fixed width", "TFORM 1P or 1Q")
        rows = range(self._num_rows)
        stored = self._read_stored([found], rows)[found.number]
        self.heap.check(found, stored[:, 0], stored[:, 1], np.asarray(rows))
        return stored[:, 0], stored[:, 1]

    def _read_stored(
        self, columns: Sequence[Column], rows: range | Integers
    ) -> dict[int, Elements]:
        # By column number: elements in native byte order, shape (n, repeat); bytes for bits and
        # characters; (count, offset) for variable-length arrays.
        wanted = [(column.offset, column.width) for column in columns]
        reader = RowReader(self._content, self._info.data_offset, self._row_bytes, wanted)
        stored = {column.number: _allocate(column, len(rows)) for column in columns}
        for block, source, target in reader.blocks(rows):
            for column in columns:
                if column.width:
                    elements = _view(column, block, reader.place(column.offset))
                    stored[column.number][target] = elements[source]
        return stored

    def _to_arrow(
        self, column: Column, stored: Elements, rows: range | Integers
    ) -> pa.ChunkedArray:
        data_type = self._schema.field(column.name).type
        if not column.width or not len(stored):
            return pa.chunked_array([pa.nulls(len(stored), data_type)])
        if column.descriptor:
            return self._variable(column, stored[:, 0], stored[:, 1], rows, data_type)
        if column.code == "A":
            chunks = _strings(column, stored)
        else:
            if column.code == "X":
                stored = unpack_bits(stored, column.repeat)
            path, index = self._content.path, self._info.index
            chunks = [element_array(path, index, column, stored.reshape(-1))]
        if column.list_size > 1:
            chunks = [pa.FixedSizeListArray.from_arrays(chunk, type=data_type) for chunk in chunks]
        return pa.chunked_array(chunks, data_type)

    def _variable(
        self,
        column: Column,
        counts: Integers,
        offsets: Integers,
        rows: range | Integers,
        data_type: pa.DataType,
    ) -> pa.ChunkedArray:
        numbers = np.asarray(rows)
        if isinstance(rows, range):
            self.heap.check(column, counts, offsets, numbers)
        else:
            # A row that is asked for several times counts once.
            _, distinct = np.unique(numbers, return_index=True)
            self.heap.check(column, counts[distinct], offsets[distinct], numbers[distinct])
        longest = int(counts.max())
        if longest > CHUNK_ELEMENTS:
            raise hdu_error(
                self._content.path,
                self._info.index,
                f"column {column.name!r} has an array of {longest} elements",
                f"at most {CHUNK_ELEMENTS}",
            )
        chunks = []
        ends = np.cumsum(counts)
        first = 0
        while first < len(counts):
            limit = CHUNK_ELEMENTS + (ends[first - 1] if first else 0)
            last = max(first + 1, int(np.searchsorted(ends, limit, side="right")))
            chunks.append(
                self._variable_chunk(column, counts[first:last], offsets[first:last], data_type)
            )
            first = last
        return pa.chunked_array(chunks, data_type)

    def _variable_chunk(
        self, column: Column, counts: Integers, offsets: Integers, data_type: pa.DataType
    ) -> pa.Array:
        sizes = self.heap.sizes(column, counts)
        gathered = self.heap.gather(sizes, offsets)
        if column.code == "A":
            return text_array(gathered, counts)
        path, index = self._content.path, self._info.index
        if column.code == "X":
            bits = np.unpackbits(gathered).view(np.bool_)
            kept = np.arange(len(bits)) - np.repeat((np.cumsum(sizes) - sizes) * 8, sizes * 8)
            stored: Elements = bits[kept < np.repeat(counts, sizes * 8)]
        else:
            stored = gathered.view(column.stored).astype(column.stored.newbyteorder("="))
        starts = np.concatenate([[0], np.cumsum(counts)])
        values = element_array(path, index, column, stored)
        return pa.ListArray.from_arrays(pa.array(starts.astype(np.int32)), values, type=data_type)


def _allocate(column: Column, count: int) -> Elements:
    if column.descriptor:
        return np.zeros((count, 2), np.int64)
    if column.code == "X":
        return np.empty((count, column.width), np.uint8)
    return np.empty((count, column.repeat), column.stored.newbyteorder("="))


def _view(column: Column, block: npt.NDArray[np.uint8], place: int) -> Elements:
    dtype = column.stored
    if column.descriptor:
        dtype = np.dtype(">i4" if column.descriptor == "P" else ">i8")
    shape = (len(block), column.width // dtype.itemsize)
    strides = (block.strides[0], dtype.itemsize)
    return np.ndarray(shape, dtype, block, place, strides)


def _strings(column: Column, stored: Elements) -> list[pa.Array]:
    # One string is at most a row, and a chunk holds whole rows.
    per_chunk = max(1, CHUNK_ELEMENTS // column.repeat)
    chunks = []
    for first in range(0, len(stored), per_chunk):
        rows = stored[first : first + per_chunk].view(np.uint8)
        lengths = np.full(len(rows) * column.list_size, column.string_bytes, np.int64)
        chunks.append(text_array(rows.reshape(-1), lengths))
    return chunks
