"""Units for test_jobs.py, in a module that worker processes can import."""

from __future__ import annotations

import logging
import os
import signal
import sys
import time
from pathlib import Path

import pyarrow as pa

from astro_common.atomic import atomic_path
from astro_common.errors import InputError

logger = logging.getLogger("astro_common.test_units")

REBUILDS = True


class Stubborn:
    """A value that can be sent, and that a process where REBUILDS is false cannot receive."""

    def __reduce__(self):
        return rebuilt, ()


def rebuilt():
    if not REBUILDS:
        raise ValueError("cannot be rebuilt")
    return Stubborn()


def double(value):
    return 2 * value


def chosen(value):
    """Do what the argument says."""
    logger.warning("unit %s", value)
    if value == "bad file":
        raise InputError("a.fits", "no END", "a header")
    if value == "no file":
        raise FileNotFoundError(2, "No such file or directory", "b.fits")
    if value == "bug":
        raise ZeroDivisionError("two\nlines")
    if value == "exit":
        sys.exit(7)
    if value == "leave":
        os._exit(9)
    if value == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    if value == "crash":
        os.kill(os.getpid(), signal.SIGSEGV)
    if value == "unsendable":
        return lambda: None
    if value == "stubborn":
        return Stubborn()
    return value


def surroundings(_value):
    return os.getpid(), pa.cpu_count(), os.environ.get("OMP_NUM_THREADS")


def meet(arguments):
    """Wait until another unit is here too: only units side by side ever end."""
    folder, name, other = arguments
    (Path(folder) / name).touch()
    deadline = time.monotonic() + 120
    while not (Path(folder) / other).exists():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{other} never came")
        time.sleep(0.01)
    return os.getpid()


def write_slowly(path):
    """Announce its process, then write a file that is never finished."""
    with atomic_path(path) as partial:
        partial.write_bytes(b"half")
        Path(f"{path}.pid").write_text(str(os.getpid()))
        # In short steps: a signal in the moment before a sleep is handled only after it.
        for _ in range(6000):
            time.sleep(0.1)


def write_slowly_and_refuse_to_end(path):
    """Ignore the request to end, as compiled code does that never returns to Python."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    write_slowly(path)


def import_astropy(_value):
    """Import a library that wants to make its own logger."""
    import astropy

    return astropy.__version__
