"""Write and read npz files piece by piece: whole columns never lie in memory.

An npz file is a zip of npy files. Each array is collected in a temporary file and moved into the
zip when its length is known. Times in the zip are fixed, so that the same arrays give the same
bytes.
"""

from __future__ import annotations

import io
import shutil
import tempfile
import zipfile
import zlib
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from astro_common.atomic import atomic_path
from astro_common.errors import InputError

__all__ = ["ArrayStream", "NpzWriter", "check_npz", "read_npz", "read_npz_scalar"]

_OLDEST = (1980, 1, 1, 0, 0, 0)
_SPOOL_BYTES = 16 << 20
_COPY_BYTES = 1 << 20
_DAMAGE = (
    OSError,
    ValueError,
    KeyError,
    EOFError,
    # A flag says that an entry is encrypted, or packed in a way that is not known.
    RuntimeError,
    zipfile.BadZipFile,
    zlib.error,
)


class NpzWriter:
    """Collects arrays and puts the file in its place when the ``with`` block ends well.

    Parameters
    ----------
    path : Path
        Its folder exists; a file there is replaced.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stack = ExitStack()
        self._columns: dict[str, tuple[IO[bytes], np.dtype[Any], tuple[int, ...]]] = {}
        self._lengths: dict[str, int] = {}
        self._whole: dict[str, NDArray[Any]] = {}

    def __enter__(self) -> NpzWriter:
        return self

    def append(self, name: str, rows: NDArray[Any]) -> None:
        """Add rows to an array; all parts agree in type and in the shape of a row."""
        if name not in self._columns:
            folder = str(self._path.parent)
            spool = tempfile.SpooledTemporaryFile(_SPOOL_BYTES, dir=folder)  # noqa: SIM115
            self._stack.enter_context(spool)
            self._columns[name] = (spool, rows.dtype, rows.shape[1:])
            self._lengths[name] = 0
        file, dtype, shape = self._columns[name]
        if rows.dtype != dtype or rows.shape[1:] != shape:
            raise ValueError(f"{name}: rows of {rows.dtype} {rows.shape[1:]} after {dtype} {shape}")
        file.write(np.ascontiguousarray(rows).tobytes())
        self._lengths[name] += len(rows)

    def put(self, name: str, array: NDArray[Any]) -> None:
        """Set an array as a whole."""
        self._whole[name] = array

    def names(self, suffix: str) -> list[str]:
        """Names of the arrays that rows were added to and that end so (list of str)."""
        return [name for name in self._columns if name.endswith(suffix)]

    def take(self, name: str) -> NDArray[Any]:
        """Take an array that rows were added to out of the file again."""
        file, dtype, shape = self._columns.pop(name)
        file.seek(0)
        return np.frombuffer(file.read(), dtype=dtype).reshape(self._lengths[name], *shape)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with self._stack:
            if error is None:
                with atomic_path(self._path, overwrite=True) as partial:
                    self._write(partial)

    def _write(self, partial: Path) -> None:
        with zipfile.ZipFile(partial, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
            for name in sorted([*self._columns, *self._whole]):
                entry = zipfile.ZipInfo(f"{name}.npy", _OLDEST)
                entry.compress_type = zipfile.ZIP_DEFLATED
                with archive.open(entry, "w", force_zip64=True) as target:
                    if name in self._whole:
                        npy.write_array(target, self._whole[name], allow_pickle=False)
                        continue
                    file, dtype, shape = self._columns[name]
                    header = {
                        "descr": npy.dtype_to_descr(dtype),
                        "fortran_order": False,
                        "shape": (self._lengths[name], *shape),
                    }
                    npy.write_array_header_1_0(target, header)
                    file.seek(0)
                    shutil.copyfileobj(file, target, _COPY_BYTES)


def check_npz(path: Path) -> None:
    """Make sure that every array is as it was written, by its checksum.

    Raises
    ------
    InputError
        If the file is missing or damaged.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()
    except FileNotFoundError as error:
        raise InputError(path, "no such file", "tokens", "run encode first") from error
    except _DAMAGE as error:
        raise _damaged(path, error) from error
    if damaged is not None:
        raise InputError(path, f"{damaged} is damaged", "tokens of this package", "encode again")


def read_npz(path: Path, name: str) -> NDArray[Any]:
    """Read one array.

    Raises
    ------
    InputError
        If the file is missing, damaged or has no such array.
    """
    try:
        # A file object of our own: that of np.load stays open if the file is damaged.
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            return np.asarray(arrays[name])
    except FileNotFoundError as error:
        raise InputError(path, "no such file", "tokens", "run encode first") from error
    except _DAMAGE as error:
        raise _damaged(path, error) from error


def read_npz_scalar(path: Path, name: str) -> str:
    """Read one 0-d array as text; see `read_npz`."""
    return str(read_npz(path, name))


def _damaged(path: Path, error: Exception) -> InputError:
    return InputError(path, f"cannot be read ({error})", "tokens of this package", "encode again")


class ArrayStream:
    """Reads an array of an npz file in parts of rows.

    Parameters
    ----------
    path : Path
    name : str
    """

    def __init__(self, path: Path, name: str) -> None:
        self._path = path
        try:
            with ExitStack() as stack:
                archive = stack.enter_context(zipfile.ZipFile(path))
                self._file = stack.enter_context(archive.open(f"{name}.npy"))
                version = npy.read_magic(self._file)
                read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
                self.shape, _, self.dtype = read(self._file)
                self._stack = stack.pop_all()
        except FileNotFoundError as error:
            raise InputError(path, "no such file", "tokens", "run encode first") from error
        except _DAMAGE as error:
            raise _damaged(path, error) from error

    def read(self, rows: int) -> NDArray[Any]:
        """The next rows (ndarray); fewer at the end is an error."""
        count = rows * int(np.prod(self.shape[1:], dtype=np.int64))
        wanted = count * self.dtype.itemsize
        buffer = io.BytesIO()
        try:
            while buffer.tell() < wanted:
                part = self._file.read(min(_COPY_BYTES, wanted - buffer.tell()))
                if not part:
                    raise EOFError("the array ends early")
                buffer.write(part)
        except _DAMAGE as error:
            raise _damaged(self._path, error) from error
        array = np.frombuffer(buffer.getvalue(), dtype=self.dtype)
        return array.reshape(rows, *self.shape[1:])

    def close(self) -> None:
        """Close the file."""
        self._stack.close()
