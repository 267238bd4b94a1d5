"""Write TFRecord files, byte for byte as TensorFlow does."""

from __future__ import annotations

import gzip
import os
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from astro_common.atomic import atomic_path
from scone_io.tfrecord.checksums import header_bytes, masked_checksum
from scone_io.tfrecord.content import Compression

__all__ = ["RecordWriter", "record_writer"]

_LEVEL = 6
_BUFFER_BYTES = 1 << 20


class _Sink(Protocol):
    def write(self, data: Any, /) -> int: ...


class _ZlibSink:
    """Compresses into a file, as `gzip.GzipFile` does for the other format."""

    def __init__(self, file: Any) -> None:
        self._file = file
        self._worker = zlib.compressobj(_LEVEL)

    def write(self, data: Any, /) -> int:
        self._file.write(self._worker.compress(data))
        return len(data)

    def close(self) -> None:
        self._file.write(self._worker.flush())


class RecordWriter:
    """Writes records into an open file; made by `record_writer`.

    Attributes
    ----------
    offset : int
        Where the next record begins, in bytes of the uncompressed stream.
    num_records : int
    """

    def __init__(self, sink: _Sink) -> None:
        self._sink = sink
        self.offset = 0
        self.num_records = 0

    def write(self, payload: Any) -> None:
        """Append a record.

        Parameters
        ----------
        payload : bytes-like
            A serialised Example, or anything else.
        """
        size = len(payload)
        self._sink.write(header_bytes(size))
        self._sink.write(payload)
        self._sink.write(masked_checksum(payload).to_bytes(4, "little"))
        self.offset += size + 16
        self.num_records += 1


@contextmanager
def record_writer(
    path: str | os.PathLike[str], *, compression: Compression = "none", overwrite: bool = False
) -> Iterator[RecordWriter]:
    """Write a TFRecord file, which appears when it is complete.

    Parameters
    ----------
    path : path-like
    compression : str
        ``none`` (what SCONE writes), ``gzip`` or ``zlib``.
    overwrite : bool
        Replace a file that exists.

    Yields
    ------
    RecordWriter

    Raises
    ------
    OutputError
        If the file exists or cannot be written.
    """
    path = Path(path)
    with (
        atomic_path(path, overwrite=overwrite) as partial,
        partial.open("wb", buffering=_BUFFER_BYTES) as file,
    ):
        if compression == "gzip":
            # No name and no time: the same records give the same bytes.
            with gzip.GzipFile(
                filename="", mode="wb", fileobj=file, compresslevel=_LEVEL, mtime=0
            ) as sink:
                yield RecordWriter(sink)
        elif compression == "zlib":
            deflated = _ZlibSink(file)
            yield RecordWriter(deflated)
            deflated.close()
        else:
            yield RecordWriter(file)
