"""Tables of the Gaia archive: ECSV or plain CSV, uncompressed or gzip.

Arrow parses the rows in blocks, so memory stays bounded whatever the length of the file, and 64-bit
integers are exact.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import NoReturn, Self

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv

from astro_common.ecsv.array_cells import ArrayCellError, parse_array_cells
from astro_common.ecsv.header import ARROW_PLACE, FALSE, NULLS, TRUE, Cells, read_layout
from astro_common.ecsv.text import TableText
from astro_common.errors import InputError

__all__ = ["EcsvReader", "open_ecsv", "read_ecsv"]

StrPath = str | os.PathLike[str]


class EcsvReader:
    """An ECSV or CSV file, read in blocks; made by `open_ecsv`, used in a ``with`` block.

    Attributes
    ----------
    path : Path
        The file.
    schema : pyarrow.Schema
        One field per column, with ``unit, ucd, description`` as metadata where the header gives
        them. Arrays are lists; ``shape`` in the metadata keeps their declared shape.
    """

    def __init__(self, path: Path, types: Mapping[str, pa.DataType]) -> None:
        self.path = path
        with TableText(path) as text:
            layout = read_layout(text)
        self._delimiter = layout.delimiter
        self._header_lines = layout.header_lines
        self._columns = {
            cells.field.name: Cells(cells.field.with_type(types[cells.field.name]))
            if cells.field.name in types
            else cells
            for cells in layout.columns
        }
        self.schema = pa.schema([cells.field for cells in self._columns.values()])

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Do nothing: no file stays open between blocks. FITS files are used in the same way."""

    def batches(
        self, columns: Sequence[str] | None = None, batch_bytes: int = 16 << 20
    ) -> Iterator[pa.Table]:
        """Read the file from its start, block by block.

        Parameters
        ----------
        columns : sequence of str, optional
            Names of the columns, in the order wanted; all by default.
        batch_bytes : int
            Bytes of text per block; every line must be shorter.

        Yields
        ------
        pyarrow.Table
            With at least one row. A cell that is empty or holds ``null``, quoted or not, is null,
            and so is an array without elements. NaN stays NaN.

        Raises
        ------
        InputError
            There is no such column, the file is damaged or cut short, a cell does not have the
            type of its column, or a line has too few or too many cells.
        """
        names = list(self.schema.names) if columns is None else list(columns)
        for name in names:
            if name not in self._columns:
                raise InputError(
                    self.path, f"no column {name!r}", f"one of {', '.join(self.schema.names[:20])}"
                )
        schema = pa.schema([self._columns[name].field for name in names])
        with TableText(self.path) as text:
            for _ in range(self._header_lines):
                text.read_line()
            row = 0
            for batch in self._parse(text, names, batch_bytes):
                arrays = [
                    self._to_field(self._columns[name], batch.column(name), row) for name in names
                ]
                row += batch.num_rows
                if batch.num_rows:
                    yield pa.Table.from_arrays(arrays, schema=schema)

    def _parse(
        self, text: TableText, names: list[str], batch_bytes: int
    ) -> Iterator[pa.RecordBatch]:
        if not text.peek():
            return
        # With one thread, Arrow can name the row of an error.
        read_options = pacsv.ReadOptions(
            use_threads=False, block_size=batch_bytes, column_names=list(self.schema.names)
        )
        convert_options = pacsv.ConvertOptions(
            column_types={name: cells.parsed_type for name, cells in self._columns.items()},
            include_columns=names,
            null_values=NULLS,
            true_values=TRUE,
            false_values=FALSE,
            strings_can_be_null=True,
            quoted_strings_can_be_null=True,
        )
        try:
            with pacsv.open_csv(
                pa.PythonFile(text, mode="r"),
                read_options=read_options,
                parse_options=pacsv.ParseOptions(delimiter=self._delimiter),
                convert_options=convert_options,
            ) as reader:
                yield from reader
        except pa.ArrowInvalid as error:
            self._refuse(str(error), batch_bytes)
        if text.quotes % 2:
            raise InputError(
                self.path,
                f"{text.quotes} quotation marks",
                "an even number of them",
                "the file is damaged",
            )

    def _refuse(self, message: str, batch_bytes: int) -> NoReturn:
        if "straddling object" in message:
            raise InputError(
                self.path,
                f"a line of more than {batch_bytes} bytes",
                "shorter lines",
                "the file is damaged, or not ECSV",
            )
        match = ARROW_PLACE.search(message)
        if match is None:
            raise InputError(self.path, message, "rows of text", "the file is damaged")
        line = self._header_lines + int(match[2])
        place = f"line {line}"
        expected = f"{len(self.schema)} columns"
        if match[1] is not None:
            field = self.schema.field(int(match[1]))
            place += f", column {field.name!r}"
            expected = f"a value of type {field.type}"
        raise InputError(self.path, f"{place}: {match[3]}"[:300], expected)

    def _to_field(self, cells: Cells, parsed: pa.Array, first_row: int) -> pa.Array:
        if not cells.is_array:
            if parsed.type == pa.string() and pc.any(pc.match_substring(parsed, "\n")).as_py():
                raise InputError(
                    self.path,
                    f"a line break in column {cells.field.name!r}",
                    "one line per row",
                    "perhaps a quotation mark is missing before it",
                )
            return parsed
        try:
            arrays = parse_array_cells(parsed, cells.field.type.value_type)
        except ArrayCellError as error:
            line = self._header_lines + 1 + first_row + error.row
            raise InputError(
                self.path,
                f"line {line}, column {cells.field.name!r}: {error.found}",
                error.expected,
            ) from error
        if cells.array_length is not None:
            lengths = pc.list_value_length(arrays)
            wrong = pc.fill_null(pc.not_equal(lengths, cells.array_length), False)
            if pc.any(wrong).as_py():
                row = pc.index(wrong, True).as_py()
                raise InputError(
                    self.path,
                    f"line {self._header_lines + 1 + first_row + row}, column "
                    f"{cells.field.name!r}: {lengths[row].as_py()} elements",
                    f"{cells.array_length}, as the header says",
                )
        return arrays


def open_ecsv(path: StrPath, types: Mapping[str, pa.DataType] | None = None) -> EcsvReader:
    """Open an ECSV or CSV file, plain or gzip.

    Parameters
    ----------
    path : path-like
        The file. Its name does not matter: gzip is recognised by its first bytes, ECSV by its
        header.
    types : mapping, optional
        Types of columns, by name, in place of those of the header. Without a header, types are
        inferred from the first 4 MiB: identifiers (``*_id``) are 64-bit integers, a column without
        values is float64, and text in brackets is a list.

    Returns
    -------
    EcsvReader

    Raises
    ------
    InputError
        The file is missing or damaged, or its header does not describe it.
    """
    return EcsvReader(Path(path), types or {})


def read_ecsv(path: StrPath, columns: Sequence[str] | None = None) -> pa.Table:
    """Read an ECSV or CSV file, or some of its columns, as one table; see `EcsvReader.batches`."""
    with open_ecsv(path) as reader:
        names = reader.schema.names if columns is None else columns
        batches = list(reader.batches(columns))
        if batches:
            return pa.concat_tables(batches)
        return pa.schema([reader.schema.field(name) for name in names]).empty_table()
