"""A file of many gigabytes, written past the system's cache of files.

Such a file does not fit into the cache: it only drives out what others need, and on many machines
copying into the cache takes longer than the disk does. Where the system or the file system knows no
direct writing, the file is written as any other.
"""

from __future__ import annotations

import contextlib
import errno
import io
import mmap
import os
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

__all__ = ["DirectFile"]

# Direct writing asks for addresses, places and lengths that are multiples of a block of the disk,
# which this is on every disk in use.
_BUFFER_BYTES: Final = 8 << 20


class DirectFile(io.RawIOBase):
    """A binary file that is written once, from its beginning to its end.

    A full buffer is written by a thread while the other one is filled.

    Parameters
    ----------
    path : Path
        A file that exists and is empty.

    Raises
    ------
    OSError
        If the file cannot be opened or written (disk full and the like); an error of the thread
        comes with the next `write` or with `close`.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._descriptor, self.is_direct = _opened(path)
        # Anonymous maps begin with a page of memory, which is aligned.
        self._buffers = [memoryview(mmap.mmap(-1, _BUFFER_BYTES)) for _ in range(2)]
        self._turn = 0
        self._filled = 0
        self._size = 0
        self._is_whole = True
        self._pending: Future[None] | None = None
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="disk")

    def writable(self) -> bool:
        """Yes."""
        return True

    def tell(self) -> int:
        """Bytes taken so far (int)."""
        return self._size

    def write(self, data: Any, /) -> int:
        """Take bytes; they are on their way to the disk when a buffer is full."""
        rest = memoryview(data).cast("B")
        taken = len(rest)
        while len(rest):
            part = rest[: _BUFFER_BYTES - self._filled]
            self._buffers[self._turn][self._filled : self._filled + len(part)] = part
            self._filled += len(part)
            rest = rest[len(part) :]
            if self._filled == _BUFFER_BYTES:
                self._hand_over()
        self._size += taken
        return taken

    def close(self) -> None:
        """Write what is left and close the file."""
        if self.closed:
            return
        try:
            self._wait()
            if self._filled and self._is_whole:
                # The end need not be a multiple of a block.
                _leave_direct(self._descriptor)
                _write_all(self._descriptor, self._buffers[self._turn][: self._filled])
        finally:
            self._thread.shutdown()
            self._buffers.clear()
            os.close(self._descriptor)
            super().close()

    def _hand_over(self) -> None:
        self._wait()
        view = self._buffers[self._turn]
        self._pending = self._thread.submit(_write_all, self._descriptor, view)
        self._turn = 1 - self._turn
        self._filled = 0

    def _wait(self) -> None:
        pending, self._pending = self._pending, None
        if pending is None:
            return
        try:
            pending.result()
        except OSError:
            self._is_whole = False
            raise


def _opened(path: Path) -> tuple[int, bool]:
    direct = getattr(os, "O_DIRECT", 0)
    if direct:
        # Some file systems, such as those in memory, refuse.
        with contextlib.suppress(OSError):
            return os.open(path, os.O_WRONLY | direct), True
    return os.open(path, os.O_WRONLY), False


def _write_all(descriptor: int, view: memoryview) -> None:
    while len(view):
        try:
            written = os.write(descriptor, view)
        except OSError as error:
            # A limit of the system, or a disk that is nearly full, has cut the file at a place that
            # is no multiple of a block; cached writing goes on, or says what is wrong.
            if error.errno != errno.EINVAL or not _leave_direct(descriptor):
                raise
            continue
        view = view[written:]


def _leave_direct(descriptor: int) -> bool:
    """Go on through the cache; whether that is a change."""
    direct = getattr(os, "O_DIRECT", 0)
    if not direct:
        return False
    import fcntl

    flags = fcntl.fcntl(descriptor, fcntl.F_GETFL)
    fcntl.fcntl(descriptor, fcntl.F_SETFL, flags & ~direct)
    return bool(flags & direct)
