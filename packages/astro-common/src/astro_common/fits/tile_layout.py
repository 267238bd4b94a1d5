"""How an image is cut into tiles and compressed, as its header says.

The keywords are those of the FITS Standard 4.0, section 10.1.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from astropy.io.fits import Header

from astro_common.fits.codecs import MAX_PIXELS_PER_BYTE, MAX_RICE_BLOCK, rice_pixels_per_byte
from astro_common.fits.headers import hdu_error, header_integer, header_number, header_text

__all__ = ["TileLayout", "read_tile_layout"]

# CFITSIO's routines count the bytes of a tile of 8-byte pixels in a C int.
_MAX_TILE_PIXELS: Final = 1 << 27
_MAX_AXES: Final = 9

_DITHERS: Final = {
    "": 0,
    "NONE": 0,
    "NO_DITHER": 0,
    "SUBTRACTIVE_DITHER_1": 1,
    "SUBTRACTIVE_DITHER_2": 2,
}
_ALGORITHMS: Final = {
    "RICE_1": "RICE_1",
    "RICE_ONE": "RICE_1",
    "GZIP_1": "GZIP_1",
    "GZIP_2": "GZIP_2",
    "PLIO_1": "PLIO_1",
    "HCOMPRESS_1": "HCOMPRESS_1",
    "NOCOMPRESS": "NOCOMPRESS",
}


@dataclass(frozen=True)
class TileLayout:
    """The tiles of an image and their compression.

    Attributes
    ----------
    shape, tile_shape, grid : tuple of int
        Pixels of the image, pixels of a tile, tiles of the image; the last axis is NAXIS1.
    algorithm : str
        ZCMPTYPE.
    block_size, pixel_bytes : int
        BLOCKSIZE and BYTEPIX of the Rice code.
    scale, smooth : int, bool
        SCALE and SMOOTH of H-compress.
    dither : int
        0 for none, 1 or 2 for the subtractive ditherings.
    seed : int
        ZDITHER0.
    """

    shape: tuple[int, ...]
    tile_shape: tuple[int, ...]
    algorithm: str
    block_size: int
    pixel_bytes: int
    scale: int
    smooth: bool
    dither: int
    seed: int

    @property
    def grid(self) -> tuple[int, ...]:
        """Tiles along each axis (tuple of int)."""
        return tuple(-(-n // t) for n, t in zip(self.shape, self.tile_shape, strict=True))

    @property
    def tiles_per_strip(self) -> int:
        """Number of tiles that share the same rows of the image (int)."""
        return math.prod(self.grid[1:])

    @property
    def max_pixels_per_byte(self) -> int:
        """The most pixels that one byte of a compressed tile can stand for (int)."""
        if self.algorithm == "RICE_1":
            return rice_pixels_per_byte(self.block_size, self.pixel_bytes)
        return MAX_PIXELS_PER_BYTE[self.algorithm]


def read_tile_layout(path: Path, index: int, header: Header, n_tiles: int) -> TileLayout:
    """Read the keywords of the compression and check that they agree.

    Parameters
    ----------
    path, index : Path, int
        File and HDU, for errors.
    header : astropy.io.fits.Header
        Of the table that holds the tiles.
    n_tiles : int
        The rows of that table.

    Raises
    ------
    InputError
        A keyword is missing or wrong, or `n_tiles` does not fit the image.
    """
    shape, tile_shape = _axes(path, index, header)
    algorithm = header_text(header, "ZCMPTYPE")
    if algorithm not in _ALGORITHMS:
        raise hdu_error(path, index, f"ZCMPTYPE = {algorithm!r}", f"one of {[*_ALGORITHMS]}")
    settings = _settings(path, index, header)
    method = header_text(header, "ZQUANTIZ")
    if method not in _DITHERS:
        raise hdu_error(path, index, f"ZQUANTIZ = {method!r}", f"one of {[*_DITHERS][1:]}")
    seed = header_integer(path, index, header, "ZDITHER0", minimum=1, default=1)
    layout = TileLayout(
        shape=shape,
        tile_shape=tile_shape,
        algorithm=_ALGORITHMS[algorithm],
        block_size=settings.get("BLOCKSIZE", 32),
        pixel_bytes=settings.get("BYTEPIX", 4),
        scale=settings.get("SCALE", 0),
        smooth=bool(settings.get("SMOOTH", 0)),
        dither=_DITHERS[method],
        seed=seed,
    )
    if not 1 <= layout.block_size <= MAX_RICE_BLOCK:
        raise hdu_error(path, index, f"BLOCKSIZE {layout.block_size} of Rice", "16 or 32")
    if layout.pixel_bytes not in (1, 2, 4):
        raise hdu_error(path, index, f"BYTEPIX {layout.pixel_bytes} of Rice", "1, 2 or 4")
    if abs(layout.scale) >= 1 << 31:
        raise hdu_error(path, index, f"SCALE {layout.scale} of H-compress", "a 32-bit integer")
    if math.prod(layout.grid) != n_tiles:
        raise hdu_error(
            path,
            index,
            f"{n_tiles} tiles in the table",
            f"{math.prod(layout.grid)} tiles of {tile_shape} pixels in an image of {shape}",
        )
    return layout


def _axes(path: Path, index: int, header: Header) -> tuple[tuple[int, ...], tuple[int, ...]]:
    n_axes = header_integer(path, index, header, "ZNAXIS", minimum=1)
    if n_axes > _MAX_AXES:
        raise hdu_error(path, index, f"ZNAXIS = {n_axes}", f"at most {_MAX_AXES}")
    shape: list[int] = []
    tile_shape: list[int] = []
    # In the order of NumPy: the last keyword is the first axis.
    for axis in range(n_axes, 0, -1):
        length = header_integer(path, index, header, f"ZNAXIS{axis}", minimum=1)
        # Without ZTILEn, a tile is a row of the image.
        default = length if axis == 1 else 1
        tile = header_integer(path, index, header, f"ZTILE{axis}", minimum=1, default=default)
        shape.append(length)
        tile_shape.append(min(tile, length))
    if math.prod(tile_shape) > _MAX_TILE_PIXELS:
        raise hdu_error(
            path, index, f"tiles of {tuple(tile_shape)} pixels", f"at most {_MAX_TILE_PIXELS}"
        )
    return tuple(shape), tuple(tile_shape)


def _settings(path: Path, index: int, header: Header) -> dict[str, int]:
    settings: dict[str, int] = {}
    for number in range(1, 1000):
        name = header_text(header, f"ZNAME{number}").upper()
        if not name:
            break
        value = header_number(path, index, header, f"ZVAL{number}")
        settings[name] = int(value or 0)
    return settings
