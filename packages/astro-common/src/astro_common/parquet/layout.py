"""Where the data of a Parquet file lie, read from a footer that may be damaged.

A damaged footer can make the Arrow library end the whole process when it is asked for the place of
a column. This reader walks through the footer itself, takes the few numbers it needs and skips the
rest.
The structures are those of ``parquet.thrift`` (Apache Parquet format 2.12) in Thrift's compact
protocol.
"""

from __future__ import annotations

__all__ = ["LayoutError", "check_layout"]

_MAGIC_BYTES = 4

_STOP, _TRUE, _FALSE, _BYTE, _I16, _I32, _I64 = range(7)
_DOUBLE, _BINARY, _LIST, _SET, _MAP, _STRUCT = range(7, 13)
_INTEGERS = (_I16, _I32, _I64)

# The structures of a sound footer are nested less deeply than this.
_MAX_DEPTH = 16
_MAX_VARINT_BYTES = 10


class LayoutError(ValueError):
    """The bytes are not a footer, or a footer that describes data outside the file."""


def check_layout(footer: bytes, data_end: int) -> None:
    """Check that all data which a footer describes lie in the file.

    Parameters
    ----------
    footer : bytes
        The FileMetaData structure, as Thrift encodes it.
    data_end : int
        Offset of the end of the data, in bytes.

    Raises
    ------
    LayoutError
        If the bytes are not a footer, a column lies outside the data, or the rows of the row
        groups do not add up to those of the file.
    """
    try:
        _Walker(footer, data_end).file()
    except IndexError as error:
        raise LayoutError("the footer ends too early") from error


class _Walker:
    def __init__(self, data: bytes, data_end: int) -> None:
        self._data = data
        self._data_end = data_end
        self._position = 0

    def file(self) -> None:
        rows: int | None = None
        in_groups = 0
        field = 0
        while (header := self._header(field)) is not None:
            field, kind = header
            if field == 3 and kind == _I64:
                rows = self._integer()
            elif field == 4 and kind == _LIST:
                in_groups = sum(self._row_group() for _ in range(self._structures()))
            else:
                self._skip(kind)
        if rows != in_groups:
            raise LayoutError(f"the file claims {rows} rows, its row groups {in_groups}")

    def _row_group(self) -> int:
        rows: int | None = None
        field = 0
        while (header := self._header(field)) is not None:
            field, kind = header
            if field == 1 and kind == _LIST:
                for _ in range(self._structures()):
                    self._column()
            elif field == 3 and kind == _I64:
                rows = self._integer()
            else:
                self._skip(kind)
        if rows is None or rows < 0:
            raise LayoutError(f"a row group claims {rows} rows")
        return rows

    def _column(self) -> None:
        placed = False
        field = 0
        while (header := self._header(field)) is not None:
            field, kind = header
            if field == 3 and kind == _STRUCT:
                self._column_metadata()
                placed = True
            else:
                self._skip(kind)
        if not placed:
            raise LayoutError("a column has no metadata")

    def _column_metadata(self) -> None:
        name = ""
        numbers: dict[int, int] = {}
        field = 0
        while (header := self._header(field)) is not None:
            field, kind = header
            if field == 3 and kind == _LIST:
                name = self._path()
            elif field in (7, 9, 11) and kind == _I64:
                numbers[field] = self._integer()
            else:
                self._skip(kind)
        size, data_page, dictionary_page = numbers.get(7), numbers.get(9), numbers.get(11)
        if size is None or data_page is None:
            raise LayoutError(f"column {name} has no place")
        # Some writers give 0 for "no dictionary page".
        start = min(data_page, dictionary_page) if dictionary_page else data_page
        if not _MAGIC_BYTES <= start <= start + size <= self._data_end:
            raise LayoutError(
                f"column {name} lies at bytes {start} to {start + size}, "
                f"the data end at {self._data_end}"
            )

    def _path(self) -> str:
        count, kind = self._list()
        if kind != _BINARY:
            raise LayoutError("the path of a column is not text")
        return b".".join(self._binary() for _ in range(count)).decode("utf-8", "replace")

    def _header(self, previous: int) -> tuple[int, int] | None:
        """Read the next field of a structure, as number and type; None at its end."""
        byte = self._data[self._position]
        self._position += 1
        if byte == _STOP:
            return None
        delta = byte >> 4
        return (previous + delta if delta else self._integer()), byte & 0x0F

    def _varint(self) -> int:
        data, position = self._data, self._position
        byte = data[position]
        value = byte & 0x7F
        shift = 7
        while byte & 0x80:
            position += 1
            byte = data[position]
            value |= (byte & 0x7F) << shift
            shift += 7
            if shift > 7 * _MAX_VARINT_BYTES:
                raise LayoutError("an integer of the footer is too long")
        self._position = position + 1
        return value

    def _integer(self) -> int:
        value = self._varint()
        return (value >> 1) ^ -(value & 1)

    def _binary(self) -> bytes:
        size = self._varint()
        start = self._position
        self._position = start + size
        if self._position > len(self._data):
            raise LayoutError("a text is longer than the footer")
        return self._data[start : self._position]

    def _list(self) -> tuple[int, int]:
        byte = self._data[self._position]
        self._position += 1
        count = byte >> 4
        if count == 15:
            count = self._varint()
        # Every element takes at least one byte, so the footer limits the length of a list.
        if count > len(self._data) - self._position:
            raise LayoutError(f"a list of {count} elements is longer than the footer")
        return count, byte & 0x0F

    def _structures(self) -> int:
        count, kind = self._list()
        if count and kind != _STRUCT:
            raise LayoutError("a list of the footer holds no structures")
        return count

    def _skip(self, kind: int, depth: int = 0) -> None:
        if depth > _MAX_DEPTH:
            raise LayoutError("the structures of the footer are nested too deeply")
        if kind in _INTEGERS:
            self._varint()
        elif kind == _BINARY:
            self._binary()
        elif kind == _STRUCT:
            field = 0
            while (header := self._header(field)) is not None:
                field, inner = header
                self._skip(inner, depth + 1)
        elif kind in (_LIST, _SET):
            count, inner = self._list()
            for _ in range(count):
                self._skip_element(inner, depth + 1)
        elif kind == _DOUBLE:
            self._position += 8
        elif kind == _BYTE:
            self._position += 1
        elif kind not in (_TRUE, _FALSE):  # the type of a boolean is its value
            raise LayoutError(f"the footer has a value of type {kind}")

    def _skip_element(self, kind: int, depth: int) -> None:
        if kind in (_TRUE, _FALSE):
            self._position += 1
        else:
            self._skip(kind, depth)
