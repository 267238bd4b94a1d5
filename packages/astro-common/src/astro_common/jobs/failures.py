"""``failures.jsonl``: one JSON object for each unit that failed and has not succeeded since."""

from __future__ import annotations

import fcntl
import json
import logging
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

from astro_common.atomic import atomic_path, output_error
from astro_common.errors import InputError
from astro_common.jobs.attempt import Failure

__all__ = ["FailureFile"]

logger = logging.getLogger(__name__)

_MAX_BYTES = 256 << 20


class FailureFile:
    """The failures of all runs so far, kept on disk.

    The file is replaced as a whole at every change, and exists only while there is a failure.
    Entries of units that a run does not touch are kept, also those that another run adds at the
    same time.

    Parameters
    ----------
    path : path-like
        Usually ``failures.jsonl`` beside the outputs.
    describe : str, optional
        The key under which an entry names its unit; not "file" or "reason".

    Raises
    ------
    InputError
        If the file exists but cannot be read.
    ValueError
        If `describe` is the key of another value.
    """

    def __init__(self, path: str | os.PathLike[str], describe: str = "field") -> None:
        if describe in ("file", "reason"):
            raise ValueError(f"an entry's {describe!r} is not the name of its unit")
        self.path = Path(path)
        self.describe = describe
        self._read()

    @property
    def units(self) -> list[str]:
        """Names of the units that failed, in the order in which they did (list of str)."""
        return list(self._read())

    def add(self, failure: Failure) -> None:
        """Add a failure, in place of an earlier one of the same unit.

        Raises
        ------
        OutputError
            If the file cannot be written.
        """
        with _locked(self.path.parent):
            entries = self._read()
            entries.pop(failure.unit, None)
            entries[failure.unit] = {
                self.describe: failure.unit,
                "file": failure.file,
                "reason": failure.reason,
            }
            self._write(entries)

    def discard(self, unit: str) -> None:
        """Remove the entry of a unit that has succeeded.

        Raises
        ------
        OutputError
            If the file cannot be written.
        """
        with _locked(self.path.parent):
            entries = self._read()
            if entries.pop(unit, None) is not None:
                self._write(entries)

    def _read(self) -> dict[str, dict[str, Any]]:
        try:
            if self.path.stat().st_size > _MAX_BYTES:
                raise InputError(
                    self.path, "more than 256 MiB", "a list of failures", "remove the file"
                )
            lines = self.path.read_text(encoding="utf-8", errors="replace").split("\n")
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise InputError(self.path, f"cannot be read ({error.strerror})") from error
        entries = {}
        for number, line in enumerate(lines, start=1):
            entry = _parsed(line)
            unit = entry.get(self.describe)
            if isinstance(unit, str):
                entries[unit] = entry
            elif line.strip():
                logger.warning("%s: line %d is not a failure; it is dropped", self.path, number)
        return entries

    def _write(self, entries: dict[str, dict[str, Any]]) -> None:
        if not entries:
            try:
                self.path.unlink(missing_ok=True)
            except OSError as error:
                raise output_error(self.path, error) from error
            return
        text = "".join(json.dumps(entry, ensure_ascii=False) + "\n" for entry in entries.values())
        with atomic_path(self.path, overwrite=True) as partial:
            # A file name need not be valid UTF-8, but this file is.
            partial.write_text(text, encoding="utf-8", errors="backslashreplace")


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Keep other runs with outputs in the same folder from changing the file meanwhile."""
    with ExitStack() as stack:
        # Some network file systems have no locks; there the last writer wins.
        with suppress(OSError):
            descriptor = os.open(folder, os.O_RDONLY)
            stack.callback(os.close, descriptor)
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield


def _parsed(line: str) -> dict[str, Any]:
    try:
        entry = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    return entry if isinstance(entry, dict) else {}
