"""Units on a Dask cluster, given the address of its scheduler."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable, Iterator
from typing import Any

from astro_common.errors import AstroError, ConfigurationError
from astro_common.jobs.attempt import Attempt, attempt_with_log, failed, replay
from astro_common.jobs.processes import logger_levels

__all__ = ["run_on_cluster"]

logger = logging.getLogger(__name__)

CONNECT_TIMEOUT_S = 15.0

# Units that wait on the cluster for each thread that works: enough that none runs dry between two
# units, few enough that thousands of units never lie in the scheduler at once.
_AHEAD = 2


def run_on_cluster(
    function: Callable[[Any], Any], units: Iterator[tuple[str, Any]], address: str
) -> Iterator[tuple[str, Attempt]]:
    """Run units on a Dask cluster.

    Parameters
    ----------
    function : callable
        Takes a unit's argument. The module that defines it is installed on the cluster.
    units : iterator of (str, object)
        Name and argument of each unit; the next one is asked for when the cluster has room.
    address : str
        Address of the scheduler, such as ``tcp://host:8786``.

    Yields
    ------
    name : str
        A unit that has ended.
    attempt : Attempt
        What came of it.

    Raises
    ------
    ConfigurationError
        If ``distributed`` is not installed, or no scheduler answers at the address.
    AstroError
        If the scheduler goes away while units run.
    """
    client = _connect(address)
    try:
        yield from _run(client, function, units, address)
    finally:
        client.close()


def _connect(address: str) -> Any:
    try:
        from distributed import Client
    except ImportError as error:
        raise ConfigurationError(
            "--scheduler",
            "the package distributed is not installed",
            action="install astro-common[dask]",
        ) from error
    try:
        return Client(address, timeout=CONNECT_TIMEOUT_S, set_as_default=False)
    except (OSError, ValueError, TypeError) as error:
        raise ConfigurationError(
            "--scheduler",
            f"no Dask scheduler answers at {address!r} ({error})",
            "an address such as tcp://host:8786",
        ) from error


def _run(
    client: Any, function: Callable[[Any], Any], units: Iterator[tuple[str, Any]], address: str
) -> Iterator[tuple[str, Attempt]]:
    from distributed import as_completed

    levels = logger_levels()
    names: dict[Any, str] = {}
    completed = as_completed(loop=client.loop)
    try:
        while True:
            while len(names) < _room(client) and (unit := next(units, None)) is not None:
                name, argument = unit
                # A key of its own: the cluster must not take an earlier run's result for ours.
                key = f"{name}-{uuid.uuid4().hex[:8]}"
                future = client.submit(
                    attempt_with_log, function, argument, levels, key=key, pure=False, retries=0
                )
                names[future] = name
                completed.add(future)
            if not names:
                return
            future = next(completed)
            result = _result(future)
            if result is None:
                raise AstroError(
                    address,
                    "the Dask scheduler has gone",
                    action="start it and run again; finished units are kept",
                )
            yield names.pop(future), result
    finally:
        if names and client.status == "running":
            client.cancel(list(names), force=True)


def _room(client: Any) -> int:
    return max(1, _AHEAD * sum(client.nthreads().values()))


def _result(future: Any) -> Attempt | None:
    if future.status == "error":
        return failed(future.exception())
    if future.status != "finished":
        return None
    result, records = future.result()
    for record in records:
        replay(record)
    return result  # type: ignore[no-any-return]
