"""What every container of events can do."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from astro_common.errors import InputError
from scone_io.example.layout import EventBatch
from scone_io.grid import GridSpec

__all__ = ["MAX_IMAGE_BYTES", "NAMES", "Sink", "Source", "batch_of", "check_shape"]

# Names of the arrays, columns or datasets; the image has one row per event.
NAMES = ("id", "label", "z", "z_err", "image")

MAX_IMAGE_BYTES = 64 << 20
_MAX_INT64 = (1 << 63) - 1


class Source(Protocol):
    """Events that can be read in batches."""

    path: Path
    grid: GridSpec

    def batches(self) -> Iterator[EventBatch]:
        """Yield the events in order."""


class Sink(Protocol):
    """A container that is being written."""

    def write(self, batch: EventBatch) -> None:
        """Append events."""


def check_shape(path: Path, shape: tuple[int, ...], grid: GridSpec) -> None:
    """Raise an `InputError` if images of this shape do not fit the grid."""
    if shape != (*grid.shape, 2) and shape != (2 * grid.shape[0] * grid.shape[1],):
        found = " x ".join(map(str, shape)) or "nothing"
        wanted = f"{grid.shape[0]} x {grid.shape[1]} x 2"
        raise InputError(path, f"images of {found} values", wanted, "give the right grid")


def batch_of(
    path: Path,
    grid: GridSpec,
    start: int,
    columns: Sequence[npt.ArrayLike],
    image: npt.NDArray[Any],
) -> EventBatch:
    """Events from arrays of one length.

    Parameters
    ----------
    path : Path
        Named in errors.
    grid : GridSpec
    start : int
        Row of the first event, which stands for its offset.
    columns : sequence of array_like
        Identifiers, labels, redshifts and their uncertainties; NaN where there is none.
    image : ndarray of float64 or float32, shape (n, ...)

    Returns
    -------
    EventBatch

    Raises
    ------
    InputError
        If an array has another type or length.
    """
    if image.dtype.kind != "f" or image.dtype.itemsize not in (4, 8):
        raise InputError(path, f"image of type {image.dtype}", "float64 or float32")
    check_shape(path, image.shape[1:], grid)
    arrays = [np.asarray(values) for values in columns]
    for name, array in zip(NAMES, arrays, strict=False):
        kinds = "iu" if name in ("id", "label") else "f"
        if array.dtype.kind not in kinds or array.ndim != 1:
            raise InputError(path, f"{name} of type {array.dtype}", "a column of numbers")
        if array.dtype.kind == "u" and array.size and array.max() > _MAX_INT64:
            raise InputError(path, f"{name} of {array.max()}", "integers of 64 bits with a sign")
        if len(array) != len(image):
            raise InputError(path, f"{len(array)} values {name}", f"{len(image)}, as images")
    count = len(image)
    return EventBatch(
        snid=arrays[0].astype(np.int64),
        label=arrays[1].astype(np.int64),
        z=arrays[2].astype(np.float32),
        z_err=arrays[3].astype(np.float32),
        image=image.reshape(count, *grid.shape, 2),
        offset=start + np.arange(count, dtype=np.int64),
        length=np.ones(count, dtype=np.int64),
    )
