"""Damaged copies of files, for tests of programs that read files.

A reader is sound if it either reads each damaged copy as what it claims to be, or refuses it with
one clear error.
"""

from __future__ import annotations

import gzip

import numpy as np

__all__ = ["damaged"]

_GZIP = b"\x1f\x8b"
_CARD_BYTES = 80
_LONGEST_PIECE = 3000
# Values that a reader must not trust: sizes that overflow or do not fit, and values of wrong type.
_VALUES = ("0", "-1", "7", "65536", "2147483648", str(1 << 60), "1E400", "1.5", "'text    '", "T")


def damaged(content: bytes, rng: np.random.Generator) -> bytes:
    """Damage a file in one of the ways in which files go bad.

    A bit is flipped, the end cut off, or a stretch overwritten, removed or repeated; in a FITS
    file, the value of a header card may be changed instead. Half of the gzip files are damaged
    inside the compression, where its checksum does not reveal it.

    Parameters
    ----------
    content : bytes
        An intact file, not empty.
    rng : numpy.random.Generator
        The same state gives the same damage.

    Returns
    -------
    bytes
        The damaged copy.
    """
    if content[:2] == _GZIP and rng.random() < 0.5:
        return gzip.compress(damaged(gzip.decompress(content), rng), 1, mtime=0)
    data = bytearray(content)
    kinds = 9 if content[:6] == b"SIMPLE" else 6
    kind = int(rng.integers(kinds))
    place = int(rng.integers(len(data)))
    length = int(rng.integers(1, _LONGEST_PIECE))
    if kind == 0:
        data[place] ^= 1 << int(rng.integers(8))
    elif kind == 1:
        del data[place:]
    elif kind == 2:
        data[place : place + 40] = rng.bytes(40)
    elif kind == 3:
        del data[place : place + length]
    elif kind == 4:
        start = int(rng.integers(len(data)))
        data[place:place] = data[start : start + length]
    elif kind == 5:
        data[place : place + 8] = int(rng.integers(1, 1 << 62)).to_bytes(8, "little")
    else:
        _change_card(data, rng)
    return bytes(data)


def _change_card(data: bytearray, rng: np.random.Generator) -> None:
    cards = [
        start
        for start in range(0, len(data) - _CARD_BYTES + 1, _CARD_BYTES)
        if data[start + 8 : start + 10] == b"= " and data[start : start + 1].isalpha()
    ]
    start = int(rng.choice(cards))
    value = str(rng.choice(_VALUES)).rjust(20).ljust(_CARD_BYTES - 10)
    data[start + 10 : start + _CARD_BYTES] = value.encode("ascii")
