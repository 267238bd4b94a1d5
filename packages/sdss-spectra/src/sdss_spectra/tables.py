"""Tables as CSV or Parquet, the same rows in either.

CSV has an empty field for a missing value, ``true`` and ``false``, and shortest round-trip
numbers; Parquet has nullable columns with descriptions. Both are the same bytes for the same rows.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from astro_common.arrow_fields import described
from astro_common.atomic import atomic_path
from astro_common.errors import ConfigurationError, OutputError
from astro_common.parquet import ParquetWriter

__all__ = [
    "Column",
    "check_output",
    "check_table",
    "column",
    "open_table",
    "table_format",
    "write_table",
]

Column = pa.Field
_ROWS_AT_ONCE = 4096


def column(name: str, kind: str, description: str, unit: str = "") -> pa.Field:
    """Make a column; `kind` is ``string``, ``int64``, ``float64`` or ``bool``."""
    types = {
        "string": pa.string(),
        "int64": pa.int64(),
        "float64": pa.float64(),
        "bool": pa.bool_(),
    }
    return described(name, types[kind], unit=unit, description=description)


def table_format(path: Path, given: str | None = None) -> str:
    """Format of a table: as given, else by the extension.

    Raises
    ------
    ConfigurationError
        Another extension and no format.
    """
    if given is not None:
        return given
    suffix = path.suffix.lower().lstrip(".")
    if suffix in ("parquet", "pq"):
        return "parquet"
    if suffix == "csv":
        return "csv"
    raise ConfigurationError(str(path), f"extension {path.suffix!r}", ".csv or .parquet")


def check_output(path: Path, overwrite: bool) -> None:
    """Make sure, before hours of work, that an output may be written."""
    if path.is_dir():
        raise OutputError(path, "a folder", "the name of a file to write")
    if path.exists() and not overwrite:
        raise OutputError(path, "the file exists", action="give --overwrite to replace it")
    if not path.parent.is_dir():
        raise OutputError(path, "its folder does not exist", action="create the folder")


def check_table(path: Path, file_format: str | None, overwrite: bool) -> None:
    """Make sure that a table may be written, in a format that there is."""
    table_format(path, file_format)
    check_output(path, overwrite)


@contextmanager
def open_table(
    path: Path,
    columns: Sequence[pa.Field],
    *,
    overwrite: bool,
    file_format: str | None = None,
) -> Iterator[Callable[[Mapping[str, Any]], None]]:
    """Write a table row by row under its place's temporary name, and rename it at the end.

    Parameters
    ----------
    path : Path
        The table.
    columns : sequence of pyarrow.Field
        Columns in order.
    overwrite : bool
        Replace a table that exists.
    file_format : str, optional
        ``csv`` or ``parquet``; by the extension otherwise.

    Yields
    ------
    callable
        Takes one row: values by column name, None where missing. What is not a column is left out.

    Raises
    ------
    OutputError
        The table exists or cannot be written.
    """
    if table_format(path, file_format) == "csv":
        with (
            atomic_path(path, overwrite=overwrite) as partial,
            partial.open("w", encoding="utf-8", newline="") as file,
        ):
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow([field.name for field in columns])
            yield lambda row: writer.writerow([_text(row.get(f.name)) for f in columns])
        return
    schema = pa.schema(list(columns))
    waiting: list[dict[str, Any]] = []
    with ParquetWriter(path, schema, overwrite=overwrite) as output:

        def keep(row: Mapping[str, Any]) -> None:
            waiting.append({f.name: _plain(row.get(f.name)) for f in columns})
            if len(waiting) >= _ROWS_AT_ONCE:
                flush()

        def flush() -> None:
            output.write(pa.Table.from_pylist(waiting, schema=schema))
            waiting.clear()

        yield keep
        if waiting:
            flush()


def write_table(
    path: Path,
    columns: Sequence[pa.Field],
    rows: Iterable[Mapping[str, Any]],
    *,
    overwrite: bool,
    file_format: str | None = None,
) -> None:
    """Write all rows of a table; see `open_table`."""
    with open_table(path, columns, overwrite=overwrite, file_format=file_format) as write:
        for row in rows:
            write(row)


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not np.isfinite(value):
        return None
    return value


def _text(value: Any) -> str:
    value = _plain(value)
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return repr(value) if isinstance(value, float) else str(value)


def csv_text(columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> str:
    """Rows as the text of a CSV file."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    for row in rows:
        writer.writerow([_text(row.get(name)) for name in columns])
    return text.getvalue()
