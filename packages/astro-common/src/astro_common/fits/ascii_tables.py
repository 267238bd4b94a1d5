"""ASCII tables: rows of text in fixed columns (FITS Standard 4.0, section 7.2)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from astro_common.errors import InputError
from astro_common.fits.arrays import text_array
from astro_common.fits.columns import CHUNK_ELEMENTS, column_metadata
from astro_common.fits.content import Content
from astro_common.fits.headers import (
    HduInfo,
    hdu_error,
    header_integer,
    header_number,
    header_text,
)
from astro_common.fits.rows import RowReader, Rows, resolve_rows
from astro_common.fits.tables import FitsTable

__all__ = ["AsciiTable"]

_TFORM: Final = re.compile(r"([AIFED])(\d{1,9})(?:\.(\d{1,9}))?\Z")


@dataclass(frozen=True)
class _Column:
    number: int
    name: str
    code: str
    offset: int
    width: int
    decimals: int
    scale: float
    zero: float
    null: str
    metadata: dict[str, str]

    @property
    def type(self) -> pa.DataType:
        if self.code == "A":
            return pa.string()
        scaled = self.scale != 1 or self.zero != 0
        return pa.int64() if self.code == "I" and not scaled else pa.float64()


class AsciiTable(FitsTable):
    """A table of text: strings, 64-bit integers and double-precision numbers.

    A field equal to TNULL is null. So is a blank number, to which the Standard gives the value 0.

    Raises
    ------
    InputError
        The keywords that describe the table are missing or wrong.
    """

    def __init__(self, content: Content, info: HduInfo) -> None:
        self._content = content
        self._info = info
        header = info.header
        self._row_bytes = header_integer(content.path, info.index, header, "NAXIS1")
        self._num_rows = header_integer(content.path, info.index, header, "NAXIS2")
        if self._num_rows and not self._row_bytes:
            raise self._error(f"{self._num_rows} rows of 0 bytes", "NAXIS1 > 0")
        if info.data_bytes < self._row_bytes * self._num_rows:
            raise self._error(f"BITPIX = {header['BITPIX']}", "8 in a table")
        count = header_integer(content.path, info.index, header, "TFIELDS")
        if count > 999:
            raise self._error(f"TFIELDS = {count}", "at most 999")
        self._columns = [self._parse_column(number) for number in range(1, count + 1)]
        names: set[str] = set()
        for column in self._columns:
            if column.name in names:
                raise self._error(f"two columns named {column.name!r}", "unique names")
            names.add(column.name)
        self._schema = pa.schema(
            [pa.field(c.name, c.type, metadata=c.metadata or None) for c in self._columns]
        )

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
        chosen = self._columns if columns is None else [self._find(name) for name in columns]
        numbers = resolve_rows(rows, self._num_rows)
        text = {c.name: np.empty((len(numbers), c.width), np.uint8) for c in chosen}
        if len(numbers):
            wanted = [(column.offset, column.width) for column in chosen]
            reader = RowReader(self._content, self._info.data_offset, self._row_bytes, wanted)
            for block, source, target in reader.blocks(numbers):
                for column in chosen:
                    place = reader.place(column.offset)
                    text[column.name][target] = block[source, place : place + column.width]
        arrays = [self._in_chunks(column, text[column.name]) for column in chosen]
        return pa.Table.from_arrays(
            arrays, schema=pa.schema([self._schema.field(column.name) for column in chosen])
        )

    def _error(self, found: str, expected: str, action: str = "") -> InputError:
        return hdu_error(self._content.path, self._info.index, found, expected, action)

    def _parse_column(self, number: int) -> _Column:
        path, index, header = self._content.path, self._info.index, self._info.header
        form = header_text(header, f"TFORM{number}")
        match = _TFORM.match(form)
        if match is None:
            raise self._error(f"TFORM{number} = {form!r}", "such as A10, I6, F8.3, E14.7, D25.17")
        first = header_integer(path, index, header, f"TBCOL{number}", minimum=1)
        width = int(match[2])
        if not width or first - 1 + width > self._row_bytes:
            raise self._error(
                f"column {number} of {width} bytes at byte {first}",
                f"a place within the {self._row_bytes} bytes of a row",
            )
        scale = header_number(path, index, header, f"TSCAL{number}")
        zero = header_number(path, index, header, f"TZERO{number}")
        return _Column(
            number=number,
            name=header_text(header, f"TTYPE{number}") or f"col{number}",
            code=match[1],
            offset=first - 1,
            width=width,
            decimals=int(match[3] or 0),
            scale=1.0 if scale is None else float(scale),
            zero=0.0 if zero is None else float(zero),
            # A number, against the Standard, stands for its text, as in CFITSIO.
            null=str(header.get(f"TNULL{number}", "")).strip(),
            metadata=column_metadata(header, number),
        )

    def _find(self, name: str) -> _Column:
        for column in self._columns:
            if column.name == name:
                return column
        raise self._error(f"no column {name!r}", f"one of {', '.join(self.column_names[:20])}")

    def _in_chunks(self, column: _Column, text: np.ndarray) -> pa.ChunkedArray:
        per_chunk = max(1, CHUNK_ELEMENTS // column.width)
        starts = range(0, len(text), per_chunk)
        chunks = [self._to_arrow(column, text[start : start + per_chunk]) for start in starts]
        return pa.chunked_array(chunks, column.type)

    def _to_arrow(self, column: _Column, text: np.ndarray) -> pa.Array:
        lengths = np.full(len(text), column.width, np.int64)
        strings = text_array(text.reshape(-1), lengths)
        stripped = pc.ascii_trim(strings, characters=" ")
        missing = pc.equal(stripped, column.null) if column.null else None
        if column.code == "A":
            values = strings
        else:
            blank = pc.equal(stripped, "")
            missing = blank if missing is None else pc.or_(blank, missing)
            values = self._to_numbers(column, pc.if_else(missing, None, stripped))
        return values if missing is None else pc.if_else(missing, None, values)

    def _to_numbers(self, column: _Column, text: pa.Array) -> pa.Array:
        try:
            if column.code == "I":
                values = pc.cast(pc.replace_substring_regex(text, r"^\+", ""), pa.int64())
            else:
                values = pc.cast(_as_float_text(text, column.decimals), pa.float64())
        except pa.ArrowInvalid as error:
            raise self._error(
                f"in column {column.name!r}: {error}", f"numbers, as in TFORM {column.code}"
            ) from error
        if column.type == pa.int64() or (column.scale == 1 and column.zero == 0):
            return values
        values = pc.cast(values, pa.float64(), safe=False)
        return pc.add(pc.multiply(values, column.scale), column.zero)


def _as_float_text(text: pa.Array, decimals: int) -> pa.Array:
    # The exponent begins with E, with D, or with its sign alone.
    text = pc.replace_substring_regex(text, r"([0-9.])[DdEe]?([+-][0-9]+)$", r"\1E\2")
    text = pc.replace_substring_regex(text, "[Dd]", "E")
    text = pc.replace_substring_regex(text, r"^\+", "")
    if not decimals:
        return text
    # Without a decimal point, one is implied before the last digits. Moving it by way of the
    # exponent leaves it to the conversion to round, once.
    parts = pc.extract_regex(text, r"^(?P<digits>-?[0-9]+)(?:E\+?(?P<exponent>-?[0-9]+))?$")
    exponent = pc.struct_field(parts, "exponent")
    exponent = pc.cast(pc.if_else(pc.equal(exponent, ""), "0", exponent), pa.int64())
    exponent = pc.cast(pc.subtract(exponent, decimals), pa.string())
    moved = pc.binary_join_element_wise(pc.struct_field(parts, "digits"), exponent, "E")
    return pc.coalesce(moved, text)
