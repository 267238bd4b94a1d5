"""Square cutouts around sources, from images that may be larger than memory.

Convention: a source at 0-based pixel x has the integer pixel p = floor(x + 0.5); the cutout holds
the columns p - size // 2 ... p - size // 2 + size - 1, so that with size 96 the source lands at
index 48. Rows likewise. Pixels outside the image are NaN.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import IO

import numpy as np
from astropy.coordinates import SkyCoord
from astropy.io.fits import Header
from astropy.wcs import WCS
from astropy.wcs.utils import wcs_to_celestial_frame
from numpy.typing import NDArray

from astro_common.atomic import output_error
from astro_common.errors import InputError
from astro_common.fits.celestial import celestial_wcs
from splus_hypercube.scratch import Scratch, write_all

__all__ = ["ImageStrips", "SourcePixels", "cut", "source_pixels"]

Float = NDArray[np.float64]
Image = NDArray[np.float32]


class SourcePixels:
    """Where sources lie on an image.

    Attributes
    ----------
    x, y : ndarray of int64, shape (n,)
        Integer pixels, 0-based; far outside the image where the position is unknown.
    dx, dy : ndarray of float64, shape (n,)
        Sub-pixel offsets in [-0.5, 0.5); NaN where the position is unknown.
    """

    FAR = -(2**40)

    def __init__(self, x: Float, y: Float) -> None:
        self.x, self.dx = self._split(x)
        self.y, self.dy = self._split(y)

    @classmethod
    def _split(cls, position: Float) -> tuple[NDArray[np.int64], Float]:
        # A WCS may put a position on the far side of the sky anywhere, also beyond an int64.
        known = np.abs(position) < 2.0**40
        pixel = np.floor(np.where(known, position, 0.0) + 0.5).astype(np.int64)
        offset = np.where(known, position - pixel, np.nan)
        return np.where(known, pixel, cls.FAR), offset


def source_pixels(header: Header, ra: Float, dec: Float, path: Path) -> SourcePixels:
    """Where positions on the sky lie on an image, by its world coordinate system.

    Parameters
    ----------
    header : astropy.io.fits.Header
    ra, dec : ndarray of float64, shape (n,)
        ICRS degrees; NaN where unknown.
    path : Path
        The image, for messages.

    Returns
    -------
    SourcePixels

    Raises
    ------
    InputError
        If the header has no celestial WCS that can be used.
    """
    known = np.isfinite(ra) & np.isfinite(dec)
    x = np.full(len(ra), np.nan)
    y = np.full(len(ra), np.nan)
    wcs = celestial_wcs(header, path)
    try:
        # The header's own frame: ICRS, or FK5 where RADESYS says so or is missing.
        frame = wcs_to_celestial_frame(wcs)
        sky = SkyCoord(ra[known], dec[known], unit="deg", frame="icrs").transform_to(frame)
        lon, lat = sky.spherical.lon.deg, sky.spherical.lat.deg
        world = np.empty((len(lon), 2))
        world[:, wcs.wcs.lng], world[:, wcs.wcs.lat] = lon, lat
        pixels = wcs.all_world2pix(world, 0, quiet=True)
        # TAN maps the far hemisphere onto the image too.
        pixels[~_same_side(wcs, lon, lat)] = np.nan
    except Exception as error:  # wcslib has many error classes; all are about this header
        raise InputError(path, f"a WCS that cannot be used ({error})", "a valid one") from error
    x[known], y[known] = pixels[:, 0], pixels[:, 1]
    return SourcePixels(x, y)


def _same_side(wcs: WCS, lon: Float, lat: Float) -> NDArray[np.bool_]:
    """Which positions lie in the hemisphere of the image's reference point."""
    centre = np.deg2rad(wcs.wcs.crval)
    alpha, delta = np.deg2rad(lon), np.deg2rad(lat)
    cosine = np.sin(delta) * np.sin(centre[wcs.wcs.lat])
    cosine += np.cos(delta) * np.cos(centre[wcs.wcs.lat]) * np.cos(alpha - centre[wcs.wcs.lng])
    return np.asarray(cosine > 0.0)


