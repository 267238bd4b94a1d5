"""The key-value entries of a footer, for readers such as pandas, astropy and TOPCAT."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from astro_common.arrow_fields import field_metadata
from astro_common.jsonable import json_text
from astro_common.parquet.columns import is_list
from astro_common.votable import printable, votable_xml

__all__ = ["DATA_BYTES", "TextLengths", "footer_entries", "is_reserved"]

ARROW_SCHEMA = "ARROW:schema"
PANDAS = "pandas"
VOPARQUET_VERSION = "IVOA.VOTable-Parquet.version"
VOPARQUET_CONTENT = "IVOA.VOTable-Parquet.content"
ASTROPY_YAML = "table_meta_yaml"
ASTROPY_LENGTH = "table::len::"
# The number of bytes before the footer, which shows whether data are missing without a look at the
# place of every column.
DATA_BYTES = "astro_common.data_bytes"

_RESERVED = frozenset(
    {ARROW_SCHEMA, PANDAS, VOPARQUET_VERSION, VOPARQUET_CONTENT, ASTROPY_YAML, DATA_BYTES}
)

# The pandas types that keep integers and booleans exact beside missing values.
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

_TEXTS = (pa.string(), pa.large_string())
_BYTES = (pa.binary(), pa.large_binary())


def is_reserved(key: str) -> bool:
    """Whether the writer itself makes the footer entry with this key (bool)."""
    return key in _RESERVED or key.startswith(ASTROPY_LENGTH)


class TextLengths:
    """The longest text of each column, which astropy needs to know before it reads.

    Parameters
    ----------
    schema : pyarrow.Schema
        The columns of the file.

    Attributes
    ----------
    by_column : dict of str to int
        Length of the longest value so far, in characters, or in bytes for binary columns.
    """

    def __init__(self, schema: pa.Schema) -> None:
        self.by_column = {field.name: 1 for field in schema if _has_text(field.type)}

    def see(self, table: pa.Table) -> None:
        """Take more rows into account."""
        for name in self.by_column:
            for chunk in table.column(name).chunks:
                self.by_column[name] = max(self.by_column[name], _longest(chunk))

    def entries(self) -> dict[str, str]:
        """The footer entries (dict of str to str)."""
        return {f"{ASTROPY_LENGTH}{name}": str(size) for name, size in self.by_column.items()}


def footer_entries(
    schema: pa.Schema,
    metadata: Mapping[str, Any],
    lengths: TextLengths,
    data_bytes: int,
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
    data_bytes : int
        Bytes before the footer.

    Returns
    -------
    dict of str to str
        The schema entry for Arrow holds the other entries too, so that they appear as schema
        metadata.
    """
    entries = {key: json_text(value) for key, value in metadata.items()}
    entries[DATA_BYTES] = str(data_bytes)
    entries[VOPARQUET_VERSION] = "1.0"
    entries[VOPARQUET_CONTENT] = votable_xml(schema, text_lengths=lengths.by_column)
    entries[PANDAS] = _pandas(schema)
    entries[ASTROPY_YAML] = _astropy(schema)
    entries.update(lengths.entries())
    arrow = schema.with_metadata(entries).serialize().to_pybytes()
    entries[ARROW_SCHEMA] = base64.b64encode(arrow).decode("ascii")
    return entries


def _pandas(schema: pa.Schema) -> str:
    """Describe the columns as pandas does (pandas developer guide, "Storing pandas objects")."""
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
    """Give units and descriptions where astropy looks for them: in YAML, which includes JSON."""
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
    while is_list(kind):
        kind = kind.value_type
    return kind in _TEXTS or kind in _BYTES


def _longest(values: pa.Array) -> int:
    while is_list(values.type):
        values = values.flatten()
    sizes = pc.binary_length(values) if values.type in _BYTES else pc.utf8_length(values)
    # astropy shows a missing text as "None".
    least = len("None") if values.null_count else 1
    return max(least, pc.max(sizes).as_py() or 0)
