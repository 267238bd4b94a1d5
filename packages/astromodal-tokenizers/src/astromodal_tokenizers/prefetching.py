"""Read ahead in a thread, so that computing need not wait, and measure how long it waits."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator
from queue import Empty, Full, Queue
from typing import Generic, TypeVar

__all__ = ["Prefetch"]

T = TypeVar("T")

_POLL_S = 0.1


class Prefetch(Generic[T]):
    """Iterates over what a thread has made ready.

    Parameters
    ----------
    source : iterable
        Its items are made in another thread.
    depth : int
        Items that wait at most.

    Attributes
    ----------
    waited_s : float
        Seconds that the consumer has waited.
    """

    def __init__(self, source: Iterable[T], depth: int = 2) -> None:
        self._source = source
        self._queue: Queue[tuple[str, T | BaseException | None]] = Queue(depth)
        self._stopped = threading.Event()
        self.waited_s = 0.0

    def __iter__(self) -> Iterator[T]:
        thread = threading.Thread(target=self._fill, daemon=True)
        thread.start()
        try:
            while True:
                start = time.perf_counter()
                kind, item = self._queue.get()
                self.waited_s += time.perf_counter() - start
                if kind == "end":
                    return
                if kind == "error":
                    raise item  # type: ignore[misc]
                yield item  # type: ignore[misc]
        finally:
            self._stopped.set()
            while thread.is_alive():
                self._drain()
                thread.join(_POLL_S)

    def _fill(self) -> None:
        try:
            for item in self._source:
                if not self._put("item", item):
                    return
            self._put("end", None)
        except BaseException as error:  # noqa: BLE001 - raised again by the consumer
            self._put("error", error)

    def _put(self, kind: str, item: T | BaseException | None) -> bool:
        while not self._stopped.is_set():
            try:
                self._queue.put((kind, item), timeout=_POLL_S)
            except Full:
                continue
            return True
        return False

    def _drain(self) -> None:
        while True:
            try:
                self._queue.get_nowait()
            except Empty:
                return
