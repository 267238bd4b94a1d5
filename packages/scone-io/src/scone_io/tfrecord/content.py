"""The bytes of a shard, whether the file is plain or compressed; its content decides, not its name.

A plain file is mapped into memory and never copied. A compressed one is read from start to end, and
only a window of the decompressed bytes is held.
"""

from __future__ import annotations

import mmap
import os
import zlib
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Literal, Protocol, Self

import numpy as np
import numpy.typing as npt

from astro_common.errors import InputError
from scone_io.tfrecord.checksums import header_bytes

__all__ = ["Bytes", "Compression", "Content", "open_content", "sniff_compression"]

Bytes = npt.NDArray[np.uint8]
Compression = Literal["none", "gzip", "zlib"]

_CHUNK_BYTES = 256 << 10
_STEP_BYTES = 1 << 20
_HEAD_BYTES = 4096
# Bytes that were consumed are dropped from the window once there are this many.
_SLACK_BYTES = 4 << 20
_GZIP_MAGIC = b"\x1f\x8b\x08"
# zlib's "wbits": 15 for a zlib stream, 16 more for gzip.
_WINDOW_BITS = {"gzip": 31, "zlib": 15}


class Content(Protocol):
    """Bytes by their offset in the uncompressed stream."""

    path: Path
    compression: Compression

    def block(self, offset: int, count: int) -> Bytes:
        """Bytes from an offset on, fewer than asked for where the content ends."""

    def release(self, offset: int) -> None:
        """Allow the bytes before this offset to be discarded."""

    def fault(self) -> str:
        """The fault of the compressed stream that reading has met so far; empty if none."""

    def close(self) -> None:
        """Close the file; blocks that were returned stay valid."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...


class _Closing(ABC):
    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    @abstractmethod
    def close(self) -> None: ...


class MappedContent(_Closing):
    """A plain file, mapped; its blocks are views that copy nothing and cannot be written."""

    compression: Compression = "none"

    def __init__(self, path: Path, file: BinaryIO) -> None:
        self.path = path
        if os.fstat(file.fileno()).st_size:
            # The map outlives the file object.
            mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            self.array: Bytes = np.frombuffer(mapped, dtype=np.uint8)
        else:
            self.array = np.empty(0, dtype=np.uint8)

    def block(self, offset: int, count: int) -> Bytes:
        return self.array[offset : offset + count]

    def release(self, offset: int) -> None:
        return

    def fault(self) -> str:
        return ""

    def close(self) -> None:
        self.array = np.empty(0, dtype=np.uint8)


class StreamContent(_Closing):
    """A compressed file, read once from start to end."""

    def __init__(self, path: Path, file: BinaryIO, compression: Compression) -> None:
        self.path = path
        self.compression: Compression = compression
        self._file = file
        self._pieces = _decompressed(file, compression)
        self._buffer = bytearray()
        self._start = 0
        self._wanted_from = 0
        self._ended = False
        self._fault = ""

    def block(self, offset: int, count: int) -> Bytes:
        if offset < self._start:
            raise ValueError("this part of the stream is gone")
        self._fill(offset + count)
        place = offset - self._start
        return np.frombuffer(bytes(self._buffer[place : place + count]), dtype=np.uint8)

    def release(self, offset: int) -> None:
        self._wanted_from = max(self._wanted_from, offset)
        gone = min(self._wanted_from - self._start, len(self._buffer))
        if gone > _SLACK_BYTES or gone == len(self._buffer):
            del self._buffer[:gone]
            self._start += gone

    def fault(self) -> str:
        return self._fault

    def close(self) -> None:
        self._file.close()
        self._buffer = bytearray()

    def _fill(self, end: int) -> None:
        while not self._ended and self._start + len(self._buffer) < end:
            try:
                piece = next(self._pieces, None)
            except _StreamError as error:
                self._fault = str(error)
                piece = None
            except OSError as error:
                raise InputError(self.path, f"cannot be read ({error.strerror})") from error
            if piece is None:
                self._ended = True
            else:
                self._buffer += piece
                self.release(self._wanted_from)


class _StreamError(Exception):
    """The compressed stream is damaged or cut short."""


def _decompressed(file: BinaryIO, compression: Compression) -> Iterator[bytes]:
    """Yield the decompressed bytes, up to the last one that can be recovered.

    Concatenated streams count as one, as in gzip itself.
    """
    name = compression
    waiting = b""
    first = True
    while True:
        waiting = waiting or file.read(_CHUNK_BYTES)
        if not first and name == "gzip":
            # Zeros after the last member pad it to a block of a tape or a disk.
            while waiting and not waiting.strip(b"\0"):
                waiting = file.read(_CHUNK_BYTES)
            waiting = waiting.lstrip(b"\0")
        if not waiting:
            return
        first = False
        worker = zlib.decompressobj(_WINDOW_BITS[name])
        while not worker.eof:
            waiting = waiting or file.read(_CHUNK_BYTES)
            if not waiting:
                raise _StreamError(f"the {name} stream is cut short")
            before = worker.copy()
            try:
                piece = worker.decompress(waiting, _STEP_BYTES)
            except zlib.error as error:
                yield from _last_bytes(before, waiting)
                raise _StreamError(f"the {name} stream is damaged ({error})") from error
            # Only one is filled: `unused_data` after the end of a stream, the other before it.
            waiting = worker.unused_data or worker.unconsumed_tail
            if piece:
                yield piece


def _last_bytes(worker: Any, waiting: bytes) -> Iterator[bytes]:
    """What comes out of a damaged stream before the place where the decoder gives up."""
    for place in range(len(waiting)):
        try:
            piece = worker.decompress(waiting[place : place + 1], _STEP_BYTES)
        except zlib.error:
            return
        if piece:
            yield piece


def sniff_compression(head: bytes) -> Compression:
    """Tell from its first bytes how a file is compressed.

    Parameters
    ----------
    head : bytes
        The first bytes of the file, some thousands if there are so many.

    Returns
    -------
    str
        ``none``, ``gzip`` or ``zlib``. A file that starts with a sound TFRecord header is plain,
        whatever else its first bytes look like.
    """
    if len(head) >= 12 and head[:12] == header_bytes(int.from_bytes(head[:8], "little")):
        return "none"
    if head[:3] == _GZIP_MAGIC:
        return "gzip"
    if len(head) >= 2 and head[0] & 0x0F == 8 and int.from_bytes(head[:2], "big") % 31 == 0:
        try:
            zlib.decompressobj(_WINDOW_BITS["zlib"]).decompress(head, _HEAD_BYTES)
        except zlib.error:
            return "none"
        return "zlib"
    return "none"


def open_content(path: str | os.PathLike[str]) -> Content:
    """Open a shard.

    Parameters
    ----------
    path : path-like
        A plain, gzip or zlib file.

    Returns
    -------
    Content
        To be used in a ``with`` block.

    Raises
    ------
    InputError
        If the file is missing or cannot be read.
    """
    path = Path(path)
    try:
        if path.is_dir():
            raise InputError(path, "a folder", "a TFRecord file")
        with ExitStack() as stack:
            file = stack.enter_context(path.open("rb"))
            compression = sniff_compression(file.read(_HEAD_BYTES))
            file.seek(0)
            if compression == "none":
                return MappedContent(path, file)
            stack.pop_all()  # the stream reads on, and closes the file
            return StreamContent(path, file, compression)
    except FileNotFoundError as error:
        raise InputError(path, "no such file", "a TFRecord file") from error
    except OSError as error:
        raise InputError(path, f"cannot be read ({error.strerror})", "a TFRecord file") from error
