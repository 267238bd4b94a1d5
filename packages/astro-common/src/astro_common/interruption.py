"""Ctrl-C and SIGTERM that end a command even if the first exception is lost."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

__all__ = ["interruptible"]

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_PATIENCE_S = 5.0


@contextmanager
def interruptible() -> Iterator[None]:
    """Turn SIGINT and SIGTERM into `KeyboardInterrupt`, until one gets through.

    SIGTERM, as batch systems send it, must unwind like Ctrl-C to remove temporary files. Python can
    only ignore an exception that is raised in a finaliser or in a callback of compiled code, and
    some libraries pass over any that comes while they are imported. Therefore the signal is raised
    anew every few seconds, unless the exception is being handled. A handler of SIGINT other than
    Python's stays. To be entered in the main thread.
    """
    before = {number: signal.getsignal(number) for number in _SIGNALS}
    insistence = _Insistence()
    for number, handler in before.items():
        if number == signal.SIGTERM or handler is signal.default_int_handler:
            signal.signal(number, insistence.heard)
    try:
        yield
    finally:
        insistence.end()
        for number, handler in before.items():
            # None: it was set by compiled code, which Python cannot set again.
            signal.signal(number, signal.SIG_DFL if handler is None else handler)


class _Insistence:
    """Raises for a signal, and again as long as that comes to nothing."""

    def __init__(self) -> None:
        self._ended = threading.Event()
        self._sending = threading.Lock()
        self._is_anew = False
        self._thread: threading.Thread | None = None

    def heard(self, number: int, _frame: FrameType | None) -> None:
        anew, self._is_anew = self._is_anew, False
        if anew and _is_unwinding():
            return
        if self._thread is None:
            self._thread = threading.Thread(target=self._insist, args=(number,), daemon=True)
            self._thread.start()
        raise KeyboardInterrupt

    def _insist(self, number: int) -> None:
        while not self._ended.wait(_PATIENCE_S):
            with self._sending:
                if not self._ended.is_set():
                    self._is_anew = True
                    os.kill(os.getpid(), number)

    def end(self) -> None:
        """Send no more, lest a signal meet the handlers of before."""
        with self._sending:
            self._ended.set()


def _is_unwinding() -> bool:
    """Whether an interruption is being handled, as by code that removes temporary files."""
    error = sys.exc_info()[1]
    while error is not None and not isinstance(error, KeyboardInterrupt):
        error = error.__context__
    return error is not None
