"""The text of a table, plain or inside gzip, counted and limited while it is read."""

from __future__ import annotations

import contextlib
import gzip
import io
import os
import stat
import zlib
from pathlib import Path
from typing import IO, Any, Final

from astro_common.errors import InputError

__all__ = ["MAX_LINE_BYTES", "TableText"]

# Limit for a line of the header and for the line of column names.
MAX_LINE_BYTES: Final = 1 << 20

# gzip shrinks files of the Gaia archive to a third or a tenth; far more is a decompression bomb.
MAX_EXPANSION: Final = 400
_EXPANSION_SLACK_BYTES: Final = 64 << 20


class TableText(io.RawIOBase):
    """A text file, read from its start and decompressed on the way.

    Attributes
    ----------
    path : Path
        The file; every error names it.
    lines : int
        Number of lines that `read_line` has returned.
    quotes : int
        Number of quotation marks in what `read` has returned.

    Raises
    ------
    InputError
        From every method: the file is missing, unreadable, cut short, or a decompression bomb.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.lines = 0
        self.quotes = 0
        self._n_bytes = 0
        self._limit: int | None = None
        with contextlib.ExitStack() as stack:
            try:
                if not stat.S_ISREG(path.stat().st_mode):
                    # Opening a pipe would wait for a writer.
                    raise InputError(path, "not a regular file", "an ECSV or CSV file")
                raw = stack.enter_context(path.open("rb"))
                is_gzip = raw.read(2) == b"\x1f\x8b"
                raw.seek(0)
                size = os.fstat(raw.fileno()).st_size
            except FileNotFoundError as error:
                raise InputError(path, "no such file") from error
            except (OSError, ValueError) as error:
                raise InputError(path, f"cannot be read ({error})") from error
            self._file: IO[bytes] | gzip.GzipFile = raw
            if is_gzip:
                self._limit = size * MAX_EXPANSION + _EXPANSION_SLACK_BYTES
                self._file = stack.enter_context(gzip.GzipFile(fileobj=raw, mode="rb"))
            self._resources = stack.pop_all()
        self._buffered = io.BufferedReader(self, 256 << 10)

    def close(self) -> None:
        """Close the file."""
        self._resources.close()
        super().close()

    def readable(self) -> bool:
        """Return True."""
        return True

    def read_line(self) -> bytes:
        """Read the next line with its line end, at most `MAX_LINE_BYTES`; empty at the end."""
        line = self._buffered.readline(MAX_LINE_BYTES)
        self.lines += bool(line)
        return line

    def peek(self) -> bytes:
        """Return some of the next bytes without consuming them; empty at the end."""
        return self._buffered.peek(1)

    def read(self, size: int = -1) -> bytes:
        """Read up to `size` bytes."""
        data = self._buffered.read(size)
        self.quotes += data.count(b'"')
        return data

    def readinto(self, buffer: Any) -> int:
        """Decompress into `buffer`; called by the `io.BufferedReader` that wraps this object."""
        try:
            data = self._file.read(len(buffer))
        except (OSError, EOFError, zlib.error) as error:
            fault = "cannot be read" if self._limit is None else "the gzip stream is damaged"
            raise InputError(
                self.path, f"{fault} ({error})", "an intact file", "fetch it again"
            ) from error
        self._n_bytes += len(data)
        if self._limit is not None and self._n_bytes > self._limit:
            raise InputError(
                self.path,
                f"the gzip stream grows beyond {MAX_EXPANSION} times its size",
                "a table of plausible size",
            )
        buffer[: len(data)] = data
        return len(data)
