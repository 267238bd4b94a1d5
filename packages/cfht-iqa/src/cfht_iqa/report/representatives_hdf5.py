"""Representative images as HDF5, for programs that do not read Parquet."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from astro_common.atomic import atomic_path, output_error
from astro_common.errors import ConfigurationError
from astro_common.jsonable import jsonable
from astro_common.parquet import parquet_errors, read_metadata
from cfht_iqa.representatives import CUTOUT_PX

__all__ = ["require_h5py", "write_hdf5"]

_ROWS: Final = 256


def require_h5py() -> Any:
    """Import h5py; ConfigurationError if the extra is not installed."""
    try:
        return importlib.import_module("h5py")
    except ImportError as error:
        raise ConfigurationError(
            "--hdf5", "the package h5py is not installed", action="install cfht-iqa[hdf5]"
        ) from error


def write_hdf5(table: Path, output: Path, *, overwrite: bool = False) -> None:
    """Write a table of representative images as HDF5.

    Each column becomes a dataset of as many rows; ``image`` has shape (n, 25, 25 n_clusters), lists
    become rows of a matrix, null becomes NaN. Units and descriptions are attributes of the
    datasets, and how the table was made is an attribute of the file. Memory holds some hundred
    rows.

    Parameters
    ----------
    table : Path
        Made by `represent_exposures`.
    output : Path
        The HDF5 file.
    overwrite : bool, optional
        Replace the output.

    Raises
    ------
    InputError
        If the table is damaged.
    OutputError
        If the output exists or cannot be written.
    ConfigurationError
        If h5py is not installed.
    """
    h5py = require_h5py()
    notes = read_metadata(table)
    with parquet_errors(table), atomic_path(output, overwrite=overwrite) as partial:
        source = pq.ParquetFile(table)
        schema, count = source.schema_arrow, source.metadata.num_rows
        try:
            with h5py.File(partial, "w", locking=False) as file:
                for key, value in notes.items():
                    file.attrs[key] = json.dumps(jsonable(value))
                for field in schema:
                    _create(h5py, file, field, count)
                start = 0
                for batch in source.iter_batches(_ROWS):
                    rows = slice(start, start + batch.num_rows)
                    for name in schema.names:
                        file[name][rows] = _values(batch.column(name), file[name].shape[1:])
                    start = rows.stop
        except OSError as error:
            raise output_error(output, error) from error


def _create(h5py: Any, file: Any, field: pa.Field, count: int) -> None:
    shape: tuple[int, ...] = (count,)
    kind: Any
    if pa.types.is_fixed_size_list(field.type):
        size = field.type.list_size
        shape += (CUTOUT_PX, size // CUTOUT_PX) if field.name == "image" else (size,)
        kind = field.type.value_type.to_pandas_dtype()
    elif pa.types.is_string(field.type):
        kind = h5py.string_dtype()
    else:
        kind = field.type.to_pandas_dtype()
    options: dict[str, Any] = {}
    if field.name == "image" and count:
        options = {"chunks": (1, *shape[1:]), "compression": "gzip", "shuffle": True}
    dataset = file.create_dataset(field.name, shape, kind, **options)
    for key, value in (field.metadata or {}).items():
        dataset.attrs[key.decode()] = value.decode()


def _values(column: Any, shape: tuple[int, ...]) -> Any:
    if not pa.types.is_fixed_size_list(column.type):
        return column.to_numpy(zero_copy_only=False)
    # A list that is null still has its places in the child array, and they hold anything.
    flat = column.values.slice(column.offset * column.type.list_size).to_numpy(zero_copy_only=False)
    values = np.array(flat[: len(column) * column.type.list_size]).reshape(len(column), -1)
    if column.null_count:
        values = np.where(column.is_valid().to_numpy(zero_copy_only=False)[:, None], values, np.nan)
    return values.reshape(len(column), *shape)
