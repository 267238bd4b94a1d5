"""Read the metadata in a footer, and check whether a file is complete."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from astro_common.errors import InputError
from astro_common.parquet.footer import DATA_BYTES, is_reserved
from astro_common.parquet.layout import check_layout

__all__ = ["check_parquet", "parquet_errors", "read_metadata"]

_MAGIC = b"PAR1"
_TAIL_BYTES = 8

# A file of a million column chunks has a footer of about 100 MB.
MAX_FOOTER_BYTES = 128 << 20
_MAX_ELEMENTS = 1_000_000


@contextmanager
def parquet_errors(path: str | os.PathLike[str]) -> Iterator[None]:
    """Turn the errors that Arrow raises about a file into one that names it.

    Parameters
    ----------
    path : path-like
        The file that the block reads.

    Raises
    ------
    InputError
        In place of the errors of Arrow.
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
        Value by key, without entries that are not JSON and those that the writer makes for other
        readers.

    Raises
    ------
    InputError
        If the file is missing or not a Parquet file.
    """
    path = Path(path)
    data_end, size = _check_frame(path)
    with parquet_errors(path), _opened(path, size - data_end) as file:
        return _json_entries(file.metadata.metadata or {})


def check_parquet(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Check that a file is complete, without reading its data.

    Parameters
    ----------
    path : path-like
        A Parquet file.

    Returns
    -------
    dict
        The metadata that `read_metadata` returns.

    Raises
    ------
    InputError
        If the file is missing, its footer is missing or damaged, or the footer describes data
        outside the file.
    """
    path = Path(path)
    data_end, size = _check_frame(path)
    with parquet_errors(path), _opened(path, size - data_end) as file:
        entries = file.metadata.metadata or {}
        recorded = json.loads(entries.get(DATA_BYTES.encode(), b"null"))
        # A program that rewrites a file may copy the entry although the length has changed. If it
        # does not fit, the places of all columns are checked.
        if recorded != data_end:
            with path.open("rb") as raw:
                raw.seek(data_end)
                check_layout(raw.read(size - data_end - _TAIL_BYTES), data_end)
        return _json_entries(entries)


def _opened(path: Path, footer_bytes: int) -> Any:
    """Open a file to read its footer, with limits that follow from the size of the footer."""
    return pq.ParquetFile(
        path,
        thrift_string_size_limit=footer_bytes,
        # Memory is allocated for a list before its elements are read; each takes over four bytes.
        thrift_container_size_limit=min(_MAX_ELEMENTS, max(1000, footer_bytes // 4)),
    )


def _check_frame(path: Path) -> tuple[int, int]:
    """Check the magic bytes and the footer's length; return where the data and the file end."""
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
    return data_end, size


def _json_entries(footer: Mapping[bytes, bytes]) -> dict[str, Any]:
    entries = {}
    for key, value in footer.items():
        name = key.decode("utf-8", "backslashreplace")
        if is_reserved(name):
            continue
        try:
            entries[name] = json.loads(value)
        except (ValueError, RecursionError):
            # An entry of another program, which need not be JSON.
            continue
    return entries
