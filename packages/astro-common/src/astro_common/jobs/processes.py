"""Units in local processes, one unit at a time in each.

A process pool of the standard library breaks as a whole when one of its processes dies. Here a
process that dies (killed, out of memory, a crash in compiled code) takes only its own unit with it
and is replaced.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager, suppress
from logging.handlers import QueueHandler
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnContext
from types import FrameType
from typing import Any, NoReturn

from astro_common.jobs.attempt import Attempt, attempt, failed, replay

__all__ = ["run_in_processes"]

# The time that an interrupted process has to remove its temporary files.
GRACE_S = 5.0

# The longest time between two looks at the units: Python handles a signal that arrives just before
# it begins to wait only when the wait is over.
SIGNAL_DELAY_S = 1.0

# Numerical libraries read these when they are loaded to decide how many threads they use; Arrow
# reads the first one as well.
_THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "NUMEXPR_NUM_THREADS",
)


def run_in_processes(
    function: Callable[[Any], Any], units: Iterator[tuple[str, Any]], workers: int
) -> Generator[tuple[str, Attempt], None, None]:
    """Run units in processes, as many at a time as there are workers.

    Parameters
    ----------
    function : callable
        Takes a unit's argument. It is defined at the top of a module; its arguments and results are
        picklable.
    units : iterator of (str, object)
        Name and argument of each unit; the next one is taken when a process is free.
    workers : int
        Number of processes.

    Yields
    ------
    name : str
        A unit that has ended.
    attempt : Attempt
        Its outcome.
    """
    pool = _Pool(function, workers)
    try:
        yield from pool.run(units)
    except BaseException:
        pool.interrupt()
        raise
    finally:
        pool.stop()


class _Worker:
    """A process and the unit that it works on."""

    def __init__(self, context: SpawnContext, function: Callable[[Any], Any], threads: int) -> None:
        self.unit: str | None = None
        self.connection, theirs = context.Pipe()
        # A daemon, which the standard library ends if this program ends without doing so.
        self.process = context.Process(
            target=_serve, args=(theirs, function, _logger_levels()), daemon=True
        )
        try:
            with _surroundings(threads):
                self.process.start()
        finally:
            theirs.close()

    def send(self, unit: str, argument: Any) -> None:
        self.connection.send(argument)
        self.unit = unit

    def receive(self) -> Attempt | None:
        """Return the outcome of the unit once it has ended, and show messages as they come."""
        # Asked first: what a process sent before it died can still be read.
        alive = self.process.is_alive()
        while self.connection.poll():
            try:
                message = self.connection.recv()
            except (EOFError, OSError):
                return self.death()
            except Exception as error:  # noqa: BLE001 - what came cannot be rebuilt here
                # It may not have been the result, so the process may still be at work.
                self.process.terminate()
                self.death()
                return failed(error)
            if isinstance(message, Attempt):
                return message
            replay(message)
        return None if alive else self.death()

    def death(self) -> Attempt:
        """Wait for the process to end, and describe its end as the failure of its unit."""
        self.process.join(GRACE_S)
        if self.process.is_alive():  # it has closed its connection but does not end
            self.process.kill()
            self.process.join()
        code = self.process.exitcode or 0
        if code >= 0:
            return Attempt(reason=f"its worker process ended with exit status {code}")
        name = signal.Signals(-code).name if -code in set(signal.Signals) else f"signal {-code}"
        hint = " (out of memory?)" if -code == signal.SIGKILL else ""
        return Attempt(reason=f"its worker process was killed by {name}{hint}")


class _Pool:
    def __init__(self, function: Callable[[Any], Any], workers: int) -> None:
        self._context = multiprocessing.get_context("spawn")
        self._function = function
        self._size = workers
        self._threads = max(1, _usable_cpus() // workers)
        self._idle: list[_Worker] = []
        self._busy: list[_Worker] = []

    def run(self, units: Iterator[tuple[str, Any]]) -> Iterator[tuple[str, Attempt]]:
        while True:
            while len(self._busy) < self._size and (unit := next(units, None)) is not None:
                refusal = self._assign(*unit)
                if refusal is not None:
                    yield unit[0], refusal
            if not self._busy:
                return
            yield from self._ended()

    def _assign(self, name: str, argument: Any) -> Attempt | None:
        while True:
            fresh = not self._idle
            worker = self._started() if fresh else self._idle.pop()
            self._busy.append(worker)
            try:
                worker.send(name, argument)
            except ConnectionError:
                self._busy.remove(worker)
                reason = worker.death()
                _end([worker])
                if fresh:
                    return reason
                # It had died while idle, which is not the fault of this unit.
            except Exception as error:  # noqa: BLE001 - the argument cannot be sent
                self._busy.remove(worker)
                self._idle.append(worker)
                return failed(error)
            else:
                return None

    def _started(self) -> _Worker:
        return _Worker(self._context, self._function, self._threads)

    def _ended(self) -> Iterator[tuple[str, Attempt]]:
        signs: list[Any] = [worker.connection for worker in self._busy]
        wait([*signs, *(worker.process.sentinel for worker in self._busy)], SIGNAL_DELAY_S)
        for worker in list(self._busy):
            result = worker.receive()
            if result is None:
                continue
            name, worker.unit = worker.unit, None
            self._busy.remove(worker)
            if worker.process.is_alive():
                self._idle.append(worker)
            else:
                _end([worker])
            if name is not None:
                yield name, result

    def interrupt(self) -> None:
        for worker in self._busy:
            worker.process.terminate()

    def stop(self) -> None:
        workers = self._idle + self._busy
        self._idle, self._busy = [], []
        _end(workers)


def _end(workers: Sequence[_Worker]) -> None:
    # A process without a unit ends when its connection does.
    for worker in workers:
        worker.connection.close()
    try:
        deadline = time.monotonic() + GRACE_S
        for worker in workers:
            worker.process.join(max(0.0, deadline - time.monotonic()))
    finally:
        for worker in workers:
            if worker.process.is_alive():
                worker.process.kill()
            worker.process.join()
            # If the program ignores SIGCHLD, the library never learns that the process has ended.
            with suppress(ValueError):
                worker.process.close()


@contextmanager
def _surroundings(threads: int) -> Iterator[None]:
    """Set what a new process inherits: its share of the processors, and SIGINT blocked."""
    added = [name for name in _THREAD_VARIABLES if name not in os.environ]
    os.environ.update(dict.fromkeys(added, str(threads)))
    # A terminal sends Ctrl-C to all processes of the program; only this one reacts to it.
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
        for name in added:
            del os.environ[name]


def _logger_levels() -> dict[str, int]:
    """Return the level of the root logger (key ``""``) and of every logger whose level is set.

    Loggers of a special class, such as astropy's, are left out: the library makes them when it is
    imported, and fails if there is an ordinary one of that name.
    """
    levels = {"": logging.getLogger().level}
    for name, logger in logging.getLogger().manager.loggerDict.items():
        if type(logger) is logging.Logger and logger.level != logging.NOTSET:
            levels[name] = logger.level
    return levels


def _usable_cpus() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _serve(connection: Connection, function: Callable[[Any], Any], levels: dict[str, int]) -> None:
    """Work on units until the connection is closed: the main function of a process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _interrupt)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    try:
        threading.Thread(target=_follow_parent, daemon=True).start()
        channel = _LogChannel(connection)
        logging.basicConfig(level=levels[""], handlers=[channel], force=True)
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)
        while True:
            try:
                argument = connection.recv()
            except EOFError:
                return
            except Exception as error:  # noqa: BLE001 - the argument cannot be rebuilt here
                result = failed(error)
            else:
                result = attempt(function, argument)
            channel.put(result)
    except (KeyboardInterrupt, ConnectionError):
        return


class _LogChannel(QueueHandler):
    """Sends messages to the parent; its lock keeps messages and results apart."""

    def __init__(self, connection: Connection) -> None:
        super().__init__(queue=None)  # type: ignore[arg-type]
        self._connection = connection
        # The format of the parent adds the rest.
        self.setFormatter(logging.Formatter("%(message)s"))

    def enqueue(self, record: logging.LogRecord) -> None:
        self._connection.send(record)

    def put(self, result: Attempt) -> None:
        with self.lock:  # type: ignore[union-attr]
            try:
                self._connection.send(result)
            except ConnectionError:
                raise
            except Exception as error:  # noqa: BLE001 - reported as the unit's failure
                self._connection.send(failed(error))


def _interrupt(_signal: int, _frame: FrameType | None) -> NoReturn:
    # A second signal would disturb the removal of temporary files.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise KeyboardInterrupt


def _follow_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        # Nothing is left that could take the result, or stop this process later.
        os._exit(1)
