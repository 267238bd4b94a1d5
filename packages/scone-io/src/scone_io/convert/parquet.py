"""Events in a Parquet file: the image is a list of its values in C order."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from astro_common.errors import InputError
from astro_common.parquet import ParquetWriter, check_parquet, described, parquet_errors
from scone_io.convert.containers import NAMES, batch_of
from scone_io.example.layout import EventBatch, joined
from scone_io.grid import GridSpec
from scone_io.shards import BATCH_SIZE

__all__ = ["ParquetSource", "event_schema", "parquet_sink"]

_ROW_GROUP_ROWS = 256
_LISTS = (pa.FixedSizeListArray, pa.ListArray, pa.LargeListArray)


def event_schema(grid: GridSpec, dtype: np.dtype[Any]) -> pa.Schema:
    """Columns of a Parquet file of events."""
    shape = f"{grid.shape[0]} x {grid.shape[1]} x 2"
    return pa.schema(
        [
            described("id", pa.int64(), description="identifier of the supernova"),
            described("label", pa.int64(), description="class as the shard has it"),
            described("z", pa.float32(), description="redshift"),
            described("z_err", pa.float32(), description="uncertainty of the redshift"),
            described(
                "image",
                pa.list_(pa.from_numpy_dtype(dtype), 2 * grid.shape[0] * grid.shape[1]),
                unit=grid.flux_unit,
                description=f"flux and its uncertainty, {shape}, the last index fastest",
            ),
        ]
    )


class _ParquetSink:
    def __init__(self, writer: ParquetWriter) -> None:
        self._writer = writer
        self._waiting: list[EventBatch] = []

    def write(self, batch: EventBatch) -> None:
        self._waiting.append(batch)
        if sum(map(len, self._waiting)) >= _ROW_GROUP_ROWS:
            self.flush()

    def flush(self) -> None:
        if not self._waiting:
            return
        batch = joined(self._waiting)
        self._waiting = []
        schema = self._writer.schema
        image = pa.FixedSizeListArray.from_arrays(
            pa.array(np.ascontiguousarray(batch.image).reshape(-1)),
            schema.field("image").type.list_size,
        )
        columns = [
            pa.array(array, type=field.type, from_pandas=True)
            for array, field in zip(batch.arrays()[:4], schema, strict=False)
        ]
        self._writer.write(pa.Table.from_arrays([*columns, image], schema=schema))


@contextmanager
def parquet_sink(
    path: Path,
    grid: GridSpec,
    dtype: np.dtype[Any],
    metadata: Mapping[str, Any],
    *,
    overwrite: bool,
) -> Iterator[_ParquetSink]:
    """Write a Parquet file of events."""
    schema = event_schema(grid, dtype.newbyteorder("="))
    with ParquetWriter(path, schema, metadata=metadata, overwrite=overwrite) as writer:
        sink = _ParquetSink(writer)
        yield sink
        sink.flush()


class ParquetSource:
    """Reads a Parquet file of events in batches."""

    def __init__(self, path: Path, grid: GridSpec) -> None:
        self.path = path
        self.grid = grid

    def batches(self) -> Iterator[EventBatch]:
        """Yield the events.

        Raises
        ------
        InputError
            If the file is damaged, lacks a column, or holds one of another type.
        """
        check_parquet(self.path)
        start = 0
        with parquet_errors(self.path):
            file = pq.ParquetFile(self.path)
        with file:
            missing = [name for name in NAMES if name not in file.schema_arrow.names]
            if missing:
                raise InputError(self.path, f"no column {missing[0]}", ", ".join(NAMES))
            parts = file.iter_batches(BATCH_SIZE, columns=list(NAMES))
            while True:
                with parquet_errors(self.path):
                    part = next(parts, None)
                    if part is None:
                        return
                    columns = [self._column(part, name) for name in NAMES[:4]]
                    image = self._images(part)
                yield batch_of(self.path, self.grid, start, columns, image)
                start += part.num_rows

    def _column(self, part: pa.RecordBatch, name: str) -> Any:
        column = part[name]
        if name in ("z", "z_err"):
            return pc.fill_null(column.cast(pa.float32()), float("nan")).to_numpy(
                zero_copy_only=False
            )
        if column.null_count:
            raise InputError(self.path, f"{name} without a value", "a value in every row")
        return column.to_numpy(zero_copy_only=False)

    def _images(self, part: pa.RecordBatch) -> Any:
        column = part["image"]
        if column.null_count or not isinstance(column, _LISTS):
            raise InputError(self.path, "rows without an image", "a list in every row")
        values = column.flatten()
        lengths = pc.list_value_length(column)
        if values.null_count or len(lengths.unique()) > 1:
            raise InputError(self.path, "images of unlike lengths", "lists of one length")
        return values.to_numpy(zero_copy_only=False).reshape(len(column), -1)
