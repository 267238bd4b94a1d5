"""What the footer of a file says besides what Parquet itself needs."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from astro_common.jsonable import json_text
from astro_common.parquet.fields import field_metadata
from astro_common.votable import printable, votable_xml

__all__ = ["ARROW_SCHEMA", "TextLengths", "footer_entries", "is_reserved"]

ARROW_SCHEMA = "ARROW:schema"
PANDAS = "pandas"
VOPARQUET_VERSION = "IVOA.VOTable-Parquet.version"
VOPARQUET_CONTENT = "IVOA.VOTable-Parquet.content"
ASTROPY_YAML = "table_meta_yaml"
ASTROPY_LENGTH = "table::len::"

# The pandas type that keeps an integer or a truth value exact beside missing ones.
_PANDAS_TYPES = {
    pa.bool_(): "boolean",
    pa.int8(): "Int8",
    pa.int16(): "Int16",
    pa.int32(): "Int32",
    pa.int64(): "Int64",
    pa.uint8(): "UInt8",
    pa.uint16(): "UInt16",
    pa.uint32(): "UInt32",
    pa.uint64(): "UInt64",
    pa.float16(): "float16",
    pa.float32(): "float32",
    pa.float64(): "float64",
}


def is_reserved(key: str) -> bool:
    """Whether the writer itself makes the footer entry of this key."""
    known = (ARROW_SCHEMA, PANDAS, VOPARQUET_VERSION, VOPARQUET_CONTENT, ASTROPY_YAML)
    return key in known or key.startswith(ASTROPY_LENGTH)


class TextLengths:
    """The longest text of each column, which astropy wants to know before it reads.

    Parameters
    ----------
    schema : pyarrow.Schema
        The columns of the file.
    """

    def __init__(self, schema: pa.Schema) -> None:
        self._lengths = {field.name: 1 for field in schema if _has_text(field.type)}

    def see(self, table: pa.Table) -> None:
        """Take account of more rows."""
        for name, longest in self._lengths.items():
            for chunk in table.column(name).chunks:
                self._lengths[name] = max(longest, self._lengths[name], _longest(chunk))

    def entries(self) -> dict[str, str]:
        """The footer entries (dict of str to str)."""
        return {f"{ASTROPY_LENGTH}{name}": str(size) for name, size in self._lengths.items()}


def footer_entries(
    schema: pa.Schema, metadata: Mapping[str, Any], lengths: TextLengths, num_rows: int
) -> dict[str, str]:
    """Make all entries of the footer's key-value list.

    Parameters
    ----------
    schema : pyarrow.Schema
        Columns with their metadata.
    metadata : mapping
        JSON by key.
    lengths : TextLengths
        Of the rows that were written.
    num_rows : int
        Number of rows.

    Returns
    -------
    dict of str to str
        The schema that Arrow reads holds the other entries too, so that they show as schema
        metadata.
    """
    entries = {key: json_text(value) for key, value in metadata.items()}
    entries[VOPARQUET_VERSION] = "1.0"
    entries[VOPARQUET_CONTENT] = votable_xml(schema, num_rows=num_rows)
    entries[PANDAS] = _pandas(schema)
    entries[ASTROPY_YAML] = _astropy(schema)
    entries.update(lengths.entries())
    arrow = schema.with_metadata(entries).serialize().to_pybytes()
    entries[ARROW_SCHEMA] = base64.b64encode(arrow).decode("ascii")
    return entries


def _pandas(schema: pa.Schema) -> str:
    """Describe the columns as pandas does itself (its developer notes, "Storing pandas ...")."""
    columns = [
        {
            "name": field.name,
            "field_name": field.name,
            "pandas_type": str(field.type),
            "numpy_type": _PANDAS_TYPES.get(field.type, "object"),
            "metadata": None,
        }
        for field in schema
    ]
    return json_text(
        {
            "index_columns": [],
            "column_indexes": [],
            "columns": columns,
            "creator": {"library": "astro-common"},
            "pandas_version": None,
        }
    )


def _astropy(schema: pa.Schema) -> str:
    """Units and descriptions where astropy looks for them; JSON is YAML too."""
    columns = []
    for field in schema:
        texts = {key: printable(text) for key, text in field_metadata(field).items()}
        column: dict[str, Any] = {"name": field.name}
        for key in ("unit", "description"):
            if texts.get(key):
                column[key] = texts.pop(key)
        if texts:
            column["meta"] = texts
        columns.append(column)
    return json_text({"datatype": columns})


def _has_text(kind: pa.DataType) -> bool:
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        return _has_text(kind.value_type)
    return (
        pa.types.is_string(kind)
        or pa.types.is_large_string(kind)
        or pa.types.is_binary(kind)
        or pa.types.is_large_binary(kind)
    )


def _longest(values: pa.Array) -> int:
    while not (_is_flat_text(values.type)):
        values = values.flatten()
    # astropy shows a missing text as "None".
    least = len("None") if values.null_count else 1
    binary = pa.types.is_binary(values.type) or pa.types.is_large_binary(values.type)
    sizes = pc.binary_length(values) if binary else pc.utf8_length(values)
    return max(least, pc.max(sizes).as_py() or 0)


def _is_flat_text(kind: pa.DataType) -> bool:
    return not hasattr(kind, "value_type")
