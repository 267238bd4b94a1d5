"""Run one unit once, with an outcome that can be sent between processes."""

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
    """The outcome of running a unit once.

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

    An `AstroError` explains itself. Of any other exception the class is named too, since its
    message alone may not say enough.
    """
    trace = "".join(traceback.format_exception(error))
    if isinstance(error, AstroError):
        return Attempt(reason=error.reason, file=error.source, traceback=trace)
    text = " ".join(f"{type(error).__name__}: {error}".split())
    name = error.filename if isinstance(error, OSError) else None
    return Attempt(reason=text, file=None if name is None else str(name), traceback=trace)


def attempt(function: Callable[[Any], Any], argument: Any) -> Attempt:
    """Run a unit; of all exceptions, only an interruption is passed on."""
    try:
        return Attempt(value=function(argument))
    except (Exception, SystemExit) as error:  # noqa: BLE001 - reported as the unit's failure
        return failed(error)


def attempt_with_log(
    function: Callable[[Any], Any], argument: Any
) -> tuple[Attempt, list[logging.LogRecord]]:
    """Run a unit and collect its log messages, for workers that cannot send them as they come.

    Parameters
    ----------
    function : callable
        Takes the argument of the unit.
    argument : object
        The argument.

    Returns
    -------
    attempt : Attempt
        The outcome.
    records : list of logging.LogRecord
        The messages of the thread that ran the unit, as far as the loggers of this process pass
        them on, ready to be sent and replayed.
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
    """Handle a message that another process sent as if it had been logged here."""
    if record.process == os.getpid():
        return  # sent by a cluster within this process, which has handled it already
    logger = logging.getLogger(record.name)
    if logger.isEnabledFor(record.levelno):
        logger.handle(record)
