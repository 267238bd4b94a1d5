"""MegaCam exposures: what the headers say, and the pixels of one CCD after the other.

An archived exposure is a multi-extension FITS file with one image per CCD, 36 until 2014 and 40
since, each 2112 x 4644 pixels of which DATASEC (2048 x 4612) saw the sky. A single image in the
primary HDU is taken for an exposure of one CCD. Nothing that a header lacks is guessed.
"""

from __future__ import annotations

import logging
import math
import os
import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from astropy.io.fits import Header
from astropy.io.fits.verify import VerifyWarning

from astro_common.errors import InputError
from astro_common.fits import FitsFile, open_fits
from cfht_iqa.ccd_state import CcdState, ccd_state

__all__ = [
    "Ccd",
    "CcdHeader",
    "ExposureHeader",
    "exposure_name",
    "iterate_ccds",
    "merged_cards",
    "read_ccd",
    "read_exposure",
]

logger = logging.getLogger(__name__)

_SUFFIX: Final = re.compile(r"\.(fits?|fts)(\.(fz|gz))?\Z", re.IGNORECASE)
_SECTION: Final = re.compile(r"\s*\[\s*(\d+)\s*:\s*(\d+)\s*,\s*(\d+)\s*:\s*(\d+)\s*\]\s*\Z")
# Full scale of the 16-bit converters.
FULL_SCALE_ADU: Final = 65535.0


