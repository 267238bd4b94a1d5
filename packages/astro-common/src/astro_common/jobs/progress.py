"""The progress of a run: a bar on a terminal, otherwise a log line now and then."""

from __future__ import annotations

import logging
import sys
import time
from contextlib import ExitStack
from types import TracebackType
from typing import Any

__all__ = ["Progress"]

logger = logging.getLogger(__name__)

LINE_EVERY_S = 30.0


class Progress:
    """Counts units that have ended, and shows the count on stderr.

    Parameters
    ----------
    total : int
        Number of units.
    describe : str
        What one unit is called.
    enabled : bool
        If False, nothing is shown; nor if INFO is below the level of this module's logger.
    """

    def __init__(self, total: int, describe: str, enabled: bool) -> None:
        self._total = total
        self._describe = describe
        self._enabled = enabled and total > 1 and logger.isEnabledFor(logging.INFO)
        self._ended = self._failed = self._worked = 0
        self._start = self._said = time.monotonic()
        self._bar: Any = None
        self._stack = ExitStack()

    def __enter__(self) -> Progress:
        if self._enabled and sys.stderr.isatty():
            from tqdm import tqdm
            from tqdm.contrib.logging import logging_redirect_tqdm

            self._stack.enter_context(logging_redirect_tqdm())
            self._bar = self._stack.enter_context(
                tqdm(total=self._total, unit=self._describe, file=sys.stderr, dynamic_ncols=True)
            )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.close()

    def ended(self, *, failed: bool = False, skipped: bool = False) -> None:
        """Count a unit."""
        self._ended += 1
        self._failed += failed
        self._worked += not skipped
        if self._bar is not None:
            if self._failed:
                self._bar.set_postfix_str(f"{self._failed} failed", refresh=False)
            self._bar.update()
        elif self._enabled and time.monotonic() - self._said >= LINE_EVERY_S:
            self._said = time.monotonic()
            logger.info("%s", self._line())

    def _line(self) -> str:
        line = f"{self._ended} of {self._total} {self._describe} units ended"
        if self._failed:
            line += f", {self._failed} failed"
        if self._worked:
            pace = (self._said - self._start) / self._worked
            minutes = pace * (self._total - self._ended) / 60
            line += f", about {minutes:.0f} min to go"
        return line
