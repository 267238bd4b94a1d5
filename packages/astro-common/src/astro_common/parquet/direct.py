"""Writing a file of many gigabytes past the page cache of the system (``O_DIRECT``).

Such a file does not fit into the cache: it displaces what other programs need, and on many machines
copying into the cache takes longer than writing to the disk. If the system or the file system does
not support direct writing, the file is written through the cache.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import io
import mmap
import os
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

__all__ = ["DirectFile"]

# Direct writing needs addresses, offsets and lengths that are multiples of the block size of the
# disk; this is one on all disks in use.
_BUFFER_BYTES: Final = 8 << 20


class DirectFile(io.RawIOBase):
    """A binary file that is written once, from start to end.

    There are two buffers: a thread writes one while the other is filled.

    Parameters
    ----------
    path : Path
        A file that exists and is empty.

    Raises
    ------
    OSError
        If the file cannot be opened or written, for instance because the disk is full. An error
        of the thread is raised by a later `write` or by `close`.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._descriptor = _opened(path)
        # An anonymous map begins at a page boundary, so it is aligned.
        self._buffers = [memoryview(mmap.mmap(-1, _BUFFER_BYTES)) for _ in range(2)]
        self._turn = 0
        self._filled = 0
        self._size = 0
        self._is_whole = True
        self._pending: Future[None] | None = None
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="disk")

    def writable(self) -> bool:
        """Return True."""
        return True

    def tell(self) -> int:
        """Return the number of bytes given to `write` so far (int)."""
        return self._size

    def write(self, data: Any, /) -> int:
        """Append bytes; a buffer goes to the disk when it is full."""
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
        """Write the remaining bytes and close the file."""
        if self.closed:
            return
        try:
            self._wait()
            if self._filled and self._is_whole:
                # The rest need not be a multiple of the block size.
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


def _opened(path: Path) -> int:
    direct = getattr(os, "O_DIRECT", 0)
    if direct:
        # Some file systems, such as those in memory, refuse.
        with contextlib.suppress(OSError):
            return os.open(path, os.O_WRONLY | direct)
    return os.open(path, os.O_WRONLY)


def _write_all(descriptor: int, view: memoryview) -> None:
    while len(view):
        try:
            written = os.write(descriptor, view)
        except OSError as error:
            # A file size limit or a disk that is nearly full has ended a write inside a block.
            # Writing through the cache goes on from there, or raises the actual error.
            if error.errno != errno.EINVAL or not _leave_direct(descriptor):
                raise
            continue
        view = view[written:]


def _leave_direct(descriptor: int) -> bool:
    """Switch to writing through the cache; False if that was the way already."""
    direct = getattr(os, "O_DIRECT", 0)
    if not direct:
        return False
    flags = fcntl.fcntl(descriptor, fcntl.F_GETFL)
    fcntl.fcntl(descriptor, fcntl.F_SETFL, flags & ~direct)
    return bool(flags & direct)
