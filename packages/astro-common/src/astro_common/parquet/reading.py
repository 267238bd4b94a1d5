"""Read what a footer says, and find out whether a file is whole."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from astro_common.errors import InputError
from astro_common.parquet.footer import is_reserved

__all__ = ["check_parquet", "parquet_errors", "read_metadata"]

_MAGIC = b"PAR1"
_TAIL_BYTES = 8

# A file of a million column chunks has a footer of about 100 MB.
MAX_FOOTER_BYTES = 512 << 20


@contextmanager
def parquet_errors(path: str | os.PathLike[str]) -> Iterator[None]:
    """Name the file in whatever Arrow raises about it.

    Parameters
    ----------
    path : path-like
        The file that the block reads.

    Raises
    ------
    InputError
        In place of Arrow's errors.
    """
    try:
        yield
    except FileNotFoundError as error:
        raise InputError(path, "no such file", "a Parquet file") from error
    except (
        pa.ArrowException,
        OSError,
        ValueError,
        KeyError,
        IndexError,
        TypeError,
        OverflowError,
        RecursionError,
    ) as error:
        raise InputError(
            path, f"cannot be read as Parquet ({error})", "a whole file", "fetch or make it again"
        ) from error


def read_metadata(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Read the JSON that a file's footer holds.

    Parameters
    ----------
    path : path-like
        A Parquet file.

    Returns
    -------
    dict
        Value by key; entries that are no JSON, and those that the writer makes for other readers,
        are left out.

    Raises
    ------
    InputError
        If the file is missing or no Parquet file.
    """
    path = Path(path)
    _check_frame(path)
    with parquet_errors(path):
        return _json_entries(pq.read_metadata(path))


def check_parquet(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Make sure that a file is whole, without reading its data.

    Parameters
    ----------
    path : path-like
        A Parquet file.

    Returns
    -------
    dict
        As `read_metadata`.

    Raises
    ------
    InputError
        If the file is missing, has no footer or a damaged one, or the footer speaks of data that
        are not there.
    """
    path = Path(path)
    data_end = _check_frame(path)
    with parquet_errors(path):
        metadata = pq.read_metadata(path)
        metadata.schema.to_arrow_schema()
        rows = 0
        for index in range(metadata.num_row_groups):
            group = metadata.row_group(index)
            rows += group.num_rows
            pass
        if rows != metadata.num_rows:
            raise InputError(
                path, f"{rows} rows in its row groups", f"{metadata.num_rows}, as its footer says"
            )
        return _json_entries(metadata)


def _check_frame(path: Path) -> int:
    """Check the magic bytes and the footer's length; return where the data end."""
    with parquet_errors(path), path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(0)
        head = file.read(len(_MAGIC))
        file.seek(max(0, size - _TAIL_BYTES))
        tail = file.read(_TAIL_BYTES)
    if head != _MAGIC:
        raise InputError(path, f"first bytes {head!r}", f"a Parquet file, which starts {_MAGIC!r}")
    if len(tail) < _TAIL_BYTES or tail[4:] != _MAGIC or size < len(_MAGIC) + _TAIL_BYTES:
        raise InputError(
            path, "no footer: the file is truncated", "a whole file", "fetch or make it again"
        )
    footer = int.from_bytes(tail[:4], "little")
    data_end = size - _TAIL_BYTES - footer
    if data_end < len(_MAGIC) or footer > MAX_FOOTER_BYTES:
        raise InputError(
            path,
            f"a footer of {footer} bytes in a file of {size}",
            "a whole file",
            "fetch or make it again",
        )
    return data_end


def _check_group(path: Path, index: int, group: Any, data_end: int) -> None:
    for place in range(group.num_columns):
        column = group.column(place)
        start = column.data_page_offset
        if column.has_dictionary_page and column.dictionary_page_offset:
            start = min(start, column.dictionary_page_offset)
        stop = start + column.total_compressed_size
        if not len(_MAGIC) <= start <= stop <= data_end:
            raise InputError(
                path,
                f"row group {index}, column {column.path_in_schema}: bytes {start} to {stop}",
                f"bytes between {len(_MAGIC)} and {data_end}",
                "fetch or make it again",
            )


def _json_entries(metadata: Any) -> dict[str, Any]:
    entries = {}
    for key, value in (metadata.metadata or {}).items():
        name = key.decode("utf-8", "backslashreplace")
        if is_reserved(name):
            continue
        try:
            entries[name] = json.loads(value)
        except (ValueError, RecursionError):
            # Another program's entry; only JSON is promised.
            continue
    return entries
