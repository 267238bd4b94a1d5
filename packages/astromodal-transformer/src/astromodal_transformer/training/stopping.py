"""The wish of the user, or of a scheduler, to end a run."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

__all__ = ["Stopping", "listening"]

# Ctrl-C, and what a scheduler sends.
_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Stopping:
    """Remembers a signal until the step is done; a second one stops at once.

    Attributes
    ----------
    wanted : bool
    """

    def __init__(self) -> None:
        self.wanted = False

    def listen(self) -> None:
        """Take the signals over, also from Lightning, which would end without a checkpoint."""
        for number in _SIGNALS:
            signal.signal(number, self._heard)

    def _heard(self, _signal: int, _frame: FrameType | None) -> None:
        if self.wanted:
            raise KeyboardInterrupt
        self.wanted = True


@contextmanager
def listening() -> Iterator[Stopping]:
    """Turn signals into a wish to stop after the step; afterwards they are what they were."""
    before = {number: signal.getsignal(number) for number in _SIGNALS}
    stopping = Stopping()
    stopping.listen()
    try:
        yield stopping
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
