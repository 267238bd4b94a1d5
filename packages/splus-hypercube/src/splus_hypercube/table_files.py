"""Writing a table in the format that its file's name asks for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa

from astro_common.atomic import atomic_path
from astro_common.errors import ConfigurationError, OutputError
from astro_common.parquet import ParquetWriter

__all__ = ["SUFFIXES", "check_suffix", "open_table"]

_ASTROPY_FORMATS: Final = {
    ".csv": "ascii.csv",
    ".ecsv": "ascii.ecsv",
    ".fit": "fits",
    ".fits": "fits",
    ".vot": "votable",
    ".votable": "votable",
    ".xml": "votable",
}
SUFFIXES: Final = (".parquet", *_ASTROPY_FORMATS)


def check_suffix(path: Path) -> None:
    """Raise `ConfigurationError` if a file's name does not end like a known format."""
    if path.suffix.lower() not in SUFFIXES:
        raise ConfigurationError(
            path, f"the ending {path.suffix or 'nothing'!r}", f"one of {', '.join(SUFFIXES)}"
        )


@contextmanager
def open_table(
    path: Path, schema: pa.Schema, *, metadata: Mapping[str, Any], overwrite: bool = False
) -> Iterator[Callable[[pa.Table], None]]:
    """Open a table for writing; the file appears when the block ends, if it does not raise.

    Parameters
    ----------
    path : Path
        Its ending is one of `SUFFIXES`. Parquet is written as it comes; the other formats can only
        be written at once, so that the whole table is in memory at the end.
    schema : pyarrow.Schema
    metadata : mapping
        Provenance; Parquet alone keeps it.
    overwrite : bool

    Yields
    ------
    callable
        Appends a table with the columns of the schema.

    Raises
    ------
    OutputError
        If the file exists or cannot be written, or its format cannot hold a column.
    """
    kind = path.suffix.lower()
    if kind == ".parquet":
        with ParquetWriter(path, schema, metadata=metadata, overwrite=overwrite) as writer:
            yield writer.write
        return
    for field in schema:
        _check_type(path, field)
    with atomic_path(path, overwrite=overwrite) as partial:
        pieces = [schema.empty_table()]
        yield pieces.append
        table = _astropy_table(pa.concat_tables(pieces))
        table.write(partial, format=_ASTROPY_FORMATS[kind], overwrite=True)


def _check_type(path: Path, field: pa.Field) -> None:
    kind = field.type
    if pa.types.is_fixed_size_list(kind) and path.suffix.lower() != ".csv":
        kind = kind.value_type
    if pa.types.is_nested(kind):
        raise OutputError(
            path, f"column {field.name} of type {field.type}", "single values", "write Parquet"
        )


def _astropy_table(table: pa.Table) -> Any:
    """The same columns with masks, units and descriptions (astropy.table.Table)."""
    from astropy.table import MaskedColumn, Table

    made = Table()
    for field, column in zip(table.schema, table.columns, strict=True):
        notes = {key.decode(): value.decode() for key, value in (field.metadata or {}).items()}
        values, missing = _values(column.combine_chunks())
        made[field.name] = MaskedColumn(
            values,
            mask=missing if missing.any() else False,
            unit=notes.get("unit") or None,
            description=notes.get("description"),
            # astropy puts its fill value where a format has no other mark for "missing".
            fill_value=np.iinfo(values.dtype).min if values.dtype.kind == "i" else None,
        )
        if notes.get("ucd"):
            made[field.name].meta["ucd"] = notes["ucd"]
    return made


def _values(column: pa.Array) -> tuple[Any, Any]:
    """Values, something harmless where they are missing, and where they are."""
    missing = np.asarray(column.is_null())
    if pa.types.is_fixed_size_list(column.type):
        size = column.type.list_size
        filled = pa.array(column.to_pylist(), column.type) if column.offset else column
        inner, inner_missing = _values(pa.array(filled.values))
        return inner.reshape(-1, size), inner_missing.reshape(-1, size) | missing[:, None]
    if pa.types.is_floating(column.type):
        return column.to_numpy(zero_copy_only=False), missing
    if pa.types.is_integer(column.type) or pa.types.is_boolean(column.type):
        return column.fill_null(0).to_numpy(zero_copy_only=False), missing
    texts = column.cast(pa.string()).fill_null("")
    return np.array(texts.to_pylist(), dtype=np.str_), missing
