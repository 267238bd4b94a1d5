"""How many bytes of tensors a computation holds at most."""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

__all__ = ["PeakBytes", "peak_tensor_bytes"]


@dataclass
class PeakBytes:
    """Result of `peak_tensor_bytes`; `peak` is right once its block has ended."""

    live: int = 0
    peak: int = 0
    known: set[int] = field(default_factory=set)


@contextmanager
def peak_tensor_bytes(device: torch.device) -> Iterator[PeakBytes]:
    """Measure the bytes of the tensors that are made in a block and live at the same time.

    Parameters
    ----------
    device : torch.device
        On a GPU the allocator counts; elsewhere each new storage is counted until it is freed.

    Yields
    ------
    PeakBytes
    """
    result = PeakBytes()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        yield result
        torch.cuda.synchronize(device)
        result.peak = torch.cuda.max_memory_allocated(device) - before
        return
    with _Watch(result):
        yield result


class _Watch(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Sees every operation, those of the backward pass on a processor included."""

    def __init__(self, result: PeakBytes) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.result = result

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        given = {_key(value) for value in _tensors((args, kwargs or {}))}
        found = func(*args, **(kwargs or {}))
        for value in _tensors(found):
            key = _key(value)
            # A view or a result in place shares the storage of what was given.
            if key in given or key in self.result.known:
                continue
            self._add(value, key)
        return found

    def _add(self, value: Tensor, key: int) -> None:
        storage = value.untyped_storage()
        size = storage.nbytes()
        if not size:
            return
        result = self.result
        result.known.add(key)
        result.live += size
        result.peak = max(result.peak, result.live)

        def freed() -> None:
            result.live -= size
            result.known.discard(key)

        weakref.finalize(storage, freed)


def _key(value: Tensor) -> int:
    return value.untyped_storage().data_ptr()


def _tensors(values: Any) -> Iterator[Tensor]:
    if isinstance(values, Tensor):
        yield values
    elif isinstance(values, (list, tuple)):
        for value in values:
            yield from _tensors(value)
    elif isinstance(values, dict):
        yield from _tensors(list(values.values()))
