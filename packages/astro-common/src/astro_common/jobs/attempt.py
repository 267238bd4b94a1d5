"""One unit run once, and what came of it, in a form that travels between processes."""

from __future__ import annotations

import logging
import os
import threading
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from logging.handlers import QueueHandler
from queue import SimpleQueue
from typing import Any

from astro_common.errors import AstroError

__all__ = ["Attempt", "Failure", "attempt", "attempt_with_log", "failed", "replay"]


@dataclass(frozen=True)
class Failure:
    """A unit that failed.

    Attributes
    ----------
    unit : str
        Its name.
    file : str or None
        The file, key or column at fault, where the error names one.
    reason : str
        What was wrong, in one line.
    """

    unit: str
    file: str | None
    reason: str


@dataclass(frozen=True)
class Attempt:
    """What came of running a unit.

    Attributes
    ----------
    value : object
        What the function returned; None if it failed.
    reason : str or None
        Why it failed, in one line; None if it did not.
    file : str or None
        The file at fault, where the error names one.
    traceback : str
        Where it failed, for the log.
    """

    value: Any = None
    reason: str | None = None
    file: str | None = None
    traceback: str = ""


def failed(error: BaseException) -> Attempt:
    """Describe an exception that ended a unit.

    An `AstroError` explains itself. Of any other exception the class is named too: it is a fault
    that nobody foresaw.
    """
    trace = "".join(traceback.format_exception(error))
    if isinstance(error, AstroError):
        return Attempt(reason=error.reason, file=error.source, traceback=trace)
    text = " ".join(f"{type(error).__name__}: {error}".split())
    name = error.filename if isinstance(error, OSError) else None
    return Attempt(reason=text, file=None if name is None else str(name), traceback=trace)


def attempt(function: Callable[[Any], Any], argument: Any) -> Attempt:
    """Run a unit; only an interruption passes through."""
    try:
        return Attempt(value=function(argument))
    except (Exception, SystemExit) as error:  # noqa: BLE001 - reported as the unit's failure
        return failed(error)


def attempt_with_log(
    function: Callable[[Any], Any], argument: Any
) -> tuple[Attempt, list[logging.LogRecord]]:
    """Run a unit and collect what it logs, where no connection carries messages as they come.

    Parameters
    ----------
    function, argument
        As for `attempt`.

    Returns
    -------
    Attempt
        What came of it.
    list of logging.LogRecord
        The messages of the thread that ran it, as far as the loggers of this process let them
        through, ready to be sent and replayed.
    """
    queue: SimpleQueue[logging.LogRecord] = SimpleQueue()
    handler = QueueHandler(queue)
    thread = threading.get_ident()
    # Several units run in one process side by side, each in a thread of its own.
    handler.addFilter(lambda record: record.thread == thread)
    root = logging.getLogger()
    root.addHandler(handler)
    try:
        result = attempt(function, argument)
    finally:
        root.removeHandler(handler)
    return result, [queue.get() for _ in range(queue.qsize())]


def replay(record: logging.LogRecord) -> None:
    """Show a message that another process sent, as if it had been logged here."""
    if record.process == os.getpid():
        return  # a cluster within this process; the message has been shown
    logger = logging.getLogger(record.name)
    if logger.isEnabledFor(record.levelno):
        logger.handle(record)
