"""Catalogue files of the common formats behind one small interface."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from astro_common.ecsv import read_ecsv
from astro_common.errors import InputError
from astro_common.fits import FitsTable, open_fits
from astro_common.parquet import parquet_errors

__all__ = ["Catalogue", "comparable_column", "find_column", "float_column", "open_catalogue"]

Int = NDArray[np.int64]
Float = NDArray[np.float64]

_NUMBERS = (pa.types.is_floating, pa.types.is_integer, pa.types.is_boolean)


class Catalogue(Protocol):
    """A table in a file, read piece by piece."""

    @property
    def schema(self) -> pa.Schema:
        """Columns with their types; the field metadata holds units where the file gives them."""

    @property
    def num_rows(self) -> int:
        """Number of rows."""

    def read(self, columns: Sequence[str] | None = None) -> pa.Table:
        """Whole columns."""

    def rows(self, rows: Int, columns: Sequence[str] | None = None) -> pa.Table:
        """Some rows, in the order asked for."""


class _FitsCatalogue:
    def __init__(self, table: FitsTable) -> None:
        self._table = table
        self.schema = table.schema
        self.num_rows = table.num_rows

    def read(self, columns: Sequence[str] | None = None) -> pa.Table:
        return self._table.read(columns=columns)

    def rows(self, rows: Int, columns: Sequence[str] | None = None) -> pa.Table:
        return self._table.read(columns=columns, rows=rows)


class _ParquetCatalogue:
    def __init__(self, path: Path, file: pq.ParquetFile) -> None:
        self._path = path
        self._file = file
        self.schema = file.schema_arrow
        self.num_rows = self._file.metadata.num_rows
        counts = [
            self._file.metadata.row_group(group).num_rows
            for group in range(self._file.metadata.num_row_groups)
        ]
        self._starts = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)

    def read(self, columns: Sequence[str] | None = None) -> pa.Table:
        with parquet_errors(self._path):
            return self._file.read(columns=_listed(columns))

    def rows(self, rows: Int, columns: Sequence[str] | None = None) -> pa.Table:
        rows = np.asarray(rows, dtype=np.int64)
        groups = np.searchsorted(self._starts, rows, side="right") - 1
        parts, places = [self._file.schema_arrow.empty_table()], []
        if columns is not None:
            parts = [parts[0].select(list(columns))]
        for group in np.unique(groups).tolist():
            place = np.flatnonzero(groups == group)
            with parquet_errors(self._path):
                table = self._file.read_row_group(group, columns=_listed(columns))
                parts.append(table.take(pa.array(rows[place] - self._starts[group])))
            places.append(place)
        table = pa.concat_tables(parts)
        if len(places) > 1:
            order = np.empty(len(rows), dtype=np.int64)
            order[np.concatenate(places)] = np.arange(len(rows))
            table = table.take(pa.array(order))
        return table.combine_chunks()


class _TableCatalogue:
    """A text format, which can only be read as a whole."""

    def __init__(self, table: pa.Table) -> None:
        self._table = table
        self.schema = table.schema
        self.num_rows = table.num_rows

    def read(self, columns: Sequence[str] | None = None) -> pa.Table:
        return self._table if columns is None else self._table.select(list(columns))

    def rows(self, rows: Int, columns: Sequence[str] | None = None) -> pa.Table:
        return self.read(columns).take(pa.array(rows, type=pa.int64()))


def _listed(columns: Sequence[str] | None) -> list[str] | None:
    return None if columns is None else list(columns)


@contextmanager
def open_catalogue(path: Path) -> Iterator[Catalogue]:
    """Open a catalogue; its content tells the format, or else its name.

    Parameters
    ----------
    path : Path
        FITS (also ``.gz``), Parquet, ECSV, CSV (also ``.gz``) or VOTable.

    Yields
    ------
    Catalogue

    Raises
    ------
    InputError
        If the file is missing, damaged or of another format, or has two columns of one name.
    """
    with _opened(path) as catalogue:
        names = catalogue.schema.names
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise InputError(path, f"two columns {twice}", "names that differ")
        yield catalogue


@contextmanager
def _opened(path: Path) -> Iterator[Catalogue]:
    try:
        with path.open("rb") as file:
            start = file.read(4096)
    except OSError as error:
        raise InputError(path, f"cannot be read ({error.strerror})", "a catalogue") from error
    if start[:4] == b"PAR1":
        with parquet_errors(path):
            file = pq.ParquetFile(path)
        with file:
            yield _ParquetCatalogue(path, file)
    elif start.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] == b"<" and b"VOTABLE" in start:
        yield _TableCatalogue(_read_votable(path))
    elif start[:6] == b"SIMPLE" or path.name.lower().endswith(
        (".fits", ".fit", ".fits.gz", ".fit.gz")
    ):
        with open_fits(path) as fits:
            yield _FitsCatalogue(fits.table())
    elif path.name.lower().endswith((".csv", ".csv.gz", ".ecsv", ".ecsv.gz")):
        yield _TableCatalogue(read_ecsv(path))
    else:
        raise InputError(path, "a format that is not known", "FITS, Parquet, ECSV, CSV or VOTable")


def _read_votable(path: Path) -> pa.Table:
    from astropy.io.votable import parse_single_table  # slow to import, rarely needed

    try:
        votable = parse_single_table(path, verify="ignore").to_table(use_names_over_ids=True)
    except Exception as error:  # the XML layer raises many kinds, all about this file
        raise InputError(path, f"cannot be read ({error})", "a VOTable") from error
    columns, fields = [], []
    for name in votable.colnames:
        column = votable[name]
        values = np.ma.getdata(column)
        mask = np.ma.getmaskarray(column) if hasattr(column, "mask") else None
        if values.ndim == 1 and values.dtype.kind in "biuf":
            array = pa.array(values.astype(values.dtype.newbyteorder("=")), mask=mask)
        else:
            listed = [None if item is np.ma.masked else item for item in column]
            try:
                array = pa.array(
                    [item.tolist() if isinstance(item, np.ndarray) else item for item in listed]
                )
            except pa.ArrowException as error:
                raise InputError(
                    path, f"column {name} of type {column.dtype}", "numbers, text or lists of them"
                ) from error
        unit = str(column.unit) if column.unit is not None else ""
        metadata = {"unit": unit, "description": column.description or ""}
        columns.append(array)
        fields.append(pa.field(name, array.type, metadata=metadata))
    return pa.Table.from_arrays(columns, schema=pa.schema(fields))


def find_column(schema: pa.Schema, names: Sequence[str], source: Path) -> str:
    """The first of some names that a schema has, ignoring case, as the schema spells it.

    Raises
    ------
    InputError
        If it has none of them.
    """
    present: dict[str, str] = {name.lower(): name for name in reversed(schema.names)}
    for name in names:
        if name in schema.names:
            return name
        if name.lower() in present:
            return present[name.lower()]
    raise InputError(
        source, f"no column {' or '.join(names)}", f"one among {_shortened(schema.names)}"
    )


def _shortened(names: Sequence[str]) -> str:
    shown = ", ".join(names[:12])
    return shown if len(names) <= 12 else f"{shown}, ... ({len(names)} columns)"


def float_column(table: pa.Table, name: str, source: Path) -> Float:
    """A column of numbers or logical values as float64, with NaN for null.

    Raises
    ------
    InputError
        If the column holds anything else.
    """
    column = table[name]
    if not any(holds(column.type) for holds in _NUMBERS):
        raise InputError(source, f"column {name} of type {column.type}", "numbers")
    return np.asarray(column.cast(pa.float64(), safe=False).to_numpy(), dtype=np.float64)


def comparable_column(table: pa.Table, name: str, source: Path) -> NDArray[Any]:
    """A column as `splus_hypercube.expressions.Selection` compares it.

    Returns
    -------
    ndarray, shape (n,)
        Text, empty for null; logical values, false for null; float64, NaN for null; integers. If
        any is null, integers become numbers of extended precision (as far as the platform has it),
        NaN for null, so that identifiers of 64 bits stay exact.

    Raises
    ------
    InputError
        If the column holds anything else.
    """
    column = table[name]
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        return np.array(column.fill_null("").to_pylist(), dtype=np.str_)
    if pa.types.is_boolean(column.type):
        return np.asarray(column.fill_null(False).to_numpy(), dtype=bool)
    if not pa.types.is_integer(column.type):
        return float_column(table, name, source)
    if not column.null_count:
        return np.asarray(column.to_numpy())
    values = column.fill_null(0).to_numpy().astype(np.longdouble)
    values[np.asarray(column.is_null())] = np.nan
    return np.asarray(values)
