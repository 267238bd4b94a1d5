"""How each column is encoded and compressed.

The best choice depends on the values. Texts and flags repeat, so a dictionary shrinks them. The
pixels of an image are noise, on which a dictionary or a thorough codec is wasted. The defaults come
from measurements with ``benchmarks/bench_parquet_writing.py``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

__all__ = ["ColumnOptions", "ColumnOptionsSource", "is_list", "writer_arguments"]

# Lists with at least this many numbers per row are taken for images.
IMAGE_VALUES = 1024

# The codecs for which pyarrow takes a level.
_LEVELLED = frozenset({"zstd", "gzip", "brotli"})
_FAST_ZSTD_LEVEL = 1


@dataclass(frozen=True)
class ColumnOptions:
    """Encoding and compression of a column; None leaves the choice to the writer.

    Attributes
    ----------
    dictionary : bool or None
        Store each distinct value once and refer to it. By default only for texts.
    compression : str or None
        ``none``, ``lz4``, ``snappy``, ``zstd``, ``gzip`` or ``brotli``.
    compression_level : int or None
        The effort of the codec, if it has such a setting.
    byte_stream_split : bool or None
        Store the first bytes of all values, then the second and so on: noisy floats compress
        better but are written more slowly. Off by default.
    statistics : bool or None
        Keep minimum and maximum per row group. By default for columns that are not lists.
    """

    dictionary: bool | None = None
    compression: str | None = None
    compression_level: int | None = None
    byte_stream_split: bool | None = None
    statistics: bool | None = None


ColumnOptionsSource = (
    Mapping[str, ColumnOptions] | Callable[[pa.Field], ColumnOptions | None] | None
)


def writer_arguments(
    schema: pa.Schema, compression: str, column_options: ColumnOptionsSource
) -> dict[str, Any]:
    """Translate the options of all columns for ``pyarrow.parquet.ParquetWriter``.

    Parameters
    ----------
    schema : pyarrow.Schema
        The columns.
    compression : str
        Codec of columns whose options leave it open; ``auto`` chooses by type.
    column_options : mapping, callable or None
        Options by column name, or a function that returns those of a field.

    Returns
    -------
    dict of str to object
        Keyword arguments.

    Raises
    ------
    KeyError
        If options are given for a column that the schema does not have.
    """
    if isinstance(column_options, Mapping):
        unknown = sorted(set(column_options) - set(schema.names))
        if unknown:
            raise KeyError(f"options for columns that are not in the schema: {', '.join(unknown)}")
    dictionary, split, statistics = [], [], []
    codecs: dict[str, str] = {}
    levels: dict[str, int] = {}
    for field in schema:
        options = _options_of(field, column_options)
        for path, leaf in _leaves(field.name, field.type):
            nested = path != field.name
            if _chosen(options.dictionary, _is_text(leaf)):
                dictionary.append(path)
            elif options.byte_stream_split:
                split.append(path)
            if _chosen(options.statistics, not nested):
                statistics.append(path)
            codec = options.compression or (
                _codec(field.type) if compression == "auto" else compression
            )
            codecs[path] = codec
            level = options.compression_level
            if level is None and codec == "zstd":
                level = _FAST_ZSTD_LEVEL
            if level is not None and codec in _LEVELLED:
                levels[path] = level
    return {
        "use_dictionary": dictionary,
        "use_byte_stream_split": split,
        "write_statistics": statistics,
        "compression": codecs,
        "compression_level": levels or None,
    }


def _options_of(field: pa.Field, source: ColumnOptionsSource) -> ColumnOptions:
    if source is None:
        options = None
    elif isinstance(source, Mapping):
        options = source.get(field.name)
    else:
        options = source(field)
    return ColumnOptions() if options is None else options


def _chosen(option: bool | None, default: bool) -> bool:
    return default if option is None else option


def _codec(kind: pa.DataType) -> str:
    # Noise has no repeated bytes for a codec to find.
    image = pa.types.is_fixed_size_list(kind) and kind.list_size >= IMAGE_VALUES
    return "none" if image else "zstd"


def _is_text(kind: pa.DataType) -> bool:
    return any(
        test(kind)
        for test in (
            pa.types.is_string,
            pa.types.is_large_string,
            pa.types.is_string_view,
            pa.types.is_dictionary,
        )
    )


def is_list(kind: pa.DataType) -> bool:
    """Whether values of a type are lists, of fixed or variable length (bool)."""
    tests = (pa.types.is_list, pa.types.is_large_list, pa.types.is_fixed_size_list)
    return any(test(kind) for test in tests)


def _leaves(path: str, kind: pa.DataType) -> Iterator[tuple[str, pa.DataType]]:
    """Yield the Parquet columns of an Arrow column: dotted path and type of the values."""
    if pa.types.is_map(kind):
        yield from _leaves(f"{path}.key_value.key", kind.key_type)
        yield from _leaves(f"{path}.key_value.value", kind.item_type)
    elif pa.types.is_struct(kind):
        for index in range(kind.num_fields):
            child = kind.field(index)
            yield from _leaves(f"{path}.{child.name}", child.type)
    elif is_list(kind):
        yield from _leaves(f"{path}.list.element", kind.value_type)
    else:
        yield path, kind
