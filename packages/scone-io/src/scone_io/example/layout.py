"""Many events at once, where their records differ in nothing but the values.

SCONE's records of one length are the same byte by byte, apart from the values. One record is
parsed. Of the others it is checked, many at a time, that the bytes around the values are the same;
the values then lie in the same places.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from scone_io.example.event import Spans, image_dtype, locate_event
from scone_io.tfrecord.content import Bytes
from scone_io.tfrecord.frames import FOOTER_BYTES, HEADER_BYTES

__all__ = ["EventBatch", "Layout", "joined"]


@dataclass(frozen=True, eq=False)
class EventBatch:
    """Events as arrays of one length.

    Attributes
    ----------
    snid, label : ndarray of int64, shape (n,)
    z, z_err : ndarray of float32, shape (n,)
        NaN where a record has none.
    image : ndarray of float64 or float32, shape (n, n_wavelength, n_time, 2)
        Of a plain shard a view of the mapped file, which cannot be written and copies nothing.
    offset, length : ndarray of int64, shape (n,)
        Where each record begins, in bytes of the uncompressed stream, and its size with its
        checksums.
    """

    snid: npt.NDArray[np.int64]
    label: npt.NDArray[np.int64]
    z: npt.NDArray[np.float32]
    z_err: npt.NDArray[np.float32]
    image: npt.NDArray[np.floating]
    offset: npt.NDArray[np.int64]
    length: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.snid)

    def take(self, rows: npt.NDArray[np.integer] | slice) -> EventBatch:
        """Some of the events."""
        return EventBatch(*(array[rows] for array in self.arrays()))

    def arrays(self) -> tuple[Any, ...]:
        """All arrays, in the order of the attributes."""
        return (
            self.snid,
            self.label,
            self.z,
            self.z_err,
            self.image,
            self.offset,
            self.length,
        )


def joined(batches: list[EventBatch]) -> EventBatch:
    """One batch of several; copies unless there is only one."""
    if len(batches) == 1:
        return batches[0]
    parts = zip(*(batch.arrays() for batch in batches), strict=True)
    return EventBatch(*(np.concatenate(arrays) for arrays in parts))


class Layout:
    """Where the values lie in records of one kind.

    Parameters
    ----------
    payload : ndarray of uint8
        A record's payload, which is the example.
    shape : (int, int)
        Number of wavelength and time bins.

    Raises
    ------
    WireError
        If the payload is no event of this shape.
    """

    def __init__(self, payload: Bytes, shape: tuple[int, int]) -> None:
        self.length = len(payload)
        self.stride = HEADER_BYTES + self.length + FOOTER_BYTES
        self._shape = shape
        self._spans: Spans = locate_event(payload.data)
        start, end = self._spans.image
        self._dtype = image_dtype(end - start, shape)
        self._places = self._fixed_places()
        self._bytes = payload[self._places]

    def _fixed_places(self) -> npt.NDArray[np.intp]:
        free = np.zeros(self.length, dtype=bool)
        spans = self._spans
        for span in (spans.snid, spans.label, spans.image, spans.z, spans.z_err):
            if span is not None:
                free[slice(*span)] = True
        return np.flatnonzero(~free)

    def num_alike(self, records: Bytes) -> int:
        """How many of the first records have this layout.

        Parameters
        ----------
        records : ndarray of uint8, shape (n, stride)
            Whole records, header and checksums included.

        Returns
        -------
        int
            The headers and checksums are not looked at.
        """
        same = (records[:, HEADER_BYTES + self._places] == self._bytes).all(axis=1)
        for start, end in (self._spans.snid, self._spans.label):
            number = records[:, HEADER_BYTES + start : HEADER_BYTES + end]
            same &= (number[:, :-1] >= 0x80).all(axis=1) & (number[:, -1] < 0x80)
        return len(same) if same.all() else int(np.argmin(same))

    def batch(self, records: Bytes, offset: int) -> EventBatch:
        """The events of records that have this layout.

        Parameters
        ----------
        records : ndarray of uint8, shape (n, stride)
        offset : int
            Where the first of them begins.

        Returns
        -------
        EventBatch
        """
        count = len(records)
        payloads = records[:, HEADER_BYTES : HEADER_BYTES + self.length]
        start, end = self._spans.image
        # The values of one image lie side by side, so this is a view: nothing is copied.
        values = payloads[:, start:end].view(self._dtype)
        image: npt.NDArray[np.floating] = values.reshape(count, *self._shape, 2)
        return EventBatch(
            snid=_integers(payloads, self._spans.snid),
            label=_integers(payloads, self._spans.label),
            z=_floats(payloads, self._spans.z),
            z_err=_floats(payloads, self._spans.z_err),
            image=image,
            offset=offset + self.stride * np.arange(count, dtype=np.int64),
            length=np.full(count, self.stride, dtype=np.int64),
        )


def _integers(payloads: Bytes, span: tuple[int, int]) -> npt.NDArray[np.int64]:
    """Decode the integers in one place of many payloads."""
    value = np.zeros(len(payloads), dtype=np.uint64)
    for place in range(*span):
        part = (payloads[:, place] & 0x7F).astype(np.uint64)
        value |= part << np.uint64(7 * (place - span[0]))
    return value.view(np.int64)


def _floats(payloads: Bytes, span: tuple[int, int] | None) -> npt.NDArray[np.float32]:
    if span is None:
        return np.full(len(payloads), np.nan, dtype=np.float32)
    return np.ascontiguousarray(payloads[:, slice(*span)]).view("<f4")[:, 0].astype(np.float32)