@dataclass(frozen=True)
class CcdHeader:
    """Where the pixels of a CCD are.

    Attributes
    ----------
    name : str
        EXTNAME of the image, such as ``ccd07``.
    hdu : int
        Its place in the file.
    x_slice, y_slice : tuple of int
        DATASEC as 0-based half-open ranges of columns and rows.
    overscan : tuple of (int, int)
        Ranges of columns beside DATASEC, which saw no light; perhaps none.
    """

    name: str
    hdu: int
    x_slice: tuple[int, int]
    y_slice: tuple[int, int]
    overscan: tuple[tuple[int, int], ...]

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of the trimmed image (tuple of int)."""
        return self.y_slice[1] - self.y_slice[0], self.x_slice[1] - self.x_slice[0]


@dataclass(frozen=True)
class ExposureHeader:
    """What the headers of an exposure say.

    Attributes
    ----------
    path : Path
        The file.
    exposure : str
        Its name without ``.fits``, ``.fits.fz`` or ``.fits.gz``.
    exptime_s, pixel_scale_arcsec : float
        EXPTIME, and PIXSCAL1 in arcsec per pixel.
    filter_name, runid : str or None
        FILTER and RUNID.
    saturation_adu : float
        SATURATE, or the full scale of a 16-bit converter.
    synthetic : bool
        Whether the file says that it is synthetic.
    ccds : tuple of CcdHeader
        Its images.
    """

    path: Path
    exposure: str
    exptime_s: float
    pixel_scale_arcsec: float
    filter_name: str | None
    runid: str | None
    saturation_adu: float
    synthetic: bool
    ccds: tuple[CcdHeader, ...]


@dataclass(frozen=True, eq=False)
class Ccd:
    """The pixels of a CCD.

    Attributes
    ----------
    name : str
        Name of the CCD.
    pixels : ndarray of float32, shape (n_y, n_x)
        The trimmed image, in ADU, with the bias level in it.
    state : CcdState
        Which halves are alive.
    overscan_adu : float
        Median of the overscan; NaN where there is none.
    """

    name: str
    pixels: npt.NDArray[np.float32]
    state: CcdState
    overscan_adu: float


def exposure_name(path: str | os.PathLike[str]) -> str:
    """Return the file name without ``.fits``, ``.fits.fz`` or ``.fits.gz``."""
    return _SUFFIX.sub("", Path(path).name)


def read_exposure(
    path: str | os.PathLike[str],
    *,
    exptime_s: float | None = None,
    pixel_scale_arcsec: float | None = None,
) -> ExposureHeader:
    """Read the headers of an exposure.

    Parameters
    ----------
    path : path-like
        A FITS file, plain, gzip or tile-compressed.
    exptime_s, pixel_scale_arcsec : float, optional
        Used in place of EXPTIME and PIXSCAL1 of the headers.

    Returns
    -------
    ExposureHeader
        Of all its two-dimensional images.

    Raises
    ------
    InputError
        If the file is damaged or has no image, or EXPTIME or PIXSCAL1 is missing or not positive.
    """
    path = Path(path)
    with open_fits(path) as file:
        primary = file.header(0)
        images = [
            info.index
            for info in file.hdus
            if info.kind in ("image", "compressed_image") and len(file.image(info.index).shape) == 2
        ]
        if not images:
            raise InputError(path, "no two-dimensional image", "at least one CCD")
        promised = primary.get("NEXTEND")
        if isinstance(promised, int) and promised > len(images):
            logger.warning("%s: %d images, where NEXTEND = %d", path, len(images), promised)
        headers = [primary, *(file.header(index) for index in images[:1])]
        exptime = _positive(path, headers, "EXPTIME", exptime_s, "--exptime-s")
        scale = _positive(path, headers, "PIXSCAL1", pixel_scale_arcsec, "--pixel-scale-arcsec")
        saturation = _optional_number(headers, "SATURATE")
        ccds = tuple(_ccd_header(file, index) for index in images)
        names = [ccd.name for ccd in ccds]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise InputError(path, f"two images with EXTNAME {twice}", "one name per CCD")
        return ExposureHeader(
            path=path,
            exposure=exposure_name(path),
            exptime_s=exptime,
            pixel_scale_arcsec=scale,
            filter_name=_text(headers, "FILTER"),
            runid=_text(headers, "RUNID"),
            saturation_adu=saturation if saturation and saturation > 0 else FULL_SCALE_ADU,
            synthetic=any(header.get("SYNTHET") is True for header in headers),
            ccds=ccds,
        )


def read_ccd(file: FitsFile, ccd: CcdHeader) -> Ccd:
    """Read the pixels of a CCD, trimmed to DATASEC.

    Parameters
    ----------
    file : FitsFile
        The open exposure.
    ccd : CcdHeader
        Which CCD.

    Returns
    -------
    Ccd
        Pixels and state.

    Raises
    ------
    InputError
        If the data are damaged or cut short.
    """
    rows = file.image(ccd.hdu).read(slice(*ccd.y_slice))
    pixels = np.ascontiguousarray(rows[:, slice(*ccd.x_slice)], dtype=np.float32)
    dark = [rows[:, slice(*columns)].ravel() for columns in ccd.overscan]
    overscan = np.concatenate(dark).astype(np.float32) if dark else np.empty(0, np.float32)
    state = ccd_state(pixels, overscan)
    level = float(np.median(overscan)) if overscan.size else math.nan
    return Ccd(ccd.name, pixels, state, level)


def iterate_ccds(exposure: ExposureHeader) -> Iterator[Ccd]:
    """Read the CCDs of an exposure one after the other; only one is in memory."""
    with open_fits(exposure.path) as file:
        for ccd in exposure.ccds:
            yield read_ccd(file, ccd)


def merged_cards(path: Path, ccd: CcdHeader) -> Header:
    """Return the header of a CCD followed by what only the primary header says."""
    with open_fits(path) as file, warnings.catch_warnings():
        # Cards that break the standard are copied as they stand, and the catalogue needs none.
        warnings.simplefilter("ignore", VerifyWarning)
        header = file.header(ccd.hdu).copy()
        primary = file.header(0)
        for card in primary.cards:
            if card.keyword and card.keyword not in header and not card.keyword.startswith("NAXIS"):
                header.append(card, end=True)
    return header


def _ccd_header(file: FitsFile, index: int) -> CcdHeader:
    info, image = file.info(index), file.image(index)
    header, (n_y, n_x) = image.header, image.shape
    name = str(header.get("EXTNAME", "")).strip() or ("PRIMARY" if index == 0 else f"HDU{index}")
    if info.kind == "compressed_image" and name == f"HDU{index}" and "EXTVER" in header:
        name = f"ccd{int(header['EXTVER']):02d}"
    x_slice, y_slice = (0, n_x), (0, n_y)
    section = header.get("DATASEC")
    # Masks and other frames that were never read out have a section of zeros.
    if section is not None and set(str(section)) - set("[0:, ]"):
        match = _SECTION.match(str(section))
        bounds = tuple(map(int, match.groups())) if match else (0, 0, 0, 0)
        x_slice, y_slice = (bounds[0] - 1, bounds[1]), (bounds[2] - 1, bounds[3])
        inside = 0 <= x_slice[0] < x_slice[1] <= n_x and 0 <= y_slice[0] < y_slice[1] <= n_y
        if not inside:
            raise InputError(
                file.path, f"{name}: DATASEC = {section!r}", f"a section of {n_x} x {n_y} pixels"
            )
    sides = ((0, x_slice[0]), (x_slice[1], n_x))
    # The column next to the sky holds charge that lagged behind.
    overscan = tuple((low + 1, high - 1) for low, high in sides if high - low >= 8)
    return CcdHeader(name, index, x_slice, y_slice, overscan)


def _positive(
    path: Path, headers: list[Header], key: str, given: float | None, option: str
) -> float:
    if given is not None:
        return given
    value = next((header[key] for header in headers if key in header), None)
    if value is None:
        raise InputError(path, f"no {key} in the headers", "a positive number", f"give {option}")
    number = _number(value)
    if number is None or not number > 0.0:
        raise InputError(path, f"{key} = {value!r}", "a positive number", f"give {option}")
    return number


def _optional_number(headers: list[Header], key: str) -> float | None:
    return next((_number(header[key]) for header in headers if key in header), None)


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return float(value) if math.isfinite(value) else None


def _text(headers: list[Header], key: str) -> str | None:
    for header in headers:
        value = str(header.get(key, "")).strip()
        if value:
            return value
    return None
