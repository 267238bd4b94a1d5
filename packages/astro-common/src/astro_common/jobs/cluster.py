"""Units on a Dask cluster, reached at the address of its scheduler."""

from __future__ import annotations

import gc
import importlib
import logging
import uuid
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from typing import Any

from astro_common.errors import AstroError, ConfigurationError
from astro_common.jobs.attempt import Attempt, failed, replay

__all__ = ["run_on_cluster"]

logger = logging.getLogger(__name__)

CONNECT_TIMEOUT_S = 15.0

# Units on the cluster per thread: enough that no thread waits between two units, few enough that
# thousands of units never wait in the scheduler at once.
_AHEAD = 2


def run_on_cluster(
    function: Callable[[Any], Any], units: Iterator[tuple[str, Any]], address: str
) -> Generator[tuple[str, Attempt], None, None]:
    """Run units on a Dask cluster.

    Parameters
    ----------
    function : callable
        Takes a unit's argument. The module that defines it is installed on the cluster.
    units : iterator of (str, object)
        Name and argument of each unit; the next one is taken when the cluster has room.
    address : str
        Address of the scheduler, such as ``tcp://host:8786``.

    Yields
    ------
    name : str
        A unit that has ended.
    attempt : Attempt
        Its outcome.

    Raises
    ------
    ConfigurationError
        If ``distributed`` is not installed, or no scheduler answers at the address.
    AstroError
        If the scheduler goes away while units run.
    """
    distributed = _import_distributed()
    with _quiet():
        client = _connect(distributed, address)
        try:
            yield from _run(distributed, client, function, units, address)
        finally:
            client.close()


@contextmanager
def _quiet() -> Iterator[None]:
    """Suppress the long messages with which the client itself reports a lost connection."""
    names = () if logger.isEnabledFor(logging.DEBUG) else ("distributed", "distributed.client")
    previous = {name: logging.getLogger(name).level for name in names}
    for name in previous:
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        for name, level in previous.items():
            logging.getLogger(name).setLevel(level)


def _import_distributed() -> Any:
    try:
        return importlib.import_module("distributed")
    except ImportError as error:
        raise ConfigurationError(
            "--scheduler",
            "the package distributed is not installed",
            action="install astro-common[dask]",
        ) from error


def _connect(distributed: Any, address: str) -> Any:
    try:
        return distributed.Client(address, timeout=CONNECT_TIMEOUT_S, set_as_default=False)
    except (OSError, ValueError, TypeError) as error:
        problem = str(error)
    # The client that could not connect closes itself when it is garbage-collected. That must happen
    # now: while another client starts, it would wait for a lock that the start holds.
    gc.collect()
    raise ConfigurationError(
        "--scheduler",
        f"no Dask scheduler answers at {address!r} ({problem})",
        "an address such as tcp://host:8786",
    )


def _run(
    distributed: Any,
    client: Any,
    function: Callable[[Any], Any],
    units: Iterator[tuple[str, Any]],
    address: str,
) -> Iterator[tuple[str, Attempt]]:
    if _threads(client, address) == 0:
        logger.warning("the cluster at %s has no workers yet; waiting for one", address)
    names: dict[Any, str] = {}
    completed = distributed.as_completed(loop=client.loop)
    try:
        while True:
            room = max(1, _AHEAD * _threads(client, address))
            while len(names) < room and (unit := next(units, None)) is not None:
                name, argument = unit
                # A unique key, so that the cluster does not return the result of an earlier run.
                key = f"{name}-{uuid.uuid4().hex[:8]}"
                task, payload = _packed(function, argument)
                future = client.submit(task, payload, key=key, pure=False, retries=0)
                names[future] = name
                completed.add(future)
            if not names:
                return
            future = next(completed)
            result = _result(distributed, future)
            if result is None:
                raise _gone(address)
            yield names.pop(future), result
    finally:
        if names and client.status == "running":
            client.cancel(list(names), force=True)


def _packed(function: Callable[[Any], Any], argument: Any) -> tuple[Callable[[bytes], Any], bytes]:
    """Pack a unit for the cluster, as a task and its payload, so that it fails only when it runs.

    A worker that cannot unpickle a message of the scheduler, because a module is not installed
    there, drops it and leaves the client waiting for ever. The task is therefore pickled by value,
    and unpickles the function and its argument itself.
    """

    def task(payload: bytes) -> Any:
        import importlib

        attempts = importlib.import_module("astro_common.jobs.attempt")
        unit = importlib.import_module("cloudpickle").loads(payload)
        return attempts.attempt_with_log(*unit)

    cloudpickle: Any = importlib.import_module("cloudpickle")
    return task, cloudpickle.dumps((function, argument))


def _threads(client: Any, address: str) -> int:
    try:
        threads: int = sum(client.nthreads().values())
    except (OSError, TimeoutError) as error:
        raise _gone(address) from error
    return threads


def _gone(address: str) -> AstroError:
    return AstroError(
        address,
        "the Dask scheduler has gone",
        action="start it and run again; finished units are kept",
    )


def _result(distributed: Any, future: Any) -> Attempt | None:
    """Return the outcome of a unit that has ended; None if the connection was lost."""
    if future.status == "error":
        error = future.exception()
        if isinstance(error, distributed.KilledWorker):
            return Attempt(
                reason="every worker of the cluster that tried it died (out of memory?); "
                "their logs say more"
            )
        return failed(error)
    if future.status != "finished":
        return None
    try:
        result, records = future.result()
    except Exception as error:  # noqa: BLE001 - the result cannot be rebuilt here
        return failed(error) if future.client.status == "running" else None
    for record in records:
        replay(record)
    return result  # type: ignore[no-any-return]
