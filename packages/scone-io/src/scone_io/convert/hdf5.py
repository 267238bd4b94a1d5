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
from scone_io.convert.arrays import ArraySink, array_batches
from scone_io.convert.containers import NAMES
from scone_io.example.layout import EventBatch
from scone_io.grid import GridSpec

__all__ = ["Hdf5Source", "hdf5_sink"]


def _library() -> Any:
    try:
        return importlib.import_module("h5py")
    except ImportError as error:
        raise ConfigurationError(
            "HDF5", "the package h5py is not installed", action="install scone-io[hdf5]"
        ) from error


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
