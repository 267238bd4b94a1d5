"""Run independent units and record what became of them."""

from __future__ import annotations

import logging
import os
import signal
import threading
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from types import FrameType
from typing import Any, NoReturn

from astro_common.errors import AstroError, ConfigurationError
from astro_common.jobs.attempt import Attempt, Failure, attempt, failed
from astro_common.jobs.cluster import run_on_cluster
from astro_common.jobs.failures import FailureFile
from astro_common.jobs.processes import run_in_processes
from astro_common.jobs.progress import Progress

__all__ = ["Outcome", "run_units"]

logger = logging.getLogger(__name__)


@dataclass
class Outcome:
    """The outcome of a run.

    Attributes
    ----------
    done : list of str
        Units that ran and succeeded, in the order in which they finished.
    skipped : list of str
        Units that had been done before.
    failed : list of Failure
        Units that failed, each with its reason.
    """

    done: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    failed: list[Failure] = field(default_factory=list)


def run_units(
    function: Callable[[Any], Any],
    units: Mapping[str, Any],
    *,
    workers: int = 1,
    scheduler: str | None = None,
    failures: str | os.PathLike[str] | None = None,
    describe: str = "field",
    is_done: Callable[[str], bool] | None = None,
    on_done: Callable[[str, Any], None] | None = None,
    progress: bool = True,
) -> Outcome:
    """Run a function on each of many independent units.

    A unit that raises does not affect the others. With several workers, or on a cluster, a process
    that dies takes only its own unit with it.

    Parameters
    ----------
    function : callable
        Takes the argument of a unit. Unless the units run in this process, it must be defined at
        the top of a module, and its arguments and results must be picklable.
    units : mapping of str to object
        The argument of each unit by its name, in the order in which they start.
    workers : int, optional
        Number of local processes; with 1 the units run in this one. The processes share the
        processors: ``OMP_NUM_THREADS`` and similar variables are set accordingly, unless the
        environment sets them.
    scheduler : str, optional
        Address of a Dask scheduler, on whose cluster the units run instead.
    failures : path-like, optional
        File that lists the units that failed, such as ``failures.jsonl``; see `FailureFile`.
    describe : str, optional
        What a unit is: the key of its name in ``failures``.
    is_done : callable, optional
        Takes a unit's name; True if its output exists and is sound, so that the unit is skipped.
        It is called when the unit's turn comes.
    on_done : callable, optional
        Takes the name and the result of each unit that succeeds, in this process. An exception
        that it raises ends the run.
    progress : bool, optional
        Show progress on stderr.

    Returns
    -------
    Outcome
        The units that were done, skipped and failed.

    Raises
    ------
    ConfigurationError
        If the number of workers is not positive, both workers and a scheduler are asked for, or
        the scheduler does not answer.
    OutputError
        If the list of failures cannot be written.
    KeyboardInterrupt
        On Ctrl-C or SIGTERM, after the processes have been ended. Units that are running on a Dask
        cluster are cancelled; a thread there may still finish its unit.
    """
    if workers < 1:
        raise ConfigurationError("--workers", str(workers), "at least 1")
    if scheduler is not None and workers > 1:
        raise ConfigurationError("--workers", "a --scheduler too", "one of the two")
    account = _Account(len(units), failures, describe, on_done, progress)
    with _terminable(), account.progress:
        waiting = account.waiting(units, is_done)
        if scheduler is not None:
            results = run_on_cluster(function, waiting, scheduler)
        elif workers > 1:
            results = run_in_processes(function, waiting, min(workers, max(1, len(units))))
        else:
            results = _run_here(function, waiting)
        with closing(results):
            for name, result in results:
                account.enter(name, result)
    return account.outcome


class _Account:
    def __init__(
        self,
        total: int,
        failures: str | os.PathLike[str] | None,
        describe: str,
        on_done: Callable[[str, Any], None] | None,
        progress: bool,
    ) -> None:
        self.outcome = Outcome()
        self.progress = Progress(total, describe, progress)
        self._describe = describe
        self._failures = None if failures is None else FailureFile(failures, describe)
        self._on_done = on_done

    def waiting(
        self, units: Mapping[str, Any], is_done: Callable[[str], bool] | None
    ) -> Iterator[tuple[str, Any]]:
        for name, argument in units.items():
            try:
                skip = is_done is not None and is_done(name)
            except AstroError as error:
                self.enter(name, failed(error))
                continue
            if not skip:
                yield name, argument
                continue
            self.outcome.skipped.append(name)
            self._forget(name)
            self.progress.ended(skipped=True)

    def enter(self, name: str, result: Attempt) -> None:
        if result.reason is None:
            if self._on_done is not None:
                self._on_done(name, result.value)
            self.outcome.done.append(name)
            self._forget(name)
            self.progress.ended()
            return
        failure = Failure(name, result.file, result.reason)
        self.outcome.failed.append(failure)
        if self._failures is not None:
            self._failures.add(failure)
        where = "" if failure.file is None else f"{failure.file}: "
        logger.error("%s %s failed: %s%s", self._describe, name, where, failure.reason)
        if result.traceback:
            logger.debug("%s", result.traceback)
        self.progress.ended(failed=True)

    def _forget(self, name: str) -> None:
        if self._failures is not None:
            self._failures.discard(name)


def _run_here(
    function: Callable[[Any], Any], units: Iterator[tuple[str, Any]]
) -> Generator[tuple[str, Attempt], None, None]:
    for name, argument in units:
        yield name, attempt(function, argument)


@contextmanager
def _terminable() -> Iterator[None]:
    """Treat SIGTERM like Ctrl-C, unless the program handles it itself."""
    ours = (
        threading.current_thread() is threading.main_thread()
        and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    )
    if ours:
        signal.signal(signal.SIGTERM, _interrupt)
    try:
        yield
    finally:
        if ours:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _interrupt(_signal: int, _frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt
