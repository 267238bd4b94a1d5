"""Arrow arrays from the elements stored in a file: scaling, nulls, text and bits."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from astro_common.fits.columns import Column, element_type
from astro_common.fits.headers import hdu_error

__all__ = ["element_array", "text_array", "unpack_bits"]

Bytes = npt.NDArray[np.uint8]

# Characters that are handled at once: the positions that are noted take several times as much.
_SLICE_BYTES: Final = 4 << 20


def element_array(
    path: Path, index: int, column: Column, stored: npt.NDArray[np.generic]
) -> pa.Array:
    """Turn stored elements into physical values.

    Parameters
    ----------
    path, index : Path, int
        File and HDU, for errors.
    column : Column
        Of any type except ``A``.
    stored : ndarray
        Shape (n,), of the stored dtype in native byte order; booleans for ``X``.

    Returns
    -------
    pyarrow.Array
        n values; TNULL, and the zero byte of a logical, are null. NaN stays NaN.
    """
    if column.code == "L":
        return _logicals(path, index, column, stored)
    mask = None
    if column.null is not None and _fits(column.null, stored.dtype):
        mask = stored == column.null
        if not mask.any():
            mask = None
    values = _scaled(path, index, column, stored, mask)
    if values.dtype.kind == "c":
        parts = values.view(values.real.dtype)
        return pa.FixedSizeListArray.from_arrays(pa.array(parts), 2)
    return pa.array(values, type=element_type(column), mask=mask)


def _logicals(path: Path, index: int, column: Column, stored: npt.NDArray[np.generic]) -> pa.Array:
    true, false, missing = stored == ord("T"), stored == ord("F"), stored == 0
    known = true | false | missing
    if not known.all():
        byte = int(stored[~known][0])
        raise hdu_error(
            path, index, f"byte {byte:#04x} in logical column {column.name!r}", "T, F or zero"
        )
    return pa.array(true, mask=missing)


def _fits(value: int, dtype: np.dtype[np.generic]) -> bool:
    limits = np.iinfo(dtype)  # type: ignore[type-var]
    return int(limits.min) <= value <= int(limits.max)


def _scaled(
    path: Path,
    index: int,
    column: Column,
    stored: npt.NDArray[np.generic],
    mask: npt.NDArray[np.bool_] | None,
) -> npt.NDArray[np.generic]:
    physical = column.physical
    if physical == stored.dtype and not column.is_scaled:
        return stored
    if physical.kind in "fc":
        with np.errstate(all="ignore"):
            values = stored.astype(physical)
            values *= float(column.scale)
            values += float(column.zero)
        return values
    offset = int(column.zero)
    if physical.itemsize == stored.dtype.itemsize:
        # The other signedness of the same width: flipping the sign bit adds 2^(bits - 1) exactly.
        unsigned = stored.view(f"u{physical.itemsize}")
        sign = unsigned.dtype.type(1 << (8 * physical.itemsize - 1))
        if column.code != "K" or offset == 1 << 63:
            return np.asarray(np.bitwise_xor(unsigned, sign).view(physical))
    used = stored if mask is None else stored[~mask]
    if len(used):
        low, high = int(used.min()) + offset, int(used.max()) + offset
        if low < -(1 << 63) or high >= 1 << 63:
            raise hdu_error(
                path,
                index,
                f"TZERO{column.number} = {offset} gives values beyond 64 bits",
                "a smaller one",
            )
    # Arithmetic modulo 2^64 is exact, since the result fits; masked values may wrap around.
    wide = stored.astype(np.int64).view(np.uint64)
    return (wide + np.uint64(offset % (1 << 64))).view(np.int64)


def unpack_bits(packed: Bytes, count: int) -> npt.NDArray[np.bool_]:
    """Unpack bits, most significant first: (n, ceil(count / 8)) bytes to (n, count) booleans."""
    return np.unpackbits(packed, axis=1, count=count).view(np.bool_)


def text_array(characters: Bytes, lengths: npt.NDArray[np.int64]) -> pa.Array:
    """Make strings of Latin-1 bytes: up to the first NUL, without trailing blanks.

    Parameters
    ----------
    characters : ndarray
        The bytes of all strings, one string after the other.
    lengths : ndarray
        Bytes per string; their sum is the length of `characters`, and below 2^31.

    Returns
    -------
    pyarrow.StringArray
    """
    ends = np.cumsum(lengths)
    parts = []
    first = 0
    while first < len(lengths):
        start = int(ends[first - 1]) if first else 0
        last = max(first + 1, int(np.searchsorted(ends, start + _SLICE_BYTES, side="right")))
        parts.append(_strings(characters[start : int(ends[last - 1])], lengths[first:last]))
        first = last
    return pa.concat_arrays(parts) if parts else pa.array([], pa.string())


def _strings(characters: Bytes, lengths: npt.NDArray[np.int64]) -> pa.StringArray:
    starts = np.concatenate([[0], np.cumsum(lengths)])
    zeros = np.flatnonzero(characters == 0)
    if len(zeros):
        # A string ends at the first NUL from its start on, unless that lies in a later string.
        zeros = np.append(zeros, len(characters))
        used = np.minimum(zeros[np.searchsorted(zeros, starts[:-1])] - starts[:-1], lengths)
        edges = np.zeros(len(characters) + 1, np.int8)
        filled = used > 0
        edges[starts[:-1][filled]] += 1
        edges[(starts[:-1] + used)[filled]] -= 1
        characters = characters[np.cumsum(edges[:-1], dtype=np.int8).view(np.bool_)]
        starts = np.concatenate([[0], np.cumsum(used)])
    high = characters >= 0x80
    if high.any():
        characters, starts = _latin1_to_utf8(characters, high, starts)
    strings = pa.StringArray.from_buffers(
        len(lengths), pa.py_buffer(starts.astype(np.int32)), pa.py_buffer(characters)
    )
    return pc.ascii_rtrim(strings, characters=" ")


def _latin1_to_utf8(
    characters: Bytes, high: npt.NDArray[np.bool_], starts: npt.NDArray[np.int64]
) -> tuple[Bytes, npt.NDArray[np.int64]]:
    # U+0080 to U+00FF take two bytes: 110000xx 10xxxxxx.
    added = np.concatenate([[0], np.cumsum(high)])
    wide = np.repeat(characters, 1 + high)
    second = np.flatnonzero(high) + added[1:][high]
    wide[second - 1] = 0xC0 | (characters[high] >> 6)
    wide[second] = 0x80 | (characters[high] & 0x3F)
    return wide, starts + added[starts]
