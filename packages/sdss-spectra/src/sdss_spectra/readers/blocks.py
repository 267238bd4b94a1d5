"""The headers and tables of a small FITS file, straight from its bytes.

A survey of spectra is a hundred thousand files of a few hundred cards and one short table each.
Parsing every card of every file takes ten times as long as the work on the spectrum, so this
module parses a card when it is asked for, and the layout of a table once for all files that share
it. Sizes are checked against the file before they are used (FITS Standard 4.0, sections 3, 4, 7).
"""

from __future__ import annotations

import gzip
import re
import zlib
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from astro_common.errors import InputError

__all__ = ["Block", "header_values", "read_bytes", "scan", "table_dtype", "table_rows"]

_BLOCK = 2880
_CARD = 80
MAX_FILE_BYTES: Final = 256 << 20

_ITEMS = {"L": "i1", "B": "u1", "I": ">i2", "J": ">i4", "K": ">i8", "E": ">f4", "D": ">f8"}
_FORMAT = re.compile(r"(\d*)([LBIJKEDAXCMPQ])")
_VALUE = re.compile(rb"\s*(?:'((?:[^']|'')*)'|([TF])(?=\s*(?:/|$))|([^/']*))")
_TTYPE = re.compile(rb"TTYPE(\d+) *$")
_TFORM = re.compile(rb"TFORM(\d+) *$")


class Block:
    """One header-and-data unit.

    Attributes
    ----------
    index : int
        Its place in the file.
    header : bytes
        Its cards, without END.
    start, size : int
        Where the data begin and how many bytes they are.
    """

    __slots__ = ("header", "index", "path", "size", "start")

    def __init__(self, path: Path, index: int, header: bytes, start: int) -> None:
        self.path = path
        self.index = index
        self.header = header
        self.start = start
        self.size = self._data_bytes()

    def value(self, keyword: str) -> Any:
        """Value of a keyword, or None."""
        return _card_value(self.header, keyword)

    def integer(self, keyword: str, default: int | None = None) -> int:
        """Value of a keyword that must be a whole number from 0 on."""
        value = self.value(keyword)
        if value is None and default is not None:
            return default
        if isinstance(value, bool) or not isinstance(value, int) or value < 0:
            raise self.error(f"{keyword} = {value!r}", "a whole number of at least 0")
        return value

    def error(self, found: str, expected: str = "") -> InputError:
        """An error about this unit."""
        return InputError(self.path, f"HDU {self.index}: {found}", expected)

    def _data_bytes(self) -> int:
        num_axes = self.integer("NAXIS")
        if num_axes == 0:
            return 0
        if num_axes > 999:
            raise self.error(f"NAXIS = {num_axes}", "at most 999")
        bitpix = self.value("BITPIX")
        if bitpix not in (8, 16, 32, 64, -32, -64):
            raise self.error(f"BITPIX = {bitpix!r}", "8, 16, 32, 64, -32 or -64")
        size = abs(bitpix) // 8
        elements = 1
        for axis in range(1, num_axes + 1):
            elements *= self.integer(f"NAXIS{axis}")
        pcount, gcount = self.integer("PCOUNT", 0), self.integer("GCOUNT", 1)
        return int(size * gcount * (pcount + elements))


def read_bytes(path: Path) -> bytes | None:
    """Read a whole file, decompressed if it is gzip.

    Returns
    -------
    bytes or None
        None if the content is larger than `MAX_FILE_BYTES`: no spec file is.

    Raises
    ------
    InputError
        The file cannot be read, or its gzip stream is damaged.
    """
    try:
        with path.open("rb") as file:
            start = file.read(2)
            file.seek(0)
            if start == b"\x1f\x8b":
                with gzip.GzipFile(fileobj=file) as unpacked:
                    data = unpacked.read(MAX_FILE_BYTES + 1)
            else:
                data = file.read(MAX_FILE_BYTES + 1)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise InputError(path, f"gzip is damaged ({error})", "a whole file") from error
    except OSError as error:
        raise InputError(path, f"cannot be read ({error.strerror})", "a FITS file") from error
    return data if len(data) <= MAX_FILE_BYTES else None


