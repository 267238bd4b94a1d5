"""Images as NumPy arrays in native byte order, whole or by rows.

BSCALE, BZERO and BLANK are applied as the FITS Standard 4.0, section 4.4.2, prescribes.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import Final

import numpy as np
import numpy.typing as npt
from astropy.io.fits import Header

from astro_common.fits.content import Content
from astro_common.fits.headers import HduInfo, hdu_error, header_integer, header_number
from astro_common.fits.rows import RowReader, Rows, resolve_rows

__all__ = ["STORED_DTYPES", "FitsImage", "PlainImage", "Scaling", "allocate"]

STORED_DTYPES: Final[dict[int, np.dtype[np.generic]]] = {
    8: np.dtype("u1"),
    16: np.dtype(">i2"),
    32: np.dtype(">i4"),
    64: np.dtype(">i8"),
    -32: np.dtype(">f4"),
    -64: np.dtype(">f8"),
}

# The BZERO that stands for unsigned integers, or for signed bytes (Standard, table 11).
_OFFSETS: Final[dict[int, tuple[int, str]]] = {
    8: (-(1 << 7), "i1"),
    16: (1 << 15, "u2"),
    32: (1 << 31, "u4"),
    64: (1 << 63, "u8"),
}


class Scaling:
    """How stored pixels become physical values.

    Integers stay integers if BSCALE is 1, BZERO is 0 or the offset that stands for unsigned
    integers (signed bytes), and there is no BLANK. Otherwise they become float32 (8 and 16 bits)
    or float64, and BLANK becomes NaN. Floating-point images keep their type.

    Parameters
    ----------
    content, info : Content, HduInfo
        File and HDU, for errors.
    header : astropy.io.fits.Header
        The header of the image itself, with BITPIX, BSCALE, BZERO, BLANK.

    Attributes
    ----------
    stored, dtype : numpy.dtype
        Of the pixels in the file, big-endian, and of their physical values, native.

    Raises
    ------
    InputError
        BITPIX, BSCALE, BZERO or BLANK is wrong.
    """

    def __init__(self, content: Content, info: HduInfo, header: Header) -> None:
        path, index = content.path, info.index
        bitpix = header_integer(path, index, header, "BITPIX", minimum=-64)
        if bitpix not in STORED_DTYPES:
            raise hdu_error(path, index, f"BITPIX = {bitpix}", f"one of {tuple(STORED_DTYPES)}")
        scale = header_number(path, index, header, "BSCALE")
        zero = header_number(path, index, header, "BZERO")
        self.stored = STORED_DTYPES[bitpix]
        self.scale = 1.0 if scale is None else float(scale)
        self.zero = 0.0 if zero is None else float(zero)
        self.blank: int | None = None
        if bitpix > 0 and "BLANK" in header:
            self.blank = header_integer(path, index, header, "BLANK", minimum=-(1 << 63))
        self.is_scaled = self.scale != 1 or self.zero != 0
        self.flips_sign = bitpix > 0 and self.scale == 1 and self.zero == _OFFSETS[bitpix][0]
        self.dtype = self._physical_dtype(bitpix)

    def _physical_dtype(self, bitpix: int) -> np.dtype[np.generic]:
        if bitpix < 0:
            return self.stored.newbyteorder("=")
        if self.blank is None and self.flips_sign:
            return np.dtype(_OFFSETS[bitpix][1])
        if self.blank is None and not self.is_scaled:
            return self.stored.newbyteorder("=")
        return np.dtype(np.float32 if bitpix <= 16 else np.float64)

    def apply(self, stored: npt.NDArray[np.generic], out: npt.NDArray[np.generic]) -> None:
        """Write the physical values of `stored` into `out`, of the same shape and `dtype`.

        The caller silences floating-point warnings.
        """
        if self.dtype.kind in "iu":
            if self.flips_sign:
                bits = out.view(f"u{out.itemsize}")
                bits[...] = stored
                bits ^= bits.dtype.type(1 << (8 * out.itemsize - 1))
            else:
                out[...] = stored
            return
        if self.is_scaled:
            # In double precision, since BZERO may be far larger than BSCALE.
            out[...] = stored.astype(np.float64) * self.scale + self.zero
        else:
            out[...] = stored
        if self.blank is not None:
            out[np.asarray(stored == self.blank)] = np.nan


class FitsImage(ABC):
    """An image of any number of dimensions, read on demand while its file is open.

    Attributes
    ----------
    header : astropy.io.fits.Header
        The header of the image, without the keywords of the compression.
    shape : tuple of int
        ``(n_y, n_x)``, or with more axes in front; the last axis is NAXIS1.
    dtype : numpy.dtype
        Of the values that `read` returns; native byte order.
    strip_rows : int
        Rows along the first axis that are compressed together; 1 if the image is not compressed.
        Reading strips that begin at multiples of it decompresses every tile once.
    """

    header: Header
    shape: tuple[int, ...]
    dtype: np.dtype[np.generic]
    strip_rows: int

    @abstractmethod
    def read(self, rows: Rows = None) -> npt.NDArray[np.generic]:
        """Read rows along the first axis.

        Parameters
        ----------
        rows : slice or integer array, optional
            All by default; an array may repeat rows, in any order.

        Returns
        -------
        ndarray
            Shape ``(n_rows, *shape[1:])``, C-contiguous, in native byte order.

        Raises
        ------
        InputError
            Damaged data, or an image that does not fit in memory.
        IndexError
            A row outside the image.
        TypeError
            Rows that are not a slice or a one-dimensional array of integers.
        """


class PlainImage(FitsImage):
    """An image that is not compressed."""

    def __init__(self, content: Content, info: HduInfo) -> None:
        self._content = content
        self._info = info
        self.header = info.header
        n_axes = header_integer(content.path, info.index, info.header, "NAXIS")
        self.shape = tuple(int(info.header[f"NAXIS{axis}"]) for axis in range(n_axes, 0, -1))
        self._scaling = Scaling(content, info, info.header)
        self.dtype = self._scaling.dtype
        self.strip_rows = 1

    def read(self, rows: Rows = None) -> npt.NDArray[np.generic]:
        """Read rows along the first axis; see `FitsImage.read`."""
        numbers = resolve_rows(rows, self.shape[0])
        pixels = allocate(self._content, self._info, (len(numbers), *self.shape[1:]), self.dtype)
        stored = self._scaling.stored
        row_pixels = math.prod(self.shape[1:])
        row_bytes = stored.itemsize * row_pixels
        reader = RowReader(self._content, self._info.data_offset, row_bytes, [(0, row_bytes)])
        flat = pixels.reshape(len(numbers), row_pixels)
        with np.errstate(all="ignore"):
            for block, source, target in reader.blocks(numbers):
                values = block.view(stored)
                if isinstance(target, slice):
                    self._scaling.apply(values, flat[target])
                else:
                    scaled = np.empty((len(target), values.shape[1]), self.dtype)
                    self._scaling.apply(values[source], scaled)
                    flat[target] = scaled
        return pixels


def allocate(
    content: Content, info: HduInfo, shape: tuple[int, ...], dtype: np.dtype[np.generic]
) -> npt.NDArray[np.generic]:
    """Allocate an array for pixels; an `InputError` if memory cannot hold it."""
    try:
        return np.empty(shape, dtype)
    except (MemoryError, ValueError) as error:
        size = dtype.itemsize * math.prod(shape)
        raise hdu_error(
            content.path,
            info.index,
            f"an image of {size} bytes, which memory cannot hold",
            action="read it in strips of rows",
        ) from error
