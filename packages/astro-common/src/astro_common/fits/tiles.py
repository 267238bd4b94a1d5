"""Tile-compressed images (``.fz``), of which only the tiles with wanted rows are decoded."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from astro_common.errors import InputError
from astro_common.fits.codecs import (
    GUARD_BYTES,
    TileError,
    decode_gzip,
    decode_hcompress,
    decode_plio,
    decode_rice,
)
from astro_common.fits.columns import Column
from astro_common.fits.content import DEFLATE_RATIO, Content
from astro_common.fits.headers import HduInfo, hdu_error, header_integer, header_number
from astro_common.fits.image_headers import image_header
from astro_common.fits.images import STORED_DTYPES, FitsImage, Scaling, allocate
from astro_common.fits.quantization import dequantize
from astro_common.fits.rows import Rows, resolve_rows
from astro_common.fits.tables import BinaryTable
from astro_common.fits.tile_layout import read_tile_layout

__all__ = ["TiledImage"]

Integers = npt.NDArray[np.int64]
Bytes = npt.NDArray[np.uint8]
Pixels = npt.NDArray[Any]

# Where a tile may be stored; one that does not compress well is in one of the later columns.
_DATA_COLUMNS: Final = ("COMPRESSED_DATA", "GZIP_COMPRESSED_DATA", "UNCOMPRESSED_DATA")

# Compressed bytes that are read together; those of one strip always are.
_READ_BYTES: Final = 1 << 20
_NO_BYTES: Final = np.empty(0, np.uint8)


@dataclass(frozen=True)
class _Tiles:
    """Where each tile is stored, and its scale, zero and blank value; one entry per tile."""

    columns: tuple[Column, ...]
    sizes: tuple[Integers, ...]
    offsets: tuple[Integers, ...]
    scales: list[float] | None
    zeros: list[float] | None
    blanks: list[int | None]


class TiledImage(FitsImage):
    """An image that is stored as compressed tiles in a binary table.

    Raises
    ------
    InputError
        Keywords of the compression are missing, wrong, or do not agree with the table.
    """

    def __init__(self, content: Content, info: HduInfo) -> None:
        self._content = content
        self._info = info
        path, index, header = content.path, info.index, info.header
        self._table = BinaryTable(content, info)
        self._layout = read_tile_layout(path, index, header, self._table.num_rows)
        bitpix = header_integer(path, index, header, "ZBITPIX", minimum=-64)
        if bitpix not in STORED_DTYPES:
            raise self._error(f"ZBITPIX = {bitpix}", f"one of {[*STORED_DTYPES]}")
        self.header = image_header(header)
        self._scaling = Scaling(content, info, self.header)
        self.shape = self._layout.shape
        self.dtype = self._scaling.dtype
        self.strip_rows = self._layout.tile_shape[0]
        self._is_float = bitpix < 0
        self._cached_tiles: _Tiles | None = None

    def read(self, rows: Rows = None) -> Pixels:
        """Read rows along the first axis; see `FitsImage.read`."""
        numbers = resolve_rows(rows, self.shape[0])
        strips = np.unique(np.asarray(numbers, np.int64) // self.strip_rows)
        self._check_plausible(strips)
        pixels = allocate(self._content, self._info, (len(numbers), *self.shape[1:]), self.dtype)
        with np.errstate(all="ignore"):
            self._decode(numbers, strips, pixels)
        return pixels

    def _decode(self, numbers: range | Integers, strips: Integers, pixels: Pixels) -> None:
        ordered = isinstance(numbers, range) and numbers.step == 1
        places = np.asarray(numbers)
        for strip_number, streams in self._streams(strips):
            first = strip_number * self.strip_rows
            last = min(first + self.strip_rows, self.shape[0])
            if ordered and numbers[0] <= first and last - 1 <= numbers[-1]:
                strip = pixels[first - numbers[0] : last - numbers[0]]
                self._decode_strip(strip_number, streams, strip)
                continue
            shape = (last - first, *self.shape[1:])
            strip = allocate(self._content, self._info, shape, self.dtype)
            self._decode_strip(strip_number, streams, strip)
            inside = np.flatnonzero((places >= first) & (places < last))
            pixels[inside] = strip[places[inside] - first]

    def _error(self, found: str, expected: str, action: str = "") -> InputError:
        return hdu_error(self._content.path, self._info.index, found, expected, action)

    @property
    def _tiles(self) -> _Tiles:
        if self._cached_tiles is None:
            self._cached_tiles = self._read_tiles()
        return self._cached_tiles

    def _read_tiles(self) -> _Tiles:
        names = {column.name: column for column in self._table.columns}
        columns = tuple(names[name] for name in _DATA_COLUMNS if name in names)
        if not columns or columns[0].name != _DATA_COLUMNS[0]:
            found = ", ".join(list(names)[:10])
            raise self._error(f"columns {found}", f"a column {_DATA_COLUMNS[0]}")
        if "NULL_PIXEL_MASK" in names:
            raise self._error("a NULL_PIXEL_MASK", "no such mask", "decompress it with funpack")
        sizes, offsets = [], []
        for column in columns:
            count, offset = self._table.descriptors(column.name)
            sizes.append(self._table.heap.sizes(column, count))
            offsets.append(offset)
        return _Tiles(
            columns,
            tuple(sizes),
            tuple(offsets),
            self._numbers("ZSCALE", names),
            self._numbers("ZZERO", names),
            self._blanks(names),
        )

    def _numbers(self, name: str, columns: Mapping[str, Column]) -> list[float] | None:
        if not self._is_float:
            return None
        if name in columns:
            column = columns[name]
            if column.descriptor or column.list_size != 1 or column.code not in "ED":
                raise self._error(f"column {name!r} of type {column.code}", "TFORM 1D")
            return list(self._table.read([name]).column(0).to_pylist())
        number = header_number(self._content.path, self._info.index, self._info.header, name)
        return None if number is None else [float(number)] * self._table.num_rows

    def _blanks(self, columns: Mapping[str, Column]) -> list[int | None]:
        if "ZBLANK" in columns:
            column = columns["ZBLANK"]
            if not self._is_float:
                raise self._error(
                    "a ZBLANK column in an image of integers",
                    "a keyword BLANK",
                    "decompress it with funpack",
                )
            if column.descriptor or column.list_size != 1 or column.code not in "BIJK":
                raise self._error(f"column 'ZBLANK' of type {column.code}", "TFORM 1J")
            return list(self._table.read(["ZBLANK"]).column(0).to_pylist())
        path, index, header = self._content.path, self._info.index, self._info.header
        blank = None
        if self._is_float and "ZBLANK" in header:
            blank = header_integer(path, index, header, "ZBLANK", minimum=-(1 << 63))
        return [blank] * self._table.num_rows

    def _check_plausible(self, strips: Integers) -> None:
        # Done before memory is allocated: a few bytes cannot hold many pixels.
        limits = (self._layout.max_pixels_per_byte, DEFLATE_RATIO, 1)
        n_bytes = most = 0
        for column, sizes in zip(self._tiles.columns, self._tiles.sizes, strict=True):
            found = int(sizes.reshape(-1, self._layout.tiles_per_strip)[strips].sum())
            n_bytes += found
            most += found * limits[_DATA_COLUMNS.index(column.name)]
        n_pixels = len(strips) * self.strip_rows * math.prod(self.shape[1:])
        if n_pixels > 2 * most + (1 << 16):
            raise self._error(
                f"tiles of {n_bytes} bytes for {n_pixels} pixels",
                f"at most {most} pixels, compressed with {self._layout.algorithm}",
            )

    def _streams(self, strips: Integers) -> Iterator[tuple[int, list[list[Bytes]]]]:
        # Yields each strip with the bytes of its tiles, per column of data. Small strips are read
        # together.
        per_strip = self._layout.tiles_per_strip
        tiles = self._tiles
        n_bytes = sum(sizes.reshape(-1, per_strip)[strips].sum(axis=1) for sizes in tiles.sizes)
        ends = np.cumsum(n_bytes)
        first = 0
        while first < len(strips):
            limit = ends[first] + _READ_BYTES
            last = int(np.searchsorted(ends, limit, side="right"))
            numbers = (strips[first:last, None] * per_strip + np.arange(per_strip)).reshape(-1)
            streams = [
                self._cut(sizes[numbers], offsets[numbers])
                for sizes, offsets in zip(tiles.sizes, tiles.offsets, strict=True)
            ]
            for place, strip_number in enumerate(strips[first:last].tolist()):
                part = slice(place * per_strip, (place + 1) * per_strip)
                yield strip_number, [stream[part] for stream in streams]
            first = last

    def _cut(self, sizes: Integers, offsets: Integers) -> list[Bytes]:
        if not sizes.any():
            return [_NO_BYTES] * len(sizes)
        gathered = self._table.heap.gather(sizes, offsets, GUARD_BYTES)
        ends = np.cumsum(sizes).tolist()
        return [gathered[a:b] for a, b in zip([0, *ends[:-1]], ends, strict=True)]

    def _decode_strip(self, strip_number: int, streams: list[list[Bytes]], out: Pixels) -> None:
        # Decodes all tiles that share these rows; `out` has the shape of the strip.
        first = strip_number * self._layout.tiles_per_strip
        for place, corner in enumerate(np.ndindex(self._layout.grid[1:])):
            sides = zip(corner, self._layout.tile_shape[1:], strict=True)
            region = out[(slice(None), *(slice(i * t, (i + 1) * t) for i, t in sides))]
            data = [stream[place] for stream in streams]
            number = first + place
            try:
                self._decode_tile(number, data, region)
            except TileError as error:
                raise self._error(
                    f"tile {number + 1}: {error}", "an intact tile", "fetch the file again"
                ) from error

    def _decode_tile(self, number: int, data: list[Bytes], out: Pixels) -> None:
        tiles = self._tiles
        used = next((place for place, stream in enumerate(data) if len(stream)), None)
        if used is None:
            raise TileError("no data")
        name = tiles.columns[used].name
        if name == "COMPRESSED_DATA":
            stored = self._decompress(data[used], out.shape)
        elif name == "GZIP_COMPRESSED_DATA":
            stored = _big_endian(decode_gzip(data[used], out.size * 8), out.size, self._is_float)
        else:
            stored = data[used].view(tiles.columns[used].stored)
        if stored.size != out.size:
            raise TileError(f"{stored.size} pixels, not the {out.size} of the tile")
        if self._is_float and stored.dtype.kind != "f":
            stored = dequantize(
                stored,
                1.0 if tiles.scales is None else tiles.scales[number],
                0.0 if tiles.zeros is None else tiles.zeros[number],
                dither=self._layout.dither,
                seed=number + self._layout.seed,
                blank=tiles.blanks[number],
            )
        self._scaling.apply(stored.reshape(out.shape), out)

    def _decompress(self, stream: Bytes, shape: tuple[int, ...]) -> Pixels:
        layout = self._layout
        n_pixels = math.prod(shape)
        if layout.algorithm == "RICE_1":
            return decode_rice(stream, n_pixels, layout.block_size, layout.pixel_bytes)
        if layout.algorithm == "PLIO_1":
            return decode_plio(stream, n_pixels)
        if layout.algorithm == "HCOMPRESS_1":
            sides = tuple(side for side in shape if side != 1)
            if len(sides) != 2:
                raise TileError(f"H-compress tile of {shape} pixels")
            return decode_hcompress(stream, sides, layout.scale, layout.smooth)
        lossless = self._is_float and self._tiles.scales is None
        if layout.algorithm == "NOCOMPRESS":
            return _big_endian(stream, n_pixels, lossless)
        values = decode_gzip(stream, n_pixels * 8)
        if layout.algorithm == "GZIP_2" and values.size % n_pixels == 0:
            values = np.ascontiguousarray(values.reshape(-1, n_pixels).T).reshape(-1)
        return _big_endian(values, n_pixels, lossless)


def _big_endian(values: Bytes, n_pixels: int, is_float: bool) -> Pixels:
    # The width of a pixel follows from the length of the tile: writers may store narrower integers
    # than ZBITPIX says.
    width, rest = divmod(values.size, n_pixels)
    if rest or width not in ((4, 8) if is_float else (1, 2, 4, 8)):
        raise TileError(f"{values.size} bytes for {n_pixels} pixels")
    return values.view(f">f{width}" if is_float else f">i{width}" if width > 1 else "u1")
