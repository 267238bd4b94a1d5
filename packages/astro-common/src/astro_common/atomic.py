"""Files that appear whole or not at all.

A file is written in its folder under a temporary name that no search for finished files matches,
flushed to the disk and renamed. A run that is killed leaves at most such a ``.partial`` file, and
the next run that writes the same file removes it.
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from astro_common.errors import OutputError

__all__ = ["atomic_path", "output_error", "remove_partials"]

_PARTIAL = re.compile(r"\.(?P<name>.+)\.[0-9a-f]{8}\.partial", re.DOTALL)

# The longest file name on common file systems, in bytes, and what a partial adds to a name.
_MAX_NAME_BYTES = 255
_ADDED_BYTES = len("..01234567.partial")

# Errors that mean that the output does not fit, whichever call raised them.
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})

_ACTIONS = {
    errno.ENOSPC: "free disk space there or write elsewhere",
    errno.EDQUOT: "free some of your quota or write elsewhere",
    errno.EFBIG: "write to a file system, or under a limit, that allows larger files",
    errno.EACCES: "write elsewhere or change the permissions",
    errno.EPERM: "write elsewhere or change the permissions",
    errno.EROFS: "write elsewhere",
    errno.ENOENT: "create the folder or write elsewhere",
}


def output_error(path: Path, error: OSError) -> OutputError:
    """Build the error that says in one line why a file could not be written.

    Parameters
    ----------
    path : Path
        The output, under its final name.
    error : OSError
        The error of the system.

    Returns
    -------
    OutputError
        To be raised from ``error``.
    """
    code = error.errno
    found = os.strerror(code) if code is not None else str(error)
    action = _ACTIONS.get(code, "") if code is not None else ""
    return OutputError(path, f"cannot be written ({found})", action=action)


@contextmanager
def atomic_path(path: str | os.PathLike[str], *, overwrite: bool = False) -> Iterator[Path]:
    """Write a file under a temporary name and rename it once it is complete.

    Parameters
    ----------
    path : path-like
        The final name of the file, in a folder that exists.
    overwrite : bool, optional
        Replace an existing file.

    Yields
    ------
    Path
        An empty file ``.<name>.<random>.partial`` in the same folder, to be written. It is removed
        if the block raises. Partial files of this name that killed runs left are removed first.

    Raises
    ------
    OutputError
        If the file exists and may not be replaced, or cannot be written (disk full, quota, no
        permission, read-only or missing folder). Other errors of the block pass unchanged.
    """
    path = Path(path)
    _check_free(path, overwrite)
    # A leftover that cannot be removed does not keep the file from being written.
    with suppress(OutputError):
        remove_partials(path.parent, path.name)
    descriptor, partial = _new_partial(path)
    try:
        yield partial
        os.fsync(descriptor)
        _put_in_place(partial, path, overwrite)
    except BaseException as error:
        partial.unlink(missing_ok=True)
        if isinstance(error, OSError) and _concerns(error, partial):
            raise output_error(path, error) from error
        raise
    finally:
        os.close(descriptor)


def remove_partials(folder: str | os.PathLike[str], name: str | None = None) -> list[Path]:
    """Remove the partial files that killed runs left behind.

    Parameters
    ----------
    folder : path-like
        The folder of the outputs; it need not exist.
    name : str, optional
        Name of the output whose partial files are removed; by default those of all outputs.

    Returns
    -------
    list of Path
        The files that were removed. A file that a running process is writing is kept.

    Raises
    ------
    OutputError
        If a file cannot be removed.
    """
    removed = []
    wanted = None if name is None else _shortened(name)
    try:
        leftovers = sorted(Path(folder).glob(".*.partial"))
        for leftover in leftovers:
            match = _PARTIAL.fullmatch(leftover.name)
            if match is None or (wanted is not None and match["name"] != wanted):
                continue
            if _removed(leftover):
                removed.append(leftover)
    except OSError as error:
        raise output_error(Path(error.filename or folder), error) from error
    return removed


def _check_free(path: Path, overwrite: bool) -> None:
    if path.is_dir():
        raise OutputError(path, "a folder", "the name of a file to write")
    if not overwrite and os.path.lexists(path):
        raise OutputError(path, "the file exists", action="give --overwrite to replace it")


def _shortened(name: str) -> str:
    room = _MAX_NAME_BYTES - _ADDED_BYTES
    return os.fsdecode(os.fsencode(name)[:room])


def _partial_name(path: Path) -> Path:
    return path.with_name(f".{_shortened(path.name)}.{secrets.token_hex(4)}.partial")


def _new_partial(path: Path) -> tuple[int, Path]:
    while True:
        partial = _partial_name(path)
        try:
            descriptor = os.open(partial, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666)
        except OSError as error:
            raise output_error(path, error) from error
        # The lock shows other runs that the file is being written, and ends with this process.
        # Some network file systems have no locks.
        ours = True
        with suppress(OSError):
            ours = _locked(descriptor)
        if ours and os.fstat(descriptor).st_nlink:
            return descriptor, partial
        # Before it was locked, another run took it for a leftover.
        os.close(descriptor)
        partial.unlink(missing_ok=True)


def _removed(leftover: Path) -> bool:
    """Remove a partial file unless a running process is writing it; True if it was removed."""
    try:
        descriptor = os.open(leftover, os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        # Removed under the lock: a writer that gets the lock later sees that the file is gone, and
        # makes a new one. On a file system without locks, every partial counts as a leftover.
        with suppress(OSError):
            if not _locked(descriptor):
                return False
        leftover.unlink(missing_ok=True)
    finally:
        os.close(descriptor)
    return True


def _locked(descriptor: int) -> bool:
    """Lock an open file; False if another process has locked it."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _put_in_place(partial: Path, path: Path, overwrite: bool) -> None:
    if overwrite:
        partial.replace(path)
    else:
        try:
            # Unlike a rename, a link never replaces a file that another run has just written.
            path.hardlink_to(partial)
        except FileExistsError:
            _check_free(path, overwrite)
        except OSError:  # no hard links on this file system
            _check_free(path, overwrite)
            partial.replace(path)
        else:
            partial.unlink()
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    # The new name is on the disk only when the folder is. Not every file system can sync a folder.
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _concerns(error: OSError, partial: Path) -> bool:
    names = [os.fsdecode(name) for name in (error.filename, error.filename2) if name is not None]
    return error.errno in _FULL or str(partial) in names
