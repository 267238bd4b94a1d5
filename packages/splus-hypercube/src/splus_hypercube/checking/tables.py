"""Survey tables read with astropy and pyarrow: a few columns of all rows, all columns of a few."""

from __future__ import annotations

import gzip
import warnings
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from astropy.io import fits
from astropy.table import Table
from numpy.typing import NDArray

from astro_common.errors import InputError

__all__ = ["FitsRows", "TableRows", "column_name", "open_table", "reading", "table_cells"]

_BLOCK_ROWS = 50_000


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Name the file in whatever a library raises about it."""
    try:
        yield
    except (InputError, MemoryError):
        raise
    except Exception as error:  # each library has its own errors; all are about this file
        raise InputError(path, f"cannot be read ({error})", "a whole file of its format") from error


class TableRows(ABC):
    """A table in a file.

    Attributes
    ----------
    path : Path
    names : list of str
        Columns.
    num_rows : int
    """

    path: Path
    names: list[str]
    num_rows: int

    @abstractmethod
    def blocks(self, columns: Sequence[str]) -> Iterator[tuple[int, dict[str, NDArray[Any]]]]:
        """Yield the number of the first row of a block, and some columns of its rows."""

    @abstractmethod
    def rows(self, numbers: NDArray[np.int64]) -> list[dict[str, Any]]:
        """All columns of some rows."""


class FitsRows(TableRows):
    """A FITS table.

    Parameters
    ----------
    path : Path
    extension : str, optional
        Name of the HDU; the first table by default.
    """

    def __init__(self, path: Path, extension: str | None = None) -> None:
        self.path = path
        with reading(path), path.open("rb") as file:
            compressed = file.read(2) == b"\x1f\x8b"
        with reading(path), fits.open(path) as hdus:
            self._hdu = self._find(hdus, extension)
            columns = hdus[self._hdu].columns
            self.names = list(columns.names)
            self.num_rows = int(hdus[self._hdu].header["NAXIS2"])
        # Every block of a compressed file would be decompressed from the file's start.
        self._block_rows = max(self.num_rows, 1) if compressed else _BLOCK_ROWS

    def _find(self, hdus: Any, extension: str | None) -> int:
        for number, hdu in enumerate(hdus):
            image = isinstance(hdu, fits.CompImageHDU)
            table = isinstance(hdu, (fits.BinTableHDU, fits.TableHDU)) and not image
            if table and extension in (None, hdu.name):
                return number
        raise InputError(self.path, f"no table {extension or ''}".rstrip(), "a FITS table")

    def blocks(self, columns: Sequence[str]) -> Iterator[tuple[int, dict[str, NDArray[Any]]]]:
        """See `TableRows.blocks`."""
        for start in range(0, self.num_rows, self._block_rows):
            # Opened for each block, so that the mapped memory of earlier ones is released.
            with reading(self.path), fits.open(self.path) as hdus:
                data = hdus[self._hdu].data[start : start + self._block_rows]
                block = {name: np.array(data.field(name)) for name in columns}
                del data
            yield start, block

    def rows(self, numbers: NDArray[np.int64]) -> list[dict[str, Any]]:
        """See `TableRows.rows`."""
        found: list[dict[str, Any]] = [{} for _ in numbers]
        if not len(numbers):
            return found
        with reading(self.path), fits.open(self.path) as hdus:
            hdu = hdus[self._hdu]
            some = hdu.data[numbers]
            for column in hdu.columns:
                if "P" in str(column.format) or "Q" in str(column.format):
                    # astropy gives arrays of variable length only through the whole table.
                    values = [hdu.data.field(column.name)[number] for number in numbers.tolist()]
                    absent = np.zeros(len(numbers), dtype=bool)
                else:
                    values = some.field(column.name)
                    absent = self._undefined(some, column)
                for row, value, missing in zip(found, values, absent, strict=True):
                    row[column.name] = self._cell(value, missing)
            del some
        return found

    @staticmethod
    def _undefined(rows: Any, column: Any) -> Any:
        """Which values are TNULL, or a logical that is neither true nor false."""
        stored = np.recarray.field(rows, column.name)
        code = str(column.format).lstrip("0123456789")[:1]
        if column.null is not None and stored.dtype.kind in "iu":
            return stored == column.null
        if code == "L" and stored.dtype.kind in "iu":
            return stored == 0
        return np.zeros(len(rows), dtype=bool)

    @staticmethod
    def _cell(value: Any, missing: Any) -> Any:
        if np.ndim(missing) == 0:
            return None if missing else value
        return np.ma.array(value, mask=missing) if np.any(missing) else value


class _ParquetRows(TableRows):
    def __init__(self, path: Path) -> None:
        self.path = path
        with reading(path):
            self._file = pq.ParquetFile(path)
            self.names = list(self._file.schema_arrow.names)
        self.num_rows = self._file.metadata.num_rows

    def _groups(self) -> Iterator[tuple[int, int, int]]:
        start = 0
        for group in range(self._file.metadata.num_row_groups):
            count = self._file.metadata.row_group(group).num_rows
            yield group, start, start + count
            start += count

    def blocks(self, columns: Sequence[str]) -> Iterator[tuple[int, dict[str, NDArray[Any]]]]:
        """See `TableRows.blocks`."""
        for group, start, _ in self._groups():
            with reading(self.path):
                table = self._file.read_row_group(group, columns=list(columns))
                block = {name: table[name].to_numpy() for name in columns}
            yield start, block

    def rows(self, numbers: NDArray[np.int64]) -> list[dict[str, Any]]:
        """See `TableRows.rows`."""
        found: list[dict[str, Any]] = [{} for _ in numbers]
        for group, start, stop in self._groups():
            places = np.flatnonzero((numbers >= start) & (numbers < stop))
            if len(places):
                with reading(self.path):
                    table = self._file.read_row_group(group)
                    some = table.take(pa.array(numbers[places] - start)).to_pylist()
                for place, row in zip(places.tolist(), some, strict=True):
                    found[place] = row
        return found


class _TextRows(TableRows):
    """A text format, read as a whole."""

    def __init__(self, path: Path, table: Table) -> None:
        self.path = path
        self._table = table
        self.names = list(table.colnames)
        self.num_rows = len(table)

    def blocks(self, columns: Sequence[str]) -> Iterator[tuple[int, dict[str, NDArray[Any]]]]:
        """See `TableRows.blocks`."""
        yield 0, {name: _filled(self._table[name]) for name in columns}

    def rows(self, numbers: NDArray[np.int64]) -> list[dict[str, Any]]:
        """See `TableRows.rows`."""
        return table_cells(self._table[numbers])


def _filled(column: Any) -> NDArray[Any]:
    """A column with NaN where it is masked."""
    if column.dtype.kind == "f" and hasattr(column, "filled"):
        return np.asarray(column.filled(np.nan))
    return np.asarray(column)


def table_cells(table: Table) -> list[dict[str, Any]]:
    """The rows of an astropy table, masked cells as None."""
    return [{name: _table_cell(row[name]) for name in table.colnames} for row in table]


def _table_cell(value: Any) -> Any:
    if value is np.ma.masked:
        return None
    if isinstance(value, np.ndarray) and np.ma.count(value) == 0:
        return None  # an empty array cell
    return value


def open_table(path: Path) -> TableRows:
    """Open a table by its content: FITS, Parquet, VOTable, ECSV or CSV.

    Parameters
    ----------
    path : Path

    Returns
    -------
    TableRows

    Raises
    ------
    InputError
        If the file cannot be read.
    """
    with reading(path), path.open("rb") as file:
        start = file.read(4096)
    if start[:4] == b"PAR1":
        return _ParquetRows(path)
    if start[:2] == b"\x1f\x8b":
        with reading(path), gzip.open(path) as file:
            start = file.read(4096)
    if start[:6] == b"SIMPLE":
        return FitsRows(path)
    with reading(path), warnings.catch_warnings():
        # What a VOTable lacks of its standard does not matter here.
        warnings.simplefilter("ignore")
        if b"VOTABLE" in start:
            return _TextRows(path, Table.read(path, format="votable"))
        style = "ascii.ecsv" if start.startswith(b"# %ECSV") else "ascii.csv"
        missing = [("null", "0"), ("", "0")]
        return _TextRows(path, Table.read(path, format=style, fill_values=missing))


def column_name(table: TableRows, *names: str) -> str:
    """The first of some names among a table's columns, in any case.

    Raises
    ------
    InputError
        If it has none of them.
    """
    for name in names:
        for own in (name, *table.names):
            if own in table.names and own.lower() == name.lower():
                return own
    raise InputError(table.path, f"no column {' or '.join(names)}", "one of them")
