"""Files that appear whole or not at all.

A file is written beside its place under a name that no search for finished files matches, flushed
to the disk and renamed. A run that is killed leaves at most such a ``.partial`` file, which the
next run that writes the same file removes.
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

# Longest file name of the usual file systems, in bytes, and what a partial adds to a name.
_MAX_NAME_BYTES = 255
_ADDED_BYTES = len("..01234567.partial")

# Errors that mean "the output does not fit", whichever call met them.
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
    """Say in one line why the system refused to write a file.

    Parameters
    ----------
    path : Path
        The output as the user knows it.
    error : OSError
        What the system said.

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
        Where the file shall be. Its folder exists.
    overwrite : bool, optional
        Replace a file that is there already.

    Yields
    ------
    Path
        An empty file ``.<name>.<random>.partial`` in the same folder, to be written. It is removed
        if the block raises. What killed runs left of the same file is removed before.

    Raises
    ------
    OutputError
        If the file exists and may not be replaced, or cannot be written (disk full, quota, no
        permission, read-only or missing folder). Other errors of the block pass unchanged.
    """
    path = Path(path)
    _check_free(path, overwrite)
    # A leftover that belongs to somebody else is no reason not to write.
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
    """Remove what killed runs left behind.

    Parameters
    ----------
    folder : path-like
        Where the outputs lie. A folder that does not exist holds no leftovers.
    name : str, optional
        Name of the output whose leftovers are removed; of all outputs by default.

    Returns
    -------
    list of Path
        The files that were removed. A file that a running process still writes stays.

    Raises
    ------
    OutputError
        If a leftover cannot be removed.
    """
    removed = []
    wanted = None if name is None else _shortened(name)
    try:
        leftovers = sorted(Path(folder).glob(".*.partial"))
        for leftover in leftovers:
            match = _PARTIAL.fullmatch(leftover.name)
            if match is None or (wanted is not None and match["name"] != wanted):
                continue
            if _is_being_written(leftover):
                continue
            leftover.unlink(missing_ok=True)
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
        # Marks the file as being written, so that `remove_partials` of another run leaves it
        # alone. The lock goes with the process. Some network file systems have none.
        with suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.fstat(descriptor).st_nlink:
            return descriptor, partial
        # Another run took it for a leftover in the moment before it was locked.
        os.close(descriptor)


def _is_being_written(partial: Path) -> bool:
    try:
        descriptor = os.open(partial, os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return False


def _put_in_place(partial: Path, path: Path, overwrite: bool) -> None:
    if overwrite:
        partial.replace(path)
    else:
        try:
            # Unlike a rename, a link never replaces a file that another run has put there.
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
    # The new name is on the disk only once the folder is; not every file system can say so.
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _concerns(error: OSError, partial: Path) -> bool:
    names = [os.fsdecode(name) for name in (error.filename, error.filename2) if name is not None]
    return error.errno in _FULL or str(partial) in names
