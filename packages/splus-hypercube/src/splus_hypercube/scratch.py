"""Temporary files of a field, and what else must be released however its build ends."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import IO, Any

from astro_common.atomic import output_error

__all__ = ["Scratch", "write_all"]


def write_all(file: int, content: Any) -> None:
    """Write all of some bytes to a file descriptor; a single `os.write` may write only a part."""
    data = memoryview(content).cast("B")
    while len(data):
        data = data[os.write(file, data) :]


class Scratch:
    """Temporary files in one folder, closed together; a context manager.

    The files have no name: the system removes them when the process ends, even if it is killed.

    Parameters
    ----------
    folder : Path
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._stack = ExitStack()

    def __enter__(self) -> Scratch:
        return self

    def open(self) -> IO[bytes]:
        """Make a temporary file, open for reading and writing.

        Raises
        ------
        OutputError
            If the folder cannot be written to.
        """
        try:
            return self._stack.enter_context(tempfile.TemporaryFile(dir=self.folder, buffering=0))
        except OSError as error:
            raise output_error(self.folder, error) from error

    def on_close(self, function: Callable[[], None]) -> None:
        """Call a function when the context ends."""
        self._stack.callback(function)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.close()
