"""Open a FITS file and find its tables and images."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from astropy.io.fits import Header

from astro_common.errors import InputError
from astro_common.fits.ascii_tables import AsciiTable
from astro_common.fits.content import Content, open_content
from astro_common.fits.headers import HduInfo, hdu_error, header_integer, scan
from astro_common.fits.images import FitsImage, PlainImage
from astro_common.fits.rows import Rows
from astro_common.fits.tables import BinaryTable, FitsTable
from astro_common.fits.tiles import TiledImage

__all__ = ["FitsFile", "open_fits", "read_header", "read_image", "read_table"]

StrPath = str | os.PathLike[str]


class FitsFile:
    """An open FITS file, made by `open_fits` and used in a ``with`` block.

    Attributes
    ----------
    path : Path
        The file.
    hdus : tuple of HduInfo
        Its header-and-data units.
    """

    def __init__(self, content: Content) -> None:
        self._content = content
        self.path = content.path
        self.hdus: tuple[HduInfo, ...] = scan(content)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; tables and images taken from it can no longer be read."""
        self._content.close()

    def has(self, hdu: int | str) -> bool:
        """Whether there is an HDU with this number or EXTNAME (in any case)."""
        return self._find(hdu) is not None

    def info(self, hdu: int | str) -> HduInfo:
        """Return the HDU with this number or EXTNAME (in any case), or raise `InputError`."""
        found = self._find(hdu)
        if found is None:
            names = ", ".join(f"{info.index} {info.name}".strip() for info in self.hdus[:20])
            more = " ..." if len(self.hdus) > 20 else ""
            raise InputError(self.path, f"no HDU {hdu!r}", f"one of {names}{more}")
        return found

    def header(self, hdu: int | str) -> Header:
        """Return the header of an HDU; for a compressed image, the header of the image itself."""
        info = self.info(hdu)
        return self.image(hdu).header if info.kind == "compressed_image" else info.header

    def table(self, hdu: int | str | None = None) -> FitsTable:
        """Return a table, by default the first one in the file."""
        kinds = ("table", "ascii_table", "compressed_table")
        info = self.info(hdu) if hdu is not None else self._first(kinds, "table")
        if info.kind == "table":
            return BinaryTable(self._content, info)
        if info.kind == "ascii_table":
            return AsciiTable(self._content, info)
        if info.kind == "compressed_table":
            raise hdu_error(
                self.path,
                info.index,
                "a tile-compressed table",
                "a table that is not compressed",
                "decompress it with funpack",
            )
        raise hdu_error(self.path, info.index, f"of kind {info.kind}", "a table")

    def image(self, hdu: int | str | None = None) -> FitsImage:
        """Return an image, by default the first two-dimensional one in the file.

        If no image has two dimensions, the default is the first image of any dimension.
        """
        info = self.info(hdu) if hdu is not None else self._first_image()
        if info.kind == "image":
            return PlainImage(self._content, info)
        if info.kind == "compressed_image":
            return TiledImage(self._content, info)
        raise hdu_error(self.path, info.index, f"of kind {info.kind}", "an image")

    def _find(self, hdu: int | str) -> HduInfo | None:
        if isinstance(hdu, str):
            name = hdu.strip().casefold()
            return next((info for info in self.hdus if info.name.casefold() == name), None)
        return self.hdus[hdu] if 0 <= hdu < len(self.hdus) else None

    def _first(self, kinds: Sequence[str], what: str) -> HduInfo:
        for info in self.hdus:
            if info.kind in kinds:
                return info
        raise InputError(self.path, f"no {what} in its {len(self.hdus)} HDUs", f"a {what}")

    def _first_image(self) -> HduInfo:
        for info in self.hdus:
            if info.kind in ("image", "compressed_image"):
                keyword = "NAXIS" if info.kind == "image" else "ZNAXIS"
                if header_integer(self.path, info.index, info.header, keyword) == 2:
                    return info
        return self._first(("image", "compressed_image"), "image")


def open_fits(path: StrPath) -> FitsFile:
    """Open a FITS file, plain or gzip, and check its structure.

    Parameters
    ----------
    path : path-like
        The file. Its name does not matter: gzip is recognised by its first bytes.

    Returns
    -------
    FitsFile
        For use in a ``with`` block.

    Raises
    ------
    InputError
        The file is missing, cut short, damaged, or not FITS.
    OutputError
        There is no room for the content of a gzip stream in the temporary folder.
    """
    content = open_content(Path(path))
    try:
        return FitsFile(content)
    except BaseException:
        content.close()
        raise


def read_table(
    path: StrPath,
    hdu: int | str | None = None,
    columns: Sequence[str] | None = None,
    rows: Rows = None,
) -> pa.Table:
    """Read a table, or some columns and rows of it; see `FitsTable.read`."""
    with open_fits(path) as file:
        return file.table(hdu).read(columns, rows)


def read_image(path: StrPath, hdu: int | str | None = None) -> npt.NDArray[np.generic]:
    """Read an image; see `FitsImage.read`."""
    with open_fits(path) as file:
        return file.image(hdu).read()


def read_header(path: StrPath, hdu: int | str = 0) -> Header:
    """Read a header; see `FitsFile.header`."""
    with open_fits(path) as file:
        return file.header(hdu)
