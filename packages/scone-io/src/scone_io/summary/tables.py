"""Write tables of the summary as CSV or Parquet, rows as they come."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyarrow import csv

from astro_common.atomic import atomic_path
from astro_common.errors import ConfigurationError
from astro_common.parquet import ParquetWriter

__all__ = ["TABLE_SUFFIXES", "check_suffix", "compat_rows", "named_output", "table_writer"]

TABLE_SUFFIXES = (".csv", ".parquet")
_ROW_GROUP_ROWS = 8192

Write = Callable[[pa.Table], None]


def check_suffix(path: Path, suffixes: tuple[str, ...] = TABLE_SUFFIXES) -> None:
    """Raise a `ConfigurationError` if an output's name does not say what it shall be."""
    if path.suffix not in suffixes:
        raise ConfigurationError("-o", str(path), "a name that ends in " + " or ".join(suffixes))


def named_output(path: Path, what: str) -> Path:
    """The output beside another, with a suffix before the extension."""
    return path.with_name(f"{path.stem}_{what}{path.suffix}")


@contextmanager
def table_writer(
    path: Path,
    schema: pa.Schema,
    metadata: Mapping[str, Any],
    *,
    compat: bool = False,
    overwrite: bool = False,
) -> Iterator[Write]:
    """Write a table in parts.

    Parameters
    ----------
    path : Path
        ``.csv`` or ``.parquet``.
    schema : pyarrow.Schema
    metadata : mapping
        For the footer of a Parquet file.
    compat : bool
        Write a CSV file as the existing tool does: spaces between, three decimals.
    overwrite : bool
        Replace a file that exists.

    Yields
    ------
    callable
        Takes a table; its rows come after those before.
    """
    if path.suffix == ".parquet":
        with (
            ParquetWriter(path, schema, metadata=metadata, overwrite=overwrite) as writer,
            _gathered(writer.write) as write,
        ):
            yield write
        return
    with atomic_path(path, overwrite=overwrite) as partial, partial.open("wb") as file:
        between = " " if compat else ","
        file.write((between.join(schema.names) + "\n").encode())
        rows = compat_rows if compat else _csv_rows

        def append(table: pa.Table) -> None:
            file.write(rows(table))

        yield append


@contextmanager
def _gathered(write: Write) -> Iterator[Write]:
    """Pass tables on in row groups of a sensible size."""
    waiting: list[pa.Table] = []

    def append(table: pa.Table) -> None:
        waiting.append(table)
        if sum(part.num_rows for part in waiting) >= _ROW_GROUP_ROWS:
            write(pa.concat_tables(waiting).combine_chunks())
            waiting.clear()

    yield append
    if waiting:
        write(pa.concat_tables(waiting).combine_chunks())


def _csv_rows(table: pa.Table) -> bytes:
    sink = io.BytesIO()
    # The shortest digits that give the same number again; an empty cell is a missing value.
    csv.write_csv(table, sink, csv.WriteOptions(include_header=False, quoting_style="none"))
    return sink.getvalue()


def compat_rows(table: pa.Table) -> bytes:
    """Rows as the existing tool writes them: ``%.3f`` for every float, a missing one empty."""
    kinds = [field.type for field in table.schema]
    line = " ".join("%.3f" if pa.types.is_floating(kind) else "%s" for kind in kinds)
    columns = [
        column.fill_null(float("nan")).to_pylist()
        if pa.types.is_floating(kind)
        else column.to_pylist()
        for column, kind in zip(table.columns, kinds, strict=True)
    ]
    text = "".join(line % row + "\n" for row in zip(*columns, strict=True))
    return text.replace("nan", "").encode()
