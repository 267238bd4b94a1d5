"""Cutouts derived again, one at a time with `astropy.nddata.Cutout2D`."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.nddata import Cutout2D, NoOverlapError
from astropy.time import Time
from astropy.wcs import WCS, FITSFixedWarning
from numpy.typing import NDArray

from astro_common.errors import InputError
from splus_hypercube.checking.comparison import Near, Row
from splus_hypercube.checking.neighbours import Sample
from splus_hypercube.checking.tables import reading

__all__ = ["BandImage", "cutout_rows", "epoch_jyear", "is_edge"]

Float = NDArray[np.float64]

# How well two ways through a projection agree; the inverse of distortions is found by iteration.
_TOLERANCE_PX = 1e-6
_TOLERANCE_DISTORTED_PX = 1e-3


@dataclass(frozen=True)
class BandImage:
    """One band's image: where it is and how it lies on the sky.

    Attributes
    ----------
    path : Path
    number : int
        The HDU.
    header : astropy.io.fits.Header
    wcs : astropy.wcs.WCS
    shape : (int, int)
        n_y, n_x.
    """

    path: Path
    number: int
    header: Any
    wcs: Any
    shape: tuple[int, int]

    @classmethod
    def open(cls, path: Path) -> BandImage:
        """Read the header of the first HDU with an image of two dimensions."""
        with reading(path), fits.open(path) as hdus:
            for number, hdu in enumerate(hdus):
                if hdu.is_image and len(hdu.shape) == 2:
                    header = hdu.header.copy()
                    with warnings.catch_warnings():
                        warnings.simplefilter("ignore", FITSFixedWarning)
                        wcs = WCS(header).celestial
                    return cls(path, number, header, wcs, (int(hdu.shape[0]), int(hdu.shape[1])))
        raise InputError(path, "no image of two dimensions", "one")

    @property
    def tolerance_px(self) -> float:
        """By how much two derivations of a position may differ (float)."""
        return _TOLERANCE_DISTORTED_PX if self.wcs.has_distortion else _TOLERANCE_PX

    def pixels(self, ra: Float, dec: Float) -> tuple[Float, Float]:
        """0-based pixels of some ICRS positions; NaN where unknown or on the far hemisphere."""
        x, y = np.full(len(ra), np.nan), np.full(len(ra), np.nan)
        known = np.flatnonzero(np.isfinite(ra) & np.isfinite(dec))
        if len(known):
            with reading(self.path):
                own = self.wcs.wcs
                centre = SkyCoord(own.crval[own.lng] * u.deg, own.crval[own.lat] * u.deg)
                sources = SkyCoord(ra[known] * u.deg, dec[known] * u.deg)
                near = centre.separation(sources).deg < 90.0
                # The order of the axes and the frame (RADESYS) are those of the header.
                x[known[near]], y[known[near]] = self.wcs.world_to_pixel(sources[near])
        return x, y


def epoch_jyear(images: Sequence[BandImage]) -> float:
    """The median of the dates in the headers, Julian years.

    Raises
    ------
    InputError
        If no header has a date.
    """
    years = []
    for image in images:
        for key, style in (("MJD-OBS", "mjd"), ("MJD", "mjd"), ("DATE-OBS", "isot")):
            if image.header.get(key) not in (None, ""):
                with reading(image.path):
                    years.append(Time(image.header[key], format=style, scale="utc").jyear)
                break
    if not years:
        raise InputError("splus.epoch_jyear", "no date in the images' headers", "a Julian year")
    return float(np.median(years))


def is_edge(x: Float, y: Float, shape: tuple[int, int], size_px: int) -> NDArray[np.bool_]:
    """Which cutouts reach beyond the image but still touch it."""
    half = size_px / 2.0
    n_y, n_x = shape
    with np.errstate(invalid="ignore"):
        touches = (x > -half) & (x < n_x + half) & (y > -half) & (y < n_y + half)
        inside = (x > half) & (x < n_x - half) & (y > half) & (y < n_y - half)
    return np.asarray(touches & ~inside)


def cutout_rows(
    images: Mapping[str, BandImage | None],
    sample: Sample,
    requested: NDArray[np.bool_],
    size_px: int,
    per_band: bool,
    found: Sequence[Row],
) -> Sequence[Row]:
    """What each source's image columns hold.

    Parameters
    ----------
    images : mapping of str to BandImage or None
        None for a band without a file: its cutouts are null.
    sample : Sample
    requested : ndarray of bool, shape (n,)
        Sources that get cutouts; the others have nulls.
    size_px : int
    per_band : bool
        Whether the file has sub-pixel offsets for each band.
    found : sequence of mapping
        The rows of the hypercube: where a source lies on the border of two pixels, to within the
        rounding of its position, either of them is right.

    Returns
    -------
    sequence of mapping
    """
    rows: list[dict[str, Any]] = [{} for _ in range(len(sample))]
    common = True
    for band, image in images.items():
        if image is None:
            continue
        x, y = image.pixels(sample.ra, sample.dec)
        suffixes = [f"_{band}"] if per_band else []
        suffixes.extend([""] if common else [])
        common = False
        with reading(image.path), fits.open(image.path) as hdus:
            data = _section(hdus[image.number])
            for k in np.flatnonzero(requested).tolist():
                rows[k][f"splus_cut_{band}"] = np.full(size_px**2, np.nan, np.float32)
                names = [f"splus_cut_d{axis}_px{suffixes[0] if per_band else ''}" for axis in "xy"]
                if not np.isfinite(x[k]):
                    continue
                pixel = [
                    _pixel(position, found[k].get(name), image.tolerance_px)
                    for position, name in zip((x[k], y[k]), names, strict=True)
                ]
                rows[k][f"splus_cut_{band}"] = _cutout(data, pixel, size_px)
                for suffix in suffixes:
                    for axis, position, whole in zip("xy", (x[k], y[k]), pixel, strict=True):
                        rows[k][f"splus_cut_d{axis}_px{suffix}"] = Near(
                            float(position) - whole, image.tolerance_px
                        )
    return rows


def _section(hdu: Any) -> Any:
    """The pixels, of which only those asked for are decompressed and scaled."""
    section = hdu.section
    # Cutout2D fills the outside with NaN, which integers do not have.
    return section if np.dtype(section.dtype).kind == "f" else hdu.data.astype(np.float32)


def _pixel(position: float, offset: Any, tolerance_px: float) -> int:
    """The integer pixel of a position; the file's offset decides on the border of two."""
    low, high = (int(np.floor(position + sign * tolerance_px + 0.5)) for sign in (-1.0, 1.0))
    if low != high and isinstance(offset, float) and offset < 0.0:
        return high
    return low


def _cutout(data: Any, pixel: Sequence[int], size_px: int) -> NDArray[np.float32]:
    """The cutout with the pixel at index size // 2, row-major."""
    # Cutout2D centres a cutout on a position; that of an even size lies between two pixels.
    centre = [whole - (size_px // 2) + (size_px - 1) / 2.0 for whole in pixel]
    try:
        cutout = Cutout2D(data, tuple(centre), size_px, mode="partial", fill_value=np.nan)
    except NoOverlapError:
        return np.full(size_px**2, np.nan, np.float32)
    return np.asarray(cutout.data, np.float32).ravel()
