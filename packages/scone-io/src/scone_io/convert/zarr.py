"""Events in a Zarr group."""

from __future__ import annotations

import importlib
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from astro_common.atomic import output_error
from astro_common.errors import ConfigurationError, InputError, OutputError
from scone_io.convert.arrays import ArraySink, array_batches
from scone_io.convert.containers import NAMES
from scone_io.example.layout import EventBatch
from scone_io.grid import GridSpec
from scone_io.shards import BATCH_SIZE

__all__ = ["ZarrSource", "zarr_sink"]


def _library() -> Any:
    try:
        return importlib.import_module("zarr")
    except ImportError as error:
        raise ConfigurationError(
            "Zarr", "the package zarr is not installed", action="install scone-io[zarr]"
        ) from error


@contextmanager
def zarr_sink(
    path: Path,
    grid: GridSpec,
    dtype: np.dtype[Any],
    metadata: Mapping[str, Any],
    *,
    overwrite: bool,
) -> Iterator[ArraySink]:
    """Write a Zarr group, a folder, with one array per name."""
    zarr = _library()
    if path.exists() and not overwrite:
        raise OutputError(path, "the folder exists", action="give --overwrite to replace it")
    try:
        partial = Path(tempfile.mkdtemp(".partial", f".{path.name}.", path.parent))
    except OSError as error:
        raise output_error(path, error) from error
    try:
        group = zarr.open_group(partial, mode="w", attributes=dict(metadata))
        arrays = {}
        for name in NAMES:
            kind = dtype if name == "image" else np.int64 if name in NAMES[:2] else np.float32
            shape = (*grid.shape, 2) if name == "image" else ()
            arrays[name] = group.create_array(
                name,
                shape=(0, *shape),
                chunks=(BATCH_SIZE if name == "image" else 65_536, *shape),
                dtype=np.dtype(kind),
            )
        yield ArraySink(arrays)
        partial.chmod(0o755)
        if path.exists():
            # A folder cannot be replaced in one step: the old one goes when the new one stands.
            old = Path(tempfile.mkdtemp(".partial", f".{path.name}.", path.parent))
            try:
                path.rename(old)
                partial.rename(path)
            except BaseException:
                if path.exists():
                    old.rmdir()
                else:
                    old.rename(path)
                raise
            shutil.rmtree(old)
        else:
            partial.rename(path)
    except BaseException as error:
        shutil.rmtree(partial, ignore_errors=True)
        if isinstance(error, OSError):
            raise output_error(path, error) from error
        raise


class ZarrSource:
    """Reads a Zarr group in batches."""

    def __init__(self, path: Path, grid: GridSpec) -> None:
        self.path = path
        self.grid = grid

    def batches(self) -> Iterator[EventBatch]:
        """Yield the events.

        Raises
        ------
        InputError
            If the group is damaged, lacks an array, or holds one of another type or shape.
        """
        zarr = _library()
        if not self.path.exists():
            raise InputError(self.path, "no such folder", "a Zarr group")
        try:
            group = zarr.open_group(self.path, mode="r")
            yield from array_batches(self.path, self.grid, group, zarr.Array)
        except (OSError, RuntimeError, KeyError, ValueError, TypeError) as error:
            raise InputError(self.path, f"cannot be read ({error})", "a Zarr group") from error
