"""Events in an ``.npz`` file, written and read a batch at a time.

NumPy itself would need all images in memory at once. An ``.npz`` file is a ZIP archive of ``.npy``
files (NumPy's format description, ``numpy.lib.format``).
"""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from astro_common.atomic import atomic_path
from astro_common.errors import InputError
from scone_io.convert.containers import MAX_IMAGE_BYTES, NAMES, batch_of, check_shape
from scone_io.example.layout import EventBatch
from scone_io.grid import GridSpec
from scone_io.shards import BATCH_SIZE

__all__ = ["NpzSource", "npz_sink"]

_DATE = (1980, 1, 1, 0, 0, 0)
# What the standard library raises over an archive that is damaged or encrypted.
_DAMAGED = (
    zipfile.BadZipFile,
    zlib.error,
    OSError,
    EOFError,
    NotImplementedError,
    RuntimeError,
)


class _NpzSink:
    def __init__(self, image: IO[bytes]) -> None:
        self._image = image
        self.columns: dict[str, list[npt.NDArray[np.generic]]] = {name: [] for name in NAMES[:4]}

    def write(self, batch: EventBatch) -> None:
        self._image.write(np.ascontiguousarray(batch.image).data.cast("B"))
        for name, array in zip(NAMES, batch.arrays(), strict=False):
            if name != "image":
                self.columns[name].append(array)


@contextmanager
def npz_sink(
    path: Path, grid: GridSpec, dtype: np.dtype[Any], count: int, *, overwrite: bool
) -> Iterator[_NpzSink]:
    """Write an ``.npz`` file; without dates, so that the same events give the same bytes."""
    with (
        atomic_path(path, overwrite=overwrite) as partial,
        zipfile.ZipFile(partial, "w", zipfile.ZIP_STORED, allowZip64=True) as archive,
    ):
        with archive.open(_entry("image"), "w", force_zip64=True) as file:
            _write_header(file, (count, *grid.shape, 2), dtype)
            sink = _NpzSink(file)
            yield sink
        for name, parts in sink.columns.items():
            kind = np.dtype(np.int64 if name in ("id", "label") else np.float32)
            column = np.concatenate([np.empty(0, dtype=kind), *parts])
            with archive.open(_entry(name), "w") as file:
                np.lib.format.write_array(file, column, allow_pickle=False)


def _entry(name: str) -> zipfile.ZipInfo:
    return zipfile.ZipInfo(f"{name}.npy", date_time=_DATE)


def _write_header(file: IO[bytes], shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
    header = {"descr": dtype.str, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, header)


class NpzSource:
    """Reads an ``.npz`` file in batches."""

    def __init__(self, path: Path, grid: GridSpec) -> None:
        self.path = path
        self.grid = grid

    def batches(self) -> Iterator[EventBatch]:
        """Yield the events.

        Raises
        ------
        InputError
            If the file is damaged, lacks an array, or holds one of another type or shape.
        """
        try:
            with zipfile.ZipFile(self.path) as archive:
                yield from self._read(archive)
        except FileNotFoundError as error:
            raise InputError(self.path, "no such file", "an .npz file") from error
        except _DAMAGED as error:
            raise InputError(self.path, f"cannot be read ({error})", "an .npz file") from error

    def _read(self, archive: zipfile.ZipFile) -> Iterator[EventBatch]:
        missing = [name for name in NAMES if f"{name}.npy" not in archive.namelist()]
        if missing:
            raise InputError(self.path, f"no array {missing[0]}", ", ".join(NAMES))
        with archive.open("image.npy") as file:
            shape, dtype = self._header(file, "image")
            row_bytes = int(np.prod(shape[1:], dtype=np.float64)) * dtype.itemsize
            if not shape or shape[0] < 0 or row_bytes > MAX_IMAGE_BYTES:
                raise InputError(self.path, f"images of {row_bytes} bytes", "at most 64 MiB each")
            check_shape(self.path, shape[1:], self.grid)
            columns = [self._column(archive, name, shape[0]) for name in NAMES[:4]]
            for start in range(0, shape[0], BATCH_SIZE):
                count = min(BATCH_SIZE, shape[0] - start)
                data = file.read(count * row_bytes)
                if len(data) < count * row_bytes:
                    raise InputError(self.path, "image is cut short", f"{shape[0]} images")
                image = np.frombuffer(data, dtype=dtype).reshape(count, *shape[1:])
                parts = [column[start : start + count] for column in columns]
                yield batch_of(self.path, self.grid, start, parts, image)

    def _column(self, archive: zipfile.ZipFile, name: str, count: int) -> npt.NDArray[Any]:
        with archive.open(f"{name}.npy") as file:
            shape, dtype = self._header(file, name)
            if shape != (count,) or dtype.itemsize > 8:
                raise InputError(self.path, f"{name} of shape {shape}", f"({count},)")
            data = file.read(count * dtype.itemsize)
        if len(data) < count * dtype.itemsize:
            raise InputError(self.path, f"{name} is cut short", f"{count} values")
        return np.frombuffer(data, dtype=dtype)

    def _header(self, file: IO[bytes], name: str) -> tuple[tuple[int, ...], np.dtype[Any]]:
        try:
            version = np.lib.format.read_magic(file)
            reader = {
                (1, 0): np.lib.format.read_array_header_1_0,
                (2, 0): np.lib.format.read_array_header_2_0,
            }[version]
            shape, fortran, dtype = reader(file)
        except (ValueError, KeyError) as error:
            raise InputError(self.path, f"{name} is no array ({error})", "an .npy array") from error
        if fortran and len(shape) > 1:
            raise InputError(self.path, f"{name} in Fortran order", "C order")
        if dtype.hasobject or dtype.kind not in "iuf":
            raise InputError(self.path, f"{name} of type {dtype}", "numbers")
        return shape, dtype
