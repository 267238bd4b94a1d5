"""Events in arrays that can grow and be sliced, of HDF5 or Zarr."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from astro_common.errors import InputError
from scone_io.convert.containers import NAMES, batch_of
from scone_io.example.layout import EventBatch
from scone_io.grid import GridSpec
from scone_io.shards import BATCH_SIZE

__all__ = ["ArraySink", "array_batches"]


class ArraySink:
    """Writes into arrays that grow, of h5py or zarr."""

    def __init__(self, arrays: Mapping[str, Any]) -> None:
        self._arrays = arrays
        self._rows = 0

    def write(self, batch: EventBatch) -> None:
        """Append events."""
        end = self._rows + len(batch)
        for name, values in zip(NAMES, batch.arrays()[: len(NAMES)], strict=True):
            array = self._arrays[name]
            array.resize((end, *array.shape[1:]))
            array[self._rows : end] = values
        self._rows = end


def array_batches(path: Path, grid: GridSpec, group: Any, kind: type) -> Iterator[EventBatch]:
    """Yield the events of arrays that can be sliced, of h5py or zarr."""
    arrays = {}
    for name in NAMES:
        if name not in group or not isinstance(group[name], kind):
            raise InputError(path, f"no array {name}", ", ".join(NAMES))
        arrays[name] = group[name]
    lengths = {name: array.shape[:1] for name, array in arrays.items()}
    if len(set(lengths.values())) != 1:
        raise InputError(path, f"arrays of the lengths {lengths}", "one length")
    if arrays["image"].shape[1:] != (*grid.shape, 2):
        found = arrays["image"].shape[1:]
        raise InputError(path, f"images of shape {found}", str((*grid.shape, 2)))
    for start in range(0, lengths["image"][0], BATCH_SIZE):
        parts = [np.asarray(arrays[name][start : start + BATCH_SIZE]) for name in NAMES]
        yield batch_of(path, grid, start, parts[:4], parts[4])
