"""Write a Parquet file row group by row group, and put it in place when it is complete."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from pathlib import Path
from types import TracebackType
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from astro_common.atomic import atomic_path
from astro_common.errors import OutputError
from astro_common.jsonable import jsonable
from astro_common.parquet.columns import ColumnOptionsSource, writer_arguments
from astro_common.parquet.direct import DirectFile
from astro_common.parquet.footer import TextLengths, footer_entries, is_reserved

__all__ = ["ParquetWriter"]


class ParquetWriter:
    """Writes tables of one schema to a Parquet file.

    To be used in a ``with`` statement. The file appears when the block ends; if the block raises,
    nothing is left behind. Memory is bounded by the largest table that is written.

    Parameters
    ----------
    path : path-like
        The file.
    schema : pyarrow.Schema
        Columns; field metadata (`described`) goes into the file.
    metadata : mapping of str to object, optional
        Values that the footer holds as JSON, by key. The attribute ``metadata`` of the writer may
        be changed until the block ends.
    overwrite : bool, optional
        Replace an existing file.
    compression : str, optional
        Codec of all columns; by default zstd, but none for images, which are mostly noise.
    column_options : mapping or callable, optional
        `ColumnOptions` by column name, or a function that returns those of a field.
    max_rows : int, optional
        Longer tables are split into row groups of this many rows; by default a table is one row
        group.
    direct : bool, optional
        Write past the page cache of the system, for files of many gigabytes; see `DirectFile`.

    Raises
    ------
    OutputError
        If the file exists and may not be replaced, or cannot be written, for instance because the
        disk is full; if two columns have the same name.
    KeyError
        If there are options for a column that is not in the schema.
    TypeError
        If a value of the metadata has no place in JSON.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        schema: pa.Schema,
        *,
        metadata: Mapping[str, Any] | None = None,
        overwrite: bool = False,
        compression: str = "auto",
        column_options: ColumnOptionsSource = None,
        max_rows: int | None = None,
        direct: bool = False,
    ) -> None:
        self.path = Path(path)
        self.schema = schema
        self.metadata: dict[str, Any] = dict(metadata or {})
        self.num_rows = 0
        self._overwrite = overwrite
        self._max_rows = max_rows
        self._direct = direct
        self._check_names()
        self._check_metadata()
        self._arguments = writer_arguments(schema, compression, column_options)
        self._lengths = TextLengths(schema)
        self._stack = ExitStack()
        self._file: Any = None
        self._writer: Any = None

    def __enter__(self) -> ParquetWriter:
        with ExitStack() as stack:
            partial = stack.enter_context(atomic_path(self.path, overwrite=self._overwrite))
            self._file = stack.enter_context(self._opened(partial))
            # `_finish` stores the schema, together with metadata that are known only then.
            self._writer = pq.ParquetWriter(
                self._file, self.schema, store_schema=False, **self._arguments
            )
            self._stack = stack.pop_all()
        return self

    def _opened(self, partial: Path) -> Any:
        if self._direct:
            return pa.PythonFile(DirectFile(partial), mode="w")
        return pa.OSFile(str(partial), "wb")

    def write(self, table: pa.Table | pa.RecordBatch) -> None:
        """Append rows.

        Parameters
        ----------
        table : pyarrow.Table or RecordBatch
            Rows with the columns of the schema, in its order.

        Raises
        ------
        OutputError
            If the columns or their types are not those of the schema, a value is missing that must
            not be, or the file cannot be written.
        """
        if isinstance(table, pa.RecordBatch):
            table = pa.Table.from_batches([table])
        self._check(table)
        if not table.num_rows:
            return
        if not table.schema.equals(self.schema):
            # pyarrow refuses columns that may have missing values, even if they have none.
            table = table.cast(self.schema)
        self._lengths.see(table)
        self._writer.write_table(table, row_group_size=self._max_rows or table.num_rows)
        self.num_rows += table.num_rows

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is not None:
            self._abandon()
            self._stack.__exit__(kind, error, trace)
            return
        with self._stack:
            try:
                self._finish()
            except BaseException:
                self._abandon()
                raise

    def _check_names(self) -> None:
        seen: set[str] = set()
        for name in self.schema.names:
            if name in seen:
                raise OutputError(self.path, f"two columns {name}", "names that differ")
            seen.add(name)

    def _check_metadata(self) -> None:
        for key, value in self.metadata.items():
            if is_reserved(key):
                raise OutputError(self.path, f"metadata under the key {key}", "another key")
            jsonable(value)

    def _check(self, table: pa.Table) -> None:
        if not table.schema.equals(self.schema):
            self._explain(table.schema)
        for field, column in zip(self.schema, table.columns, strict=True):
            if not field.nullable and column.null_count:
                raise OutputError(
                    self.path, f"column {field.name}: missing values", "a value in every row"
                )

    def _explain(self, schema: pa.Schema) -> None:
        """Raise if names or types differ; missing values are looked for in the rows themselves."""
        if schema.names != self.schema.names:
            for given, wanted in zip(schema.names, self.schema.names, strict=False):
                if given != wanted:
                    raise OutputError(self.path, f"column {given}", f"column {wanted} there")
            raise OutputError(self.path, f"{len(schema)} columns", f"{len(self.schema)} columns")
        for given, wanted in zip(schema, self.schema, strict=True):
            if given.type != wanted.type:
                raise OutputError(
                    self.path, f"column {given.name} of type {given.type}", str(wanted.type)
                )

    def _finish(self) -> None:
        self._check_metadata()
        entries = footer_entries(self.schema, self.metadata, self._lengths, self._file.tell())
        self._writer.add_key_value_metadata(entries)
        self._writer.close()
        self._file.close()

    def _abandon(self) -> None:
        # Otherwise pyarrow would try to complete the file when its writer is garbage-collected. The
        # file is removed in any case, so a second error here does not matter.
        with suppress(OSError, pa.ArrowException):
            self._writer.close()