def cut(
    image: Image,
    x: NDArray[np.int64],
    y: NDArray[np.int64],
    out: NDArray[np.float32],
    *,
    first_row: int = 0,
    rows: NDArray[np.int64] | None = None,
) -> None:
    """Copy cutouts out of an image, or out of a strip of its rows.

    Parameters
    ----------
    image : ndarray of float32, shape (n_y, n_x)
    x, y : ndarray of int64, shape (n,)
        Integer pixels of the sources in the whole image.
    out : ndarray of float32, shape (n, size, size)
        Where the cutouts go; pixels outside the image are left as they are.
    first_row : int
        Row of the whole image that is row 0 of `image`.
    rows : ndarray of int64, optional
        Which of the n sources to cut; all by default.
    """
    size = out.shape[-1]
    n_y, n_x = image.shape
    if rows is None:
        rows = np.arange(len(x))
    left = x[rows] - size // 2
    low = y[rows] - size // 2 - first_row
    inside = (left >= 0) & (left + size <= n_x) & (low >= 0) & (low + size <= n_y)
    for k, row, column in zip(*(v[inside].tolist() for v in (rows, low, left)), strict=True):
        out[k] = image[row : row + size, column : column + size]
    edge = (left < n_x) & (left + size > 0) & (low < n_y) & (low + size > 0) & ~inside
    for k, row, column in zip(*(v[edge].tolist() for v in (rows, low, left)), strict=True):
        row0, row1 = max(row, 0), min(row + size, n_y)
        column0, column1 = max(column, 0), min(column + size, n_x)
        out[k, row0 - row : row1 - row, column0 - column : column1 - column] = image[
            row0:row1, column0:column1
        ]


