"""The bytes of a FITS file, stored plain or inside a gzip stream.

gzip is recognised by the first bytes, never by the name. The stream is decompressed into an
unlinked temporary file, and only as far as the reader asks with `Content.reserve`: the structure
of the FITS file, which is checked first, decides how far that is.
"""

from __future__ import annotations

import contextlib
import os
import stat
import tempfile
import zlib
from pathlib import Path
from typing import IO

from astro_common.errors import InputError, OutputError

__all__ = ["DEFLATE_RATIO", "Content", "open_content"]

# A deflate stream codes at most 258 bytes in two bits, 1032:1 (zlib's technical notes). The slack
# covers the header of a stream that holds almost nothing.
DEFLATE_RATIO = 1032
_DEFLATE_SLACK = 4096

# The most that a gzip stream of any size may fill on disk: several times the largest table that a
# survey releases as one gzip file.
MAX_INFLATED_BYTES = 64 << 30

_COMPRESSED_BYTES_PER_READ = 256 << 10
_INFLATED_BYTES_PER_STEP = 1 << 20

_GZIP_MAGIC = b"\x1f\x8b"
_OTHER_COMPRESSIONS = {
    b"BZh": "bzip2",
    b"\xfd7zXZ\x00": "xz",
    b"(\xb5/\xfd": "zstd",
    b"PK\x03\x04": "zip",
    b"\x1f\x9d": "compress (.Z)",
}


class Content:
    """Random access to the bytes of a plain file.

    Parameters
    ----------
    path : Path
        The file as the user named it; every error names it.
    file : binary file
        Opened for reading; closed by `close`.
    """

    def __init__(self, path: Path, file: IO[bytes]) -> None:
        self.path = path
        self._file = file

    @property
    def _descriptor(self) -> int:
        # Not kept: once the file is closed, this raises ValueError, while the number itself may
        # already belong to another file.
        return self._file.fileno()

    @property
    def upper_bound(self) -> int:
        """No byte lies at or beyond this offset (int)."""
        return os.fstat(self._descriptor).st_size

    def reserve(self, end: int) -> int:
        """Make the bytes before `end` readable, as far as the file has them.

        Returns
        -------
        int
            How many bytes from the start of the file are readable: fewer than `end` only if the
            file ends there.
        """
        return os.fstat(self._descriptor).st_size

    def read_at(self, offset: int, size: int) -> bytearray:
        """Read `size` bytes from `offset`; a shorter file is an `InputError`."""
        buffer = bytearray(size)
        self.read_into(offset, memoryview(buffer))
        return buffer

    def read_into(self, offset: int, buffer: memoryview) -> None:
        """Fill `buffer`, a writable view of bytes, from `offset`."""
        filled = 0
        while filled < len(buffer):
            try:
                count = os.preadv(self._descriptor, [buffer[filled:]], offset + filled)
            except OSError as error:
                raise InputError(self.path, f"cannot be read ({error.strerror})") from error
            if count == 0:
                raise InputError(
                    self.path,
                    f"the file ends at byte {offset + filled}",
                    f"at least {offset + len(buffer)} bytes",
                    "it is cut short, or was changed while it was read",
                )
            filled += count

    def close(self) -> None:
        """Close the file."""
        self._file.close()


