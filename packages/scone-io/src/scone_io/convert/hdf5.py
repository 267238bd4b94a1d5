"""Events in an HDF5 file."""

from __future__ import annotations

import importlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from astro_common.atomic import atomic_path
from astro_common.errors import ConfigurationError, InputError
from scone_io.convert.containers import NAMES, batch_of
from scone_io.example.layout import EventBatch
from scone_io.grid import GridSpec
from scone_io.shards import BATCH_SIZE

__all__ = ["ArraySink", "Hdf5Source", "array_batches", "hdf5_sink"]


def _library() -> Any:
    try:
        return importlib.import_module("h5py")
    except ImportError as error:
        raise ConfigurationError(
            "HDF5", "the package h5py is not installed", action="install scone-io[hdf5]"
        ) from error


class ArraySink:
    """Writes into arrays that grow, of h5py or zarr."""

    def __init__(self, arrays: Mapping[str, Any]) -> None:
        self._arrays = arrays
        self._rows = 0

    def write(self, batch: EventBatch) -> None:
        """Append events."""
        end = self._rows + len(batch)
        for name, values in zip(NAMES, batch.arrays(), strict=False):
            array = self._arrays[name]
            array.resize((end, *array.shape[1:]))
            array[self._rows : end] = values
        self._rows = end


@contextmanager
def hdf5_sink(
    path: Path,
    grid: GridSpec,
    dtype: np.dtype[Any],
    metadata: Mapping[str, Any],
    *,
    overwrite: bool,
) -> Iterator[ArraySink]:
    """Write an HDF5 file with one dataset per array."""
    h5py = _library()
    with (
        atomic_path(path, overwrite=overwrite) as partial,
        # The partial file is locked already.
        h5py.File(partial, "w", locking=False) as file,
    ):
        for key, value in metadata.items():
            file.attrs[key] = json.dumps(value)
        arrays = {}
        for name in NAMES:
            kind = dtype if name == "image" else np.int64 if name in NAMES[:2] else np.float32
            shape = (*grid.shape, 2) if name == "image" else ()
            arrays[name] = file.create_dataset(
                name,
                shape=(0, *shape),
                maxshape=(None, *shape),
                chunks=(8 if name == "image" else 4096, *shape),
                dtype=kind,
            )
        arrays["image"].attrs["unit"] = grid.flux_unit
        yield ArraySink(arrays)


class Hdf5Source:
    """Reads an HDF5 file in batches."""

    def __init__(self, path: Path, grid: GridSpec) -> None:
        self.path = path
        self.grid = grid

    def batches(self) -> Iterator[EventBatch]:
        """Yield the events.

        Raises
        ------
        InputError
            If the file is damaged, lacks a dataset, or holds one of another type or shape.
        """
        h5py = _library()
        if not self.path.exists():
            raise InputError(self.path, "no such file", "an HDF5 file")
        try:
            with h5py.File(self.path, "r") as file:
                yield from array_batches(self.path, self.grid, file, h5py.Dataset)
        except (OSError, RuntimeError, KeyError, ValueError, TypeError) as error:
            raise InputError(self.path, f"cannot be read ({error})", "an HDF5 file") from error


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
