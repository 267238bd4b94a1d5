"""Decoders of image tiles (Rice, gzip, PLIO and H-compress) that are safe for damaged input.

The streams are those of the FITS Standard 4.0, section 10.4. Rice and H-compress are decoded by
the compiled routines of CFITSIO that astropy carries. Those may read beyond the end of their input,
so the caller puts `GUARD_BYTES` behind every stream.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import Final

import numpy as np
import numpy.typing as npt
from astropy.io.fits.hdu.compressed import _compression

from astro_common.fits.content import DEFLATE_RATIO

__all__ = [
    "GUARD_BYTES",
    "MAX_PIXELS_PER_BYTE",
    "MAX_RICE_BLOCK",
    "TileError",
    "decode_gzip",
    "decode_hcompress",
    "decode_plio",
    "decode_rice",
    "rice_pixels_per_byte",
]

Bytes = npt.NDArray[np.uint8]

# One Rice block of 256 pixels, each written out in 32 bits, is 1024 bytes.
GUARD_BYTES: Final = 4096
MAX_RICE_BLOCK: Final = 256

# The most that a stream may expand, in pixels per byte; for Rice it depends on the block size.
MAX_PIXELS_PER_BYTE: Final = {
    "GZIP_1": DEFLATE_RATIO,
    "GZIP_2": DEFLATE_RATIO,
    # A word of 2 bytes covers at most 4095 pixels.
    "PLIO_1": 2048,
    # A blank tile takes some 40 bytes however large it is; this allows 256 x 2048 pixels of it.
    "HCOMPRESS_1": 1 << 14,
    "NOCOMPRESS": 1,
}

_RICE_SELECTOR_BITS: Final = {1: 3, 2: 4, 4: 5}
_HCOMPRESS_MAGIC: Final = b"\xdd\x99"
_HCOMPRESS_HEADER_BYTES: Final = 25
_MAX_BIT_PLANES: Final = 64


class TileError(Exception):
    """A tile that cannot be decoded. The reader of the image adds the file, HDU and tile."""


def rice_pixels_per_byte(block_size: int, pixel_bytes: int) -> int:
    """The most pixels that one byte of a Rice stream can stand for (int).

    A block of equal pixels takes only its selector of 3, 4 or 5 bits.
    """
    return -(-8 * block_size // _RICE_SELECTOR_BITS[pixel_bytes])


def decode_rice(
    stream: Bytes, n_pixels: int, block_size: int, pixel_bytes: int
) -> npt.NDArray[np.generic]:
    """Decode RICE_1.

    Parameters
    ----------
    stream : ndarray of uint8
        The tile, followed in memory by at least `GUARD_BYTES` that may be read.
    n_pixels, block_size, pixel_bytes : int
        Pixels in the tile; BLOCKSIZE; BYTEPIX, which is 1, 2 or 4.

    Returns
    -------
    ndarray
        Shape (n_pixels,); uint8, int16 or int32.
    """
    if n_pixels > len(stream) * rice_pixels_per_byte(block_size, pixel_bytes):
        raise TileError(f"{len(stream)} bytes of Rice code cannot hold {n_pixels} pixels")
    decoded = _call(_compression.decompress_rice_1_c, stream, block_size, pixel_bytes, n_pixels)
    return np.frombuffer(decoded, np.uint8 if pixel_bytes == 1 else f"i{pixel_bytes}")


def decode_gzip(stream: Bytes, max_bytes: int) -> Bytes:
    """Decode GZIP_1, refusing more than `max_bytes` of content."""
    decoder = zlib.decompressobj(wbits=47)  # gzip, or zlib, which some writers use
    try:
        decoded = decoder.decompress(stream.tobytes(), max_bytes + 1)
    except zlib.error as error:
        raise TileError(f"damaged gzip stream ({error})") from error
    if len(decoded) > max_bytes:
        raise TileError(f"gzip stream of more than {max_bytes} bytes")
    if not decoder.eof:
        raise TileError("gzip stream cut short")
    return np.frombuffer(decoded, np.uint8)


def decode_plio(stream: Bytes, n_pixels: int) -> npt.NDArray[np.int32]:
    """Decode PLIO_1, the line lists of IRAF.

    Each 16-bit word holds an operation in its upper 4 bits and a number n in its lower 12:
    0, a run of n zeros; 4, a run of n pixels of the current high value; 5, n - 1 zeros and one
    high pixel; 1, set the high value to n plus 4096 times the next word; 2 and 3, raise or lower
    it by n; 6 and 7, the same and then one high pixel.

    Parameters
    ----------
    stream : ndarray of uint8
        Big-endian words: a header of seven words (three in the older form), then the list.
    n_pixels : int
        Pixels in the tile; those after the end of the list are 0.

    Returns
    -------
    ndarray of int32, shape (n_pixels,)
    """
    words = stream[: len(stream) // 2 * 2].view(">i2").astype(np.int64)
    if len(words) < 4:
        raise TileError(f"line list of {len(words)} words")
    if words[2] > 0:
        length, first = int(words[2]), 3
    else:
        length, first = (int(words[4]) << 15) + int(words[3]), int(words[1])
    if not 3 <= first <= length <= len(words):
        raise TileError(f"line list of {length} words in a tile of {len(words)}")
    words = words[first:length] & 0xFFFF
    operation, number = words >> 12, words & 0xFFF
    is_data = _plio_operands(operation)
    setting = np.flatnonzero((operation == 1) & ~is_data)
    value = np.zeros(len(words), np.int64)
    value[setting] = number[setting] + (words[setting + 1] << 12)
    operation = np.where(is_data, 8, operation)  # an operand does nothing by itself

    # The high value after each word: the latest setting (1 at first) plus the changes since.
    change = np.where(np.isin(operation, (2, 6)), number, 0)
    change -= np.where(np.isin(operation, (3, 7)), number, 0)
    total = np.cumsum(change)
    latest = np.zeros(len(words), np.int64)
    latest[setting] = setting + 1
    latest = np.maximum.accumulate(latest)
    base = np.concatenate([[1], value - total])
    high = base[latest] + total

    run = np.select([np.isin(operation, (0, 4, 5)), np.isin(operation, (6, 7))], [number, 1], 0)
    ends = np.cumsum(run)
    if len(ends) and ends[-1] > n_pixels:
        raise TileError(f"line list of {int(ends[-1])} pixels for a tile of {n_pixels}")
    pixels = np.zeros(n_pixels, np.int32)
    filled = np.repeat(np.where(operation == 4, high, 0), run)
    pixels[: len(filled)] = filled
    single = np.isin(operation, (5, 6, 7)) & (run > 0)
    pixels[ends[single] - 1] = high[single]
    return pixels


def _plio_operands(operation: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    # The word after a "set" is its operand, whatever it looks like: in a run of words that all look
    # like "set", every second one is an operand.
    looks_like_set = operation == 1
    previous = np.concatenate([[False], looks_like_set[:-1]])
    start = np.flatnonzero(looks_like_set & ~previous)
    begin = np.zeros(len(operation), np.int64)
    begin[start] = start
    begin = np.maximum.accumulate(begin)
    distance = np.arange(len(operation)) - begin
    in_run = looks_like_set | previous
    operands = in_run & (distance % 2 == 1)
    if len(operation) and looks_like_set[-1] and not operands[-1]:
        raise TileError("line list that ends inside an operation")
    return np.asarray(operands, np.bool_)


def decode_hcompress(
    stream: Bytes, shape: tuple[int, int], scale: int, smooth: bool
) -> npt.NDArray[np.int32]:
    """Decode HCOMPRESS_1.

    Parameters
    ----------
    stream : ndarray of uint8
        The tile. It begins with its own sizes, which must be those of `shape`.
    shape : (int, int)
        Rows and columns of the tile.
    scale : int
        SCALE of the image.
    smooth : bool
        SMOOTH: whether the decoder smooths the image.

    Returns
    -------
    ndarray of int32, shape (rows * columns,)
    """
    head = stream[:_HCOMPRESS_HEADER_BYTES].tobytes()
    if len(head) < _HCOMPRESS_HEADER_BYTES or not head.startswith(_HCOMPRESS_MAGIC):
        raise TileError("no H-compress stream")
    n_y, n_x = int.from_bytes(head[2:6], "big"), int.from_bytes(head[6:10], "big")
    if (n_y, n_x) != shape:
        raise TileError(f"H-compress stream of {n_y} x {n_x} pixels in a tile of {shape}")
    planes = max(head[22:25])
    if planes > _MAX_BIT_PLANES:
        raise TileError(f"H-compress stream of {planes} bit planes")
    # A quadtree node takes at most 6 bits in each bit plane, and no more nodes exist than pixels;
    # the signs take a bit per pixel. With this many zeros appended, no decoder reads past the end.
    n_pixels = n_y * n_x
    padded = np.zeros(len(stream) + n_pixels * (6 * planes + 2) // 8 + GUARD_BYTES, np.uint8)
    padded[: len(stream)] = stream
    decoded = _call(_compression.decompress_hcompress_1_c, padded, n_y, n_x, scale, int(smooth), 8)
    pixels = np.frombuffer(decoded, np.int32)
    if len(pixels) != n_pixels:
        raise TileError(f"H-compress stream of {len(pixels)} pixels in a tile of {n_pixels}")
    return pixels


def _call(function: Callable[..., bytes], *arguments: object) -> bytes:
    try:
        return function(*arguments)
    except (_compression.CfitsioException, ValueError) as error:
        raise TileError(str(error)) from error
    except SystemError as error:
        # The routines signal some faults by returning nothing, which Python reports in this way.
        raise TileError("the stream cannot be decoded") from error
