"""The checksum of TFRecord: CRC-32C (Castagnoli, RFC 3720 appendix B.4), rotated and offset.

The mask, ``((crc >> 15) | (crc << 17)) + 0xa282ead8`` modulo 2^32, keeps a checksum of data that
hold checksums from being degenerate; see ``tensorflow/core/lib/hash/crc32c.h``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import crc32c as _compiled
import numpy as np
import numpy.typing as npt

__all__ = ["header_bytes", "length_checks", "masked_checksum"]

_DELTA = 0xA282EAD8
_WORD = 0xFFFFFFFF

_checksum: Callable[[Any], int] = _compiled.crc32c


def masked_checksum(data: Any) -> int:
    """Masked CRC-32C of bytes.

    Parameters
    ----------
    data : bytes-like
        Contiguous.

    Returns
    -------
    int
        Between 0 and 2^32 - 1, as TFRecord stores it.
    """
    crc = _checksum(data)
    return (((crc >> 15) | (crc << 17)) + _DELTA) & _WORD


def header_bytes(length: int) -> bytes:
    """The 12 bytes before a payload: its length and the length's checksum."""
    size = length.to_bytes(8, "little")
    return size + masked_checksum(size).to_bytes(4, "little")


def _length_tables() -> npt.NDArray[np.uint32]:
    # The CRC is affine in its input: that of a length is the CRC of zero, changed by what each of
    # its bytes adds. Only the low four bytes of a length of interest differ from zero.
    zero = _checksum(bytes(8))
    tables = np.empty((4, 256), dtype=np.uint32)
    for place in range(4):
        for value in range(256):
            text = bytearray(8)
            text[place] = value
            tables[place, value] = _checksum(bytes(text)) ^ zero
    tables[0] ^= np.uint32(zero)
    return tables


_TABLES: list[npt.NDArray[np.uint32]] = []


def length_checks(lengths: npt.NDArray[np.uint32]) -> npt.NDArray[np.uint32]:
    """Masked checksums of many lengths below 2^32 at once.

    Parameters
    ----------
    lengths : ndarray of uint32, shape (n,)

    Returns
    -------
    ndarray of uint32, shape (n,)
        What `masked_checksum` gives for each, written as eight bytes.
    """
    if not _TABLES:
        _TABLES.append(_length_tables())
    tables = _TABLES[0]
    crc = tables[0][lengths & 255]
    for place in range(1, 4):
        crc = crc ^ tables[place][(lengths >> (8 * place)) & 255]
    masked: npt.NDArray[np.uint32] = (crc >> np.uint32(15)) | (crc << np.uint32(17))
    masked += np.uint32(_DELTA)
    return masked