class GzipContent(Content):
    """Random access to the bytes inside a gzip stream of one or more members."""

    def __init__(self, path: Path, compressed: IO[bytes], inflated: IO[bytes]) -> None:
        super().__init__(path, inflated)
        self._compressed = compressed
        compressed_size = os.fstat(compressed.fileno()).st_size
        self._upper_bound = min(
            compressed_size * DEFLATE_RATIO + _DEFLATE_SLACK, MAX_INFLATED_BYTES
        )
        self._member = zlib.decompressobj(wbits=31)
        self._pending = b""
        self._size = 0
        self._ended = False

    @property
    def upper_bound(self) -> int:
        """No byte lies at or beyond this offset (int)."""
        return self._size if self._ended else self._upper_bound

    def reserve(self, end: int) -> int:
        """Decompress up to `end`, or to the end of the stream if that comes first."""
        while self._size < end and not self._ended:
            if self._size > self._upper_bound:
                raise InputError(
                    self.path,
                    f"the gzip stream holds more than {self._upper_bound} bytes",
                    "a FITS file of plausible size",
                )
            self._inflate_step()
        return self._size

    def _inflate_step(self) -> None:
        if self._member.eof:
            self._start_next_member()
            return
        if not self._pending:
            self._pending = self._read_compressed()
            if not self._pending:
                raise InputError(
                    self.path,
                    f"the gzip stream is cut short after {self._size} bytes of content",
                    "a complete gzip stream",
                    "fetch the file again",
                )
        try:
            data = self._member.decompress(self._pending, _INFLATED_BYTES_PER_STEP)
        except zlib.error as error:
            raise InputError(
                self.path,
                f"the gzip stream is damaged after {self._size} bytes of content ({error})",
                "an intact gzip stream",
                "fetch the file again",
            ) from error
        # Only one of the two is not empty: input that is still to be used, or what follows the
        # stream.
        self._pending = self._member.unconsumed_tail or self._member.unused_data
        self._store(data)

    def _start_next_member(self) -> None:
        # gzip allows members one after the other, and zeros after the last (tape blocks).
        self._pending = self._pending.lstrip(b"\x00")
        while len(self._pending) < len(_GZIP_MAGIC):
            more = self._read_compressed()
            if not more:
                break
            self._pending = (self._pending + more).lstrip(b"\x00")
        if not self._pending:
            self._ended = True
        elif self._pending.startswith(_GZIP_MAGIC):
            self._member = zlib.decompressobj(wbits=31)
        else:
            raise InputError(
                self.path,
                "bytes that are not gzip follow the gzip stream",
                "nothing after the stream",
                "fetch the file again",
            )

    def _read_compressed(self) -> bytes:
        try:
            return self._compressed.read(_COMPRESSED_BYTES_PER_READ)
        except OSError as error:
            raise InputError(self.path, f"cannot be read ({error.strerror})") from error

    def _store(self, data: bytes) -> None:
        try:
            self._file.seek(self._size)
            self._file.write(data)
            self._file.flush()
        except OSError as error:
            raise _no_room(self.path, error) from error
        self._size += len(data)

    def close(self) -> None:
        """Close the compressed file and drop the temporary one."""
        self._compressed.close()
        super().close()


def open_content(path: Path) -> Content:
    """Open a file for random access, decompressing it when it is a gzip stream.

    Raises
    ------
    InputError
        The file is missing, unreadable, empty, not a regular file, or compressed otherwise.
    """
    with contextlib.ExitStack() as stack:
        try:
            if not stat.S_ISREG(path.stat().st_mode):
                # Opening a pipe would wait for a writer.
                raise InputError(path, "not a regular file", "a FITS file")
            file = stack.enter_context(path.open("rb"))
            head = file.read(8)
            file.seek(0)
        except FileNotFoundError as error:
            raise InputError(path, "no such file") from error
        except (OSError, ValueError) as error:
            raise InputError(path, f"cannot be read ({error})") from error
        if not head:
            raise InputError(path, "an empty file", "a FITS file")
        for magic, name in _OTHER_COMPRESSIONS.items():
            if head.startswith(magic):
                raise InputError(
                    path, f"a file compressed with {name}", "FITS or gzip", "decompress it first"
                )
        content = (
            GzipContent(path, file, stack.enter_context(_temporary_file(path)))
            if head.startswith(_GZIP_MAGIC)
            else Content(path, file)
        )
        stack.pop_all()
        return content


def _temporary_file(path: Path) -> IO[bytes]:
    try:
        return tempfile.TemporaryFile()
    except OSError as error:
        raise _no_room(path, error) from error


def _no_room(path: Path, error: OSError) -> OutputError:
    return OutputError(
        tempfile.gettempdir(),
        f"cannot hold the decompressed {path} ({error.strerror})",
        "free space for its content",
        "set TMPDIR to a folder on a larger disk",
    )