class ImageStrips:
    """One band's image as strips of rows, each decompressed once and dropped after its last use.

    For a catalogue that runs roughly along y, as SExtractor writes it, only a few strips are needed
    at a time. In any other order strips pile up; those beyond the memory allowed go to an unlinked
    temporary file, from which the pixels of single cutouts are read.

    Parameters
    ----------
    read : callable
        Gives the rows from ``start`` up to ``stop`` of the image as float32.
    shape : (int, int)
        n_y, n_x of the image.
    y : ndarray of int64, shape (n,)
        Integer pixels of all sources, in the order in which they will be cut.
    size_px : int
        Side of a cutout.
    scratch : Scratch
        Gives the temporary file.
    memory_bytes : int
        Memory that strips may take.
    tile_rows : int
        Height of the image's compressed tiles.
    """

    MIN_STRIP_ROWS = 256

    def __init__(
        self,
        read: Callable[[int, int], Image],
        shape: tuple[int, int],
        y: NDArray[np.int64],
        size_px: int,
        scratch: Scratch,
        memory_bytes: int,
        tile_rows: int = 1,
    ) -> None:
        # Whole rows of tiles, so that no tile is decompressed twice.
        self._strip_rows = -(-self.MIN_STRIP_ROWS // tile_rows) * tile_rows
        self._read = read
        self.shape = shape
        self._size = size_px
        self._scratch = scratch
        n_y, n_x = shape
        self._strip_bytes = max(min(self._strip_rows, n_y) * n_x * 4, 1)
        # The strips of one cutout must fit into memory together.
        self._max_strips = max(memory_bytes // self._strip_bytes, size_px // self._strip_rows + 3)
        self._strips: dict[int, Image] = {}
        # Descriptor of the temporary file, and where in it a strip begins.
        self._spilled: dict[int, tuple[int, int]] = {}
        self._file: IO[bytes] | None = None
        self._last_use = self._last_uses(y)

    def _needed(self, y: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """First and last strip of each source's cutout; first > last outside the image."""
        low = np.maximum(y - self._size // 2, 0)
        high = np.minimum(y - self._size // 2 + self._size, self.shape[0]) - 1
        first, last = low // self._strip_rows, high // self._strip_rows
        outside = high < low
        return np.where(outside, 1, first), np.where(outside, 0, last)

    def _last_uses(self, y: NDArray[np.int64]) -> NDArray[np.int64]:
        """The last source that needs each strip, -1 for none."""
        uses = np.full(-(-self.shape[0] // self._strip_rows), -1, dtype=np.int64)
        first, last = self._needed(y)
        number = np.arange(len(y))
        for step in range(int((last - first).max(initial=-1)) + 1):
            inside = first + step <= last
            np.maximum.at(uses, (first + step)[inside], number[inside])
        return uses

    def cut(
        self,
        start: int,
        x: NDArray[np.int64],
        y: NDArray[np.int64],
        out: NDArray[np.float32],
    ) -> None:
        """Cut the next sources.

        Parameters
        ----------
        start : int
            Number of the first of them among all sources; calls come in order.
        x, y : ndarray of int64, shape (n,)
        out : ndarray of float32, shape (n, size_px, size_px)
            Where the cutouts go, NaN outside the image.

        Raises
        ------
        InputError
            If the image is damaged.
        OutputError
            If the temporary file cannot be written.
        """
        out.fill(np.nan)
        first, last = self._needed(y)
        for strip in range(int(first.min(initial=0)), int(last.max(initial=-1)) + 1):
            rows = np.flatnonzero((first <= strip) & (strip <= last))
            if len(rows):
                self._cut_from_strip(strip, rows, x, y, out)
        done = start + len(y)
        for strip in [number for number in self._strips if self._last_use[number] < done]:
            del self._strips[strip]

    def _cut_from_strip(
        self,
        strip: int,
        rows: NDArray[np.int64],
        x: NDArray[np.int64],
        y: NDArray[np.int64],
        out: NDArray[np.float32],
    ) -> None:
        first_row = strip * self._strip_rows
        if strip in self._spilled and strip not in self._strips:
            self._cut_from_file(strip, rows, x, y, out)
            return
        if strip not in self._strips:
            stop = min(first_row + self._strip_rows, self.shape[0])
            self._make_room()
            self._strips[strip] = self._read(first_row, stop)
        cut(self._strips[strip], x, y, out, first_row=first_row, rows=rows)

    def _make_room(self) -> None:
        while len(self._strips) >= self._max_strips:
            strip = next(iter(self._strips))
            image = self._strips.pop(strip)
            try:
                if self._file is None:
                    self._file = self._scratch.open()
                offset = os.lseek(self._file.fileno(), 0, os.SEEK_END)
                write_all(self._file.fileno(), np.ascontiguousarray(image))
            except OSError as error:
                raise output_error(self._scratch.folder, error) from error
            self._spilled[strip] = (self._file.fileno(), offset)

    def _cut_from_file(
        self,
        strip: int,
        rows: NDArray[np.int64],
        x: NDArray[np.int64],
        y: NDArray[np.int64],
        out: NDArray[np.float32],
    ) -> None:
        """Cut from a strip in the temporary file, of which only the cutouts' pixels are read."""
        n_y, n_x = self.shape
        first_row = strip * self._strip_rows
        stop_row = min(first_row + self._strip_rows, n_y)
        file, offset = self._spilled[strip]
        for k in rows.tolist():
            left, low = int(x[k]) - self._size // 2, int(y[k]) - self._size // 2
            column0, column1 = max(left, 0), min(left + self._size, n_x)
            row0, row1 = max(low, first_row), min(low + self._size, stop_row)
            if column0 >= column1:
                continue
            for row in range(row0, row1):
                place = offset + ((row - first_row) * n_x + column0) * 4
                values = np.frombuffer(os.pread(file, (column1 - column0) * 4, place), np.float32)
                out[k, row - low, column0 - left : column1 - left] = values
