"""The wish of the user, or of a scheduler, to end a run."""

from __future__ import annotations

import signal
from types import FrameType

__all__ = ["SIGNALS", "Stopping"]

SIGNALS = (signal.SIGINT, signal.SIGTERM)
"""Ctrl-C, and what a scheduler sends."""


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
        for number in SIGNALS:
            signal.signal(number, self._heard)

    def _heard(self, _signal: int, _frame: FrameType | None) -> None:
        if self.wanted:
            raise KeyboardInterrupt
        self.wanted = True