def scan(path: Path, data: bytes, limit: int) -> list[Block]:
    """Find the first header-and-data units.

    Parameters
    ----------
    path : Path
        The file, for errors.
    data : bytes
        Its content.
    limit : int
        How many units are wanted at most.

    Raises
    ------
    InputError
        The file is not FITS or ends too early.
    """
    if not data:
        raise InputError(path, "an empty file", "a FITS file")
    if data[:6] != b"SIMPLE":
        raise InputError(path, f"begins with {data[:8]!r}", "a FITS file (SIMPLE)")
    blocks: list[Block] = []
    place = 0
    while place < len(data) and len(blocks) < limit:
        if blocks and data[place : place + 8] != b"XTENSION":
            break
        end = _header_end(data, place)
        if end is None:
            raise InputError(path, f"HDU {len(blocks)}: the header has no END", "a whole file")
        start = place + -(-(end + _CARD - place) // _BLOCK) * _BLOCK
        block = Block(path, len(blocks), data[place:end], start)
        if start + block.size > len(data):
            raise InputError(
                path,
                f"HDU {block.index}: {max(0, len(data) - start)} bytes of data",
                f"{block.size}; the file is cut short",
            )
        blocks.append(block)
        place = start + -(-block.size // _BLOCK) * _BLOCK
    return blocks


def _header_end(data: bytes, place: int) -> int | None:
    found = data.find(b"END     ", place)
    while found != -1:
        if (found - place) % _CARD == 0:
            return found
        found = data.find(b"END     ", found + 1)
    return None


def _parse_value(field: bytes) -> Any:
    match = _VALUE.match(field)
    if match is None:
        return None
    text, logical, number = match.groups()
    if text is not None:
        return text.replace(b"''", b"'").decode("ascii", "replace").rstrip()
    if logical is not None:
        return logical == b"T"
    bare = number.strip()
    try:
        return int(bare)
    except ValueError:
        pass
    try:
        return float(bare.replace(b"D", b"E").replace(b"d", b"e"))
    except ValueError:
        return None


def _cards(header: bytes) -> Iterator[tuple[bytes, bytes]]:
    for place in range(0, len(header), _CARD):
        if header[place + 8 : place + 10] == b"= ":
            yield header[place : place + 8], header[place + 10 : place + _CARD]


def _card_value(header: bytes, keyword: str) -> Any:
    name = keyword.encode().ljust(8) + b"= "
    place = header.find(name)
    while place != -1 and place % _CARD:
        place = header.find(name, place + 1)
    return None if place == -1 else _parse_value(header[place + 10 : place + _CARD])


def header_values(header: bytes) -> dict[str, Any]:
    """All values of a header by keyword; the first of equal keywords."""
    values: dict[str, Any] = {}
    for name, field in _cards(header):
        values.setdefault(name.decode("ascii", "replace").rstrip(), _parse_value(field))
    return values


@lru_cache(maxsize=64)
def _layout(header: bytes) -> tuple[tuple[str, str, int, str], ...]:
    names: dict[int, str] = {}
    forms: dict[int, str] = {}
    for key, field in _cards(header):
        for pattern, found in ((_TTYPE, names), (_TFORM, forms)):
            match = pattern.match(key)
            if match:
                found[int(match[1])] = str(_parse_value(field)).strip()
    columns = []
    for number in sorted(forms):
        form_match = _FORMAT.match(forms[number])
        if form_match is None:
            raise ValueError(f"TFORM{number} = {forms[number]!r}")
        repeat = int(form_match[1]) if form_match[1] else 1
        columns.append((names.get(number, f"col{number}"), form_match[2], repeat, forms[number]))
    return tuple(columns)


@lru_cache(maxsize=64)
def table_dtype(header: bytes) -> np.dtype[np.void]:
    """Record layout of a binary table, from the bytes of its header.

    Raises
    ------
    ValueError
        A format that is not known, or names that occur twice.
    """
    fields: list[Any] = []
    for name, code, repeat, form in _layout(header):
        upper = name.upper()
        if code == "A":
            fields.append((upper, f"S{max(repeat, 1)}" if repeat else "V0"))
        elif code in _ITEMS:
            shape = () if repeat == 1 else (repeat,)
            fields.append((upper, _ITEMS[code], shape))
        else:
            widths = {"X": -(-repeat // 8), "C": 8 * repeat, "M": 16 * repeat, "P": 8 * repeat}
            if code not in widths and code != "Q":
                raise ValueError(f"TFORM {form!r}")
            fields.append((upper, f"V{widths.get(code, 16 * repeat)}"))
    return np.dtype(fields)


def table_rows(block: Block, data: bytes) -> npt.NDArray[np.void]:
    """Rows of a binary table as a structured array that shares the bytes, big-endian.

    Raises
    ------
    InputError
        Rows whose width does not agree with the columns.
    """
    try:
        dtype = table_dtype(block.header)
    except ValueError as error:
        raise block.error(str(error), "columns with names and formats of their own") from error
    width, count = block.integer("NAXIS1"), block.integer("NAXIS2")
    if dtype.itemsize != width:
        raise block.error(f"columns of {dtype.itemsize} bytes", f"NAXIS1 = {width}")
    if count == 0 or width == 0:
        return np.empty(0, dtype)
    return np.frombuffer(data, dtype, count, block.start)
