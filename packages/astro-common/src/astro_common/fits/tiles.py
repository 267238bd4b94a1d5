"""Tile-compressed images (``.fz``): only the tiles that hold the wanted rows are decoded.

The keywords are those of the FITS Standard 4.0, section 10.1.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
from astropy.io.fits import Header

from astro_common.errors import InputError
from astro_common.fits.codecs import (
    GUARD_BYTES,
    MAX_PIXELS_PER_BYTE,
    MAX_RICE_BLOCK,
    MAX_TILE_PIXELS,
    TileError,
    decode_gzip,
    decode_hcompress,
    decode_plio,
    decode_rice,
    rice_pixels_per_byte,
)
from astro_common.fits.columns import Column
from astro_common.fits.content import DEFLATE_RATIO, Content
from astro_common.fits.headers import (
    HduInfo,
    hdu_error,
    header_integer,
    header_number,
    header_text,
)
from astro_common.fits.image_headers import image_header
from astro_common.fits.images import STORED_DTYPES, FitsImage, Scaling, allocate
from astro_common.fits.quantization import dequantize
from astro_common.fits.rows import Rows, resolve_rows
from astro_common.fits.tables import BinaryTable

__all__ = ["TiledImage"]

Integers = npt.NDArray[np.int64]
Bytes = npt.NDArray[np.uint8]

_DITHERS: Final = {
    "": 0,
    "NONE": 0,
    "NO_DITHER": 0,
    "SUBTRACTIVE_DITHER_1": 1,
    "SUBTRACTIVE_DITHER_2": 2,
}
_ALGORITHMS: Final = ("RICE_1", "RICE_ONE", "GZIP_1", "GZIP_2", "PLIO_1", "HCOMPRESS_1", "NOCOMPRESS")

# Where a tile may lie; a tile that did not compress well is in one of the later columns.
_DATA_COLUMNS: Final = ("COMPRESSED_DATA", "GZIP_COMPRESSED_DATA", "UNCOMPRESSED_DATA")


# Compressed bytes that are read together, at least one row of tiles.
_READ_BYTES: Final = 1 << 20
_NO_BYTES: Final = np.empty(0, np.uint8)


@dataclass(frozen=True)
class _Codec:
    """The settings of the compression, from ZCMPTYPE, ZNAMEn and ZVALn."""

    algorithm: str
    block_size: int
    pixel_bytes: int
    scale: int
    smooth: bool

    @property
    def max_pixels_per_byte(self) -> int:
        if self.algorithm == "RICE_1":
            return max(rice_pixels_per_byte(self.block_size, self.pixel_bytes), DEFLATE_RATIO)
        return max(MAX_PIXELS_PER_BYTE[self.algorithm], DEFLATE_RATIO)


@dataclass(frozen=True)
class _Tiles:
    """Where each tile lies, and the numbers that go with it; one entry per tile."""

    columns: tuple[Column, ...]
    counts: tuple[Integers, ...]
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
        self._table = BinaryTable(content, info)
        self.shape = self._axes("ZNAXIS", 0)
        self._tile_shape = self._axes("ZTILE", 1)
        self._grid = tuple(-(-n // t) for n, t in zip(self.shape, self._tile_shape, strict=True))
        if math.prod(self._grid) != self._table.num_rows:
            raise self._error(
                f"{self._table.num_rows} tiles in the table",
                f"{math.prod(self._grid)} of {self._tile_shape} pixels in an image of {self.shape}",
            )
        if math.prod(self._tile_shape) > MAX_TILE_PIXELS:
            raise self._error(f"tiles of {self._tile_shape} pixels", f"at most {MAX_TILE_PIXELS}")
        self._codec = self._read_codec()
        if self._integer("ZBITPIX", minimum=-64) not in STORED_DTYPES:
            raise self._error(f"ZBITPIX = {info.header['ZBITPIX']}", f"{tuple(STORED_DTYPES)}")
        self.header: Header = image_header(info.header)
        self._scaling = Scaling(content, info, self.header)
        self.dtype = self._scaling.dtype
        self.strip_rows = self._tile_shape[0]
        self._is_float = self._scaling.stored.kind == "f"
        self._read_dither()
        self._cached_tiles: _Tiles | None = None

    def read(self, rows: Rows = None) -> npt.NDArray[np.generic]:
        """Read rows along the first axis; see `FitsImage.read`."""
        numbers = resolve_rows(rows, self.shape[0])
        wanted = np.unique(np.asarray(numbers, np.int64) // self.strip_rows)
        self._check_plausible(wanted)
        pixels = allocate(self._content, self._info, (len(numbers), *self.shape[1:]), self.dtype)
        with np.errstate(all="ignore"):
            self._decode(numbers, wanted, pixels)
        return pixels

    def _decode(
        self, numbers: range | Integers, tile_rows: Integers, pixels: npt.NDArray[np.generic]
    ) -> None:
        ordered = isinstance(numbers, range) and numbers.step == 1
        places = np.asarray(numbers)
        for tile_row, streams in self._streams(tile_rows):
            first = tile_row * self.strip_rows
            last = min(first + self.strip_rows, self.shape[0])
            if ordered and numbers[0] <= first and last - 1 <= numbers[-1]:
                strip = pixels[first - numbers[0] : last - numbers[0]]
                self._decode_strip(tile_row, streams, strip)
                continue
            shape = (last - first, *self.shape[1:])
            strip = allocate(self._content, self._info, shape, self.dtype)
            self._decode_strip(tile_row, streams, strip)
            inside = np.flatnonzero((places >= first) & (places < last))
            pixels[inside] = strip[places[inside] - first]

    # The keywords.

    def _error(self, found: str, expected: str, action: str = "") -> InputError:
        return hdu_error(self._content.path, self._info.index, found, expected, action)

    def _integer(self, keyword: str, minimum: int = 0, default: int | None = None) -> int:
        return header_integer(
            self._content.path, self._info.index, self._info.header, keyword,
            minimum=minimum, default=default,
        )  # fmt: skip

    def _axes(self, keyword: str, minimum: int) -> tuple[int, ...]:
        # In the order of NumPy: the last keyword is the first axis.
        n_axes = self._integer("ZNAXIS", minimum=1)
        if n_axes > 9:
            raise self._error(f"ZNAXIS = {n_axes}", "at most 9")
        sizes = []
        for axis in range(n_axes, 0, -1):
            length = self._integer(f"ZNAXIS{axis}", minimum=1)
            if keyword == "ZTILE":
                # Without ZTILEn, a tile is a row of the image.
                default = length if axis == 1 else 1
                length = min(length, self._integer(f"ZTILE{axis}", minimum, default))
            sizes.append(length)
        return tuple(sizes)

    def _read_codec(self) -> _Codec:
        header = self._info.header
        algorithm = header_text(header, "ZCMPTYPE")
        if algorithm not in _ALGORITHMS:
            raise self._error(f"ZCMPTYPE = {algorithm!r}", f"one of {', '.join(_ALGORITHMS)}")
        settings: dict[str, int] = {}
        for number in range(1, 1000):
            name = header_text(header, f"ZNAME{number}").upper()
            if not name:
                break
            value = header_number(
                self._content.path, self._info.index, header, f"ZVAL{number}"
            )
            settings[name] = int(value or 0)
        codec = _Codec(
            "RICE_1" if algorithm == "RICE_ONE" else algorithm,
            settings.get("BLOCKSIZE", 32),
            settings.get("BYTEPIX", 4),
            settings.get("SCALE", 0),
            bool(settings.get("SMOOTH", 0)),
        )
        if not 1 <= codec.block_size <= MAX_RICE_BLOCK:
            raise self._error(f"BLOCKSIZE {codec.block_size} of the Rice code", "16 or 32")
        if codec.pixel_bytes not in (1, 2, 4):
            raise self._error(f"BYTEPIX {codec.pixel_bytes} of the Rice code", "1, 2 or 4")
        if abs(codec.scale) >= 1 << 31:
            raise self._error(f"SCALE {codec.scale} of H-compress", "a 32-bit integer")
        return codec

    def _read_dither(self) -> None:
        header = self._info.header
        method = header_text(header, "ZQUANTIZ")
        if method not in _DITHERS:
            raise self._error(f"ZQUANTIZ = {method!r}", f"one of {', '.join(list(_DITHERS)[1:])}")
        self._dither = _DITHERS[method]
        self._seed = self._integer("ZDITHER0", minimum=1, default=1) if self._dither else 1

    # The table of tiles.

    @property
    def _tiles(self) -> _Tiles:
        if self._cached_tiles is None:
            self._cached_tiles = self._read_tiles()
        return self._cached_tiles

    def _read_tiles(self) -> _Tiles:
        names = {column.name: column for column in self._table.columns}
        columns = tuple(names[name] for name in _DATA_COLUMNS if name in names)
        if not columns or columns[0].name != _DATA_COLUMNS[0]:
            raise self._error(f"columns {', '.join(names)}", f"a column {_DATA_COLUMNS[0]}")
        if "NULL_PIXEL_MASK" in names:
            raise self._error("a NULL_PIXEL_MASK", "no such mask", "decompress it with funpack")
        places = [self._table.descriptors(column.name) for column in columns]
        counts = tuple(count for count, _ in places)
        return _Tiles(
            columns,
            counts,
            tuple(
                self._table.heap.sizes(column, count)
                for column, count in zip(columns, counts, strict=True)
            ),
            tuple(offset for _, offset in places),
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
            return self._table.read([name]).column(0).to_pylist()
        number = header_number(self._content.path, self._info.index, self._info.header, name)
        return None if number is None else [float(number)] * self._table.num_rows

    def _blanks(self, columns: Mapping[str, Column]) -> list[int | None]:
        if "ZBLANK" in columns:
            column = columns["ZBLANK"]
            if not self._is_float:
                raise self._error(
                    "a ZBLANK column in an image of integers", "a keyword BLANK",
                    "decompress it with funpack",
                )  # fmt: skip
            if column.descriptor or column.list_size != 1 or column.code not in "BIJK":
                raise self._error(f"column 'ZBLANK' of type {column.code}", "TFORM 1J")
            return self._table.read(["ZBLANK"]).column(0).to_pylist()
        blank = None
        if self._is_float and "ZBLANK" in self._info.header:
            blank = self._integer("ZBLANK", minimum=-(1 << 63))
        return [blank] * self._table.num_rows

    def _check_plausible(self, tile_rows: Integers) -> None:
        # Before any memory is claimed: so many pixels cannot come of so few bytes.
        per_row = math.prod(self._grid[1:])
        tiles = self._tiles
        n_bytes = sum(int(sizes.reshape(-1, per_row)[tile_rows].sum()) for sizes in tiles.sizes)
        n_pixels = len(tile_rows) * math.prod(self.shape[1:])
        if n_pixels > (n_bytes + 64 * len(tile_rows)) * self._codec.max_pixels_per_byte:
            raise self._error(
                f"tiles of {n_bytes} bytes for {n_pixels} pixels",
                f"at most {self._codec.max_pixels_per_byte} pixels in a byte of "
                f"{self._codec.algorithm}",
            )

    # The pixels.

    def _streams(self, tile_rows: Integers) -> Iterator[tuple[int, list[list[Bytes]]]]:
        # Yields each row of tiles with the bytes of its tiles, per column of data. Small rows of
        # tiles are read together.
        per_row = math.prod(self._grid[1:])
        tiles = self._tiles
        n_bytes = sum(sizes.reshape(-1, per_row)[tile_rows].sum(axis=1) for sizes in tiles.sizes)
        ends = np.cumsum(n_bytes)
        first = 0
        while first < len(tile_rows):
            limit = ends[first] + _READ_BYTES
            last = int(np.searchsorted(ends, limit, side="right"))
            numbers = (tile_rows[first:last, None] * per_row + np.arange(per_row)).reshape(-1)
            streams = [
                self._cut(sizes[numbers], offsets[numbers])
                for sizes, offsets in zip(tiles.sizes, tiles.offsets, strict=True)
            ]
            for place, tile_row in enumerate(tile_rows[first:last].tolist()):
                part = slice(place * per_row, (place + 1) * per_row)
                yield tile_row, [stream[part] for stream in streams]
            first = last

    def _cut(self, sizes: Integers, offsets: Integers) -> list[Bytes]:
        if not sizes.any():
            return [_NO_BYTES] * len(sizes)
        gathered = self._table.heap.gather(sizes, offsets, GUARD_BYTES)
        ends = np.cumsum(sizes).tolist()
        return [gathered[a:b] for a, b in zip([0, *ends[:-1]], ends, strict=True)]

    def _decode_strip(
        self, tile_row: int, streams: list[list[Bytes]], out: npt.NDArray[np.generic]
    ) -> None:
        # All tiles that share these rows; `out` has the shape of the strip.
        first = tile_row * math.prod(self._grid[1:])
        for place, corner in enumerate(np.ndindex(self._grid[1:])):
            region = out[
                (slice(None), *(slice(i * t, (i + 1) * t) for i, t in
                                zip(corner, self._tile_shape[1:], strict=True)))
            ]  # fmt: skip
            data = [stream[place] for stream in streams]
            number = first + place
            try:
                self._decode_tile(number, data, region)
            except TileError as error:
                raise self._error(
                    f"tile {number + 1}: {error}", "an intact tile", "fetch the file again"
                ) from error

    def _decode_tile(
        self, number: int, data: list[Bytes], out: npt.NDArray[np.generic]
    ) -> None:
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
                dither=self._dither,
                seed=number + self._seed,
                blank=tiles.blanks[number],
            )
        self._scaling.apply(stored.reshape(out.shape), out)

    def _decompress(
        self, stream: Bytes, shape: tuple[int, ...]
    ) -> npt.NDArray[np.generic]:
        codec = self._codec
        n_pixels = math.prod(shape)
        if codec.algorithm == "RICE_1":
            return decode_rice(stream, n_pixels, codec.block_size, codec.pixel_bytes)
        if codec.algorithm == "PLIO_1":
            return decode_plio(stream, n_pixels)
        if codec.algorithm == "HCOMPRESS_1":
            sides = tuple(side for side in shape if side != 1)
            if len(sides) != 2:
                raise TileError(f"H-compress tile of {shape} pixels")
            return decode_hcompress(stream, sides, codec.scale, codec.smooth)
        lossless = self._is_float and self._tiles.scales is None
        if codec.algorithm == "NOCOMPRESS":
            return _big_endian(stream, n_pixels, lossless)
        values = decode_gzip(stream, n_pixels * 8)
        if codec.algorithm == "GZIP_2" and values.size % n_pixels == 0:
            values = np.ascontiguousarray(values.reshape(-1, n_pixels).T).reshape(-1)
        return _big_endian(values, n_pixels, lossless)


def _big_endian(values: Bytes, n_pixels: int, is_float: bool) -> npt.NDArray[np.generic]:
    # The width of a pixel follows from the length of the tile: writers store narrower integers
    # than ZBITPIX where these suffice.
    width, rest = divmod(values.size, n_pixels)
    if rest or width not in ((4, 8) if is_float else (1, 2, 4, 8)):
        raise TileError(f"{values.size} bytes for {n_pixels} pixels")
    return values.view(f">f{width}" if is_float else f">i{width}" if width > 1 else "u1")
