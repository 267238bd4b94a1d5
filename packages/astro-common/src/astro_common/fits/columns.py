"""The columns of a binary table and their Arrow types, as TFORM and related keywords have them.

The codes and rules are those of the FITS Standard 4.0, section 7.3.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
from astropy.io.fits import Header

from astro_common.fits.headers import hdu_error, header_integer, header_number, header_text

__all__ = [
    "CHUNK_ELEMENTS",
    "Column",
    "arrow_field",
    "column_metadata",
    "element_type",
    "find_column",
    "parse_columns",
]

# Arrow counts the bytes of a chunk of strings, and the elements of a chunk of lists, in 31 bits.
# This leaves room for Latin-1, whose letters may take twice as many bytes in UTF-8.
CHUNK_ELEMENTS: Final = (1 << 30) - 1

_TFORM = re.compile(
    r"(\d{0,18})([LXBIJKAEDCM])(\d*)\Z"  # fixed width; after A, the width of substrings
    r"|(\d{0,18})([PQ])([LXBIJKAEDCM])(\(\d*\))?\Z"  # variable length
)
_TDIM = re.compile(r"\(\s*\d{1,18}\s*(,\s*\d{1,18}\s*)*\)\Z")
# The comment that CFITSIO itself puts on TTYPE.
_LABEL_OF_WRITER = re.compile(r"label for (field|column)\s*\d*\Z", re.IGNORECASE)

_STORED: Final[dict[str, np.dtype[np.generic]]] = {
    "L": np.dtype("u1"),
    "X": np.dtype("u1"),
    "B": np.dtype("u1"),
    "I": np.dtype(">i2"),
    "J": np.dtype(">i4"),
    "K": np.dtype(">i8"),
    "A": np.dtype("u1"),
    "E": np.dtype(">f4"),
    "D": np.dtype(">f8"),
    "C": np.dtype(">c8"),
    "M": np.dtype(">c16"),
}

# The TZERO that stands for unsigned integers, or for signed bytes (Standard, table 19).
_OFFSETS: Final[dict[str, tuple[int, str]]] = {
    "B": (-(1 << 7), "i1"),
    "I": (1 << 15, "u2"),
    "J": (1 << 31, "u4"),
    "K": (1 << 63, "u8"),
}


@dataclass(frozen=True)
class Column:
    """One column of a binary table.

    Attributes
    ----------
    number : int
        Counted from 1, as in the keywords.
    name : str
        TTYPE, or ``col<number>`` without one.
    code : str
        The code of the element type: ``L X B I J K A E D C M``.
    repeat : int
        Elements per row: bits for ``X``, characters for ``A``.
    offset, width : int
        Where the column lies in a row, and its width, in bytes.
    descriptor : str
        ``P`` or ``Q`` for arrays of variable length, else empty.
    shape : tuple of int
        TDIM, first axis fastest; empty without one.
    scale, zero : int or float
        TSCAL and TZERO.
    null : int or None
        TNULL, the stored integer that means "undefined".
    metadata : mapping
        As `column_metadata` returns it.
    """

    number: int
    name: str
    code: str
    repeat: int
    offset: int
    width: int
    descriptor: str
    shape: tuple[int, ...]
    scale: int | float
    zero: int | float
    null: int | None
    metadata: Mapping[str, str] = field(hash=False)

    @property
    def stored(self) -> np.dtype[np.generic]:
        """The dtype of an element in the file, big-endian; bytes for bits and characters."""
        return _STORED[self.code]

    @property
    def is_scaled(self) -> bool:
        """Whether TSCAL and TZERO change the values (bool)."""
        return self.code in "BIJKEDCM" and (self.scale != 1 or self.zero != 0)

    @property
    def physical(self) -> np.dtype[np.generic]:
        """The dtype of an element as it is returned, in native byte order.

        Integers with an integral TZERO and no TSCAL stay integers; anything else scaled is
        computed and returned in double precision.
        """
        native = self.stored.newbyteorder("=")
        if self.code in "LX":
            return np.dtype(np.bool_)
        if not self.is_scaled:
            return native
        if self.code in "BIJK" and self.scale == 1 and isinstance(self.zero, int):
            offset, unsigned = _OFFSETS[self.code]
            return np.dtype(unsigned) if self.zero == offset else np.dtype(np.int64)
        return np.dtype(np.complex128 if self.code in "CM" else np.float64)

    @property
    def string_bytes(self) -> int:
        """Bytes per string of a fixed-width ``A`` column (int)."""
        return self.shape[0] if self.shape else self.repeat

    @property
    def list_size(self) -> int:
        """Values per row of a fixed-width column (int); 1 is a scalar."""
        if self.code != "A":
            return self.repeat
        return self.repeat // self.string_bytes if self.string_bytes else 0


def parse_columns(path: Path, index: int, header: Header) -> tuple[Column, ...]:
    """Read the column keywords of a binary-table header and check that they add up to NAXIS1.

    Raises
    ------
    InputError
        TFIELDS, a TFORM, TDIM, TSCAL, TZERO or TNULL is missing or wrong, two columns share a
        name, or the widths do not add up.
    """
    count = header_integer(path, index, header, "TFIELDS")
    if count > 999:
        raise hdu_error(path, index, f"TFIELDS = {count}", "at most 999")
    columns: list[Column] = []
    names: set[str] = set()
    offset = 0
    for number in range(1, count + 1):
        column = _parse_column(path, index, header, number, offset)
        if column.name in names:
            raise hdu_error(path, index, f"two columns named {column.name!r}", "unique names")
        names.add(column.name)
        columns.append(column)
        offset += column.width
    row_bytes = header_integer(path, index, header, "NAXIS1")
    if offset != row_bytes:
        raise hdu_error(
            path, index, f"the TFORMs describe rows of {offset} bytes", f"NAXIS1 = {row_bytes}"
        )
    return tuple(columns)


def _parse_column(path: Path, index: int, header: Header, number: int, offset: int) -> Column:
    form = header.get(f"TFORM{number}")
    match = _TFORM.match(form.strip()) if isinstance(form, str) else None
    if match is None:
        raise hdu_error(
            path, index, f"TFORM{number} = {form!r}", "a repeat count and one of LXBIJKAEDCMPQ"
        )
    descriptor = match[5] or ""
    code = match[6] if descriptor else match[2]
    count = match[4] if descriptor else match[1]
    repeat = int(count) if count else 1
    if descriptor:
        if repeat > 1:
            raise hdu_error(path, index, f"TFORM{number} = {form!r}", f"1{descriptor}{code}")
        width = repeat * (8 if descriptor == "P" else 16)
    else:
        width = (repeat + 7) // 8 if code == "X" else repeat * _STORED[code].itemsize
    if code == "A" and repeat > CHUNK_ELEMENTS:
        raise hdu_error(
            path, index, f"TFORM{number} = {form!r}", f"at most {CHUNK_ELEMENTS} characters"
        )
    shape = _parse_shape(path, index, header, number, code, repeat) if not descriptor else ()
    if code == "A" and not descriptor and not shape and match[3]:
        # The older way to declare substrings of w characters: TFORM = rAw.
        string_bytes = int(match[3][:18])
        if 0 < string_bytes < repeat and repeat % string_bytes == 0:
            shape = (string_bytes, repeat // string_bytes)
    name = header_text(header, f"TTYPE{number}") or f"col{number}"
    null = header.get(f"TNULL{number}") if code in "BIJK" else None
    if null is not None and (isinstance(null, bool) or not isinstance(null, int)):
        raise hdu_error(path, index, f"TNULL{number} = {null!r}", "an integer")
    scale = header_number(path, index, header, f"TSCAL{number}")
    zero = header_number(path, index, header, f"TZERO{number}")
    return Column(
        number=number,
        name=name,
        code=code,
        repeat=repeat,
        offset=offset,
        width=width,
        descriptor=descriptor,
        shape=shape,
        scale=1 if scale is None else scale,
        zero=0 if zero is None else int(zero) if float(zero).is_integer() else zero,
        null=null,
        metadata=column_metadata(header, number),
    )


def _parse_shape(
    path: Path, index: int, header: Header, number: int, code: str, repeat: int
) -> tuple[int, ...]:
    text = header_text(header, f"TDIM{number}")
    if not text:
        return ()
    if _TDIM.match(text) is None:
        raise hdu_error(path, index, f"TDIM{number} = {text!r}", "sizes such as (4,3)")
    shape = tuple(int(part) for part in text.strip("()").split(","))
    size = math.prod(shape)
    if size == repeat:
        return shape
    if 0 < size < repeat and code != "A":
        # The Standard lets TDIM describe fewer elements than the repeat count; all are kept, flat.
        return ()
    if code == "A" and shape[0] > 0 and repeat % shape[0] == 0:
        return (shape[0], repeat // shape[0])
    raise hdu_error(
        path, index, f"TDIM{number} = {text!r}", f"the {repeat} elements of TFORM{number}"
    )


def column_metadata(header: Header, number: int) -> dict[str, str]:
    """Collect the unit, UCD and description of a column.

    Returns
    -------
    dict of str to str
        ``unit`` (TUNIT), ``ucd`` (TUCD or TBUCD) and ``description`` (TCOMM, or the comment on
        TTYPE), as far as the header gives them.
    """
    description = header_text(header, f"TCOMM{number}")
    keyword = f"TTYPE{number}"
    if not description and keyword in header:
        description = str(header.comments[keyword]).strip()
        if _LABEL_OF_WRITER.match(description):
            description = ""
    metadata = {
        "unit": header_text(header, f"TUNIT{number}"),
        "ucd": header_text(header, f"TUCD{number}") or header_text(header, f"TBUCD{number}"),
        "description": description,
    }
    return {key: value for key, value in metadata.items() if value}


def arrow_field(column: Column) -> pa.Field:
    """Make the Arrow field of a column, with ``unit, ucd, description`` and ``tdim`` as metadata.

    Vectors become fixed-size lists in the order of the file (first TDIM axis fastest),
    variable-length arrays lists, characters strings, and a complex number a fixed-size list of its
    real and imaginary parts. A column of zero width is all null.
    """
    metadata = dict(column.metadata)
    if len(column.shape) > 1:
        metadata["tdim"] = ",".join(map(str, column.shape))
    if column.code in "CM":
        metadata["complex"] = "real, imaginary"
    return pa.field(column.name, _arrow_type(column), metadata=metadata or None)


def element_type(column: Column) -> pa.DataType:
    """The Arrow type of one element of a column."""
    if column.code == "A":
        return pa.string()
    if column.physical.kind == "c":
        part = pa.float32() if column.physical.itemsize == 8 else pa.float64()
        return pa.list_(part, 2)
    return pa.from_numpy_dtype(column.physical)


def _arrow_type(column: Column) -> pa.DataType:
    element = element_type(column)
    if column.descriptor:
        return element if column.code == "A" else pa.list_(element)
    return element if column.list_size <= 1 else pa.list_(element, column.list_size)


def find_column(path: Path, index: int, columns: tuple[Column, ...], name: str) -> Column:
    """Return the column with this name.

    Raises
    ------
    InputError
        There is no such column; the message suggests a name that differs only in case.
    """
    for column in columns:
        if column.name == name:
            return column
    near = [column.name for column in columns if column.name.casefold() == name.casefold()]
    names = ", ".join(column.name for column in columns[:20])
    raise hdu_error(
        path,
        index,
        f"no column {name!r}",
        f"one of {names}{' ...' if len(columns) > 20 else ''}",
        f"did you mean {near[0]!r}?" if near else "",
    )
