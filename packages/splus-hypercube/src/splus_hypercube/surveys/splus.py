"""The S-PLUS catalogue of a field and the headers of its images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from astropy.io.fits import Header
from astropy.time import Time
from astropy.wcs.utils import proj_plane_pixel_scales
from numpy.typing import NDArray

from astro_common.errors import InputError
from astro_common.fits import open_fits
from astro_common.fits.celestial import celestial_wcs
from splus_hypercube.astrometry import ARCSEC_PER_DEG
from splus_hypercube.catalogues import Catalogue, find_column, float_column, open_catalogue
from splus_hypercube.configuration import (
    FIRST_EPOCH_JYEAR,
    LAST_EPOCH_JYEAR,
    Configuration,
)
from splus_hypercube.descriptions import describe_column
from splus_hypercube.fields import Field
from splus_hypercube.surveys.columns import schema_of_files

__all__ = [
    "BandImage",
    "catalogue_positions",
    "catalogue_schema",
    "image_epoch_jyear",
    "image_summary",
    "list_images",
    "read_image_header",
]

Float = NDArray[np.float64]

_PHOTOMETRIC_CARDS = (
    "BUNIT",
    "MAGZP",
    "EXPTIME",
    "GAIN",
    "MJD-OBS",
    "DATE-OBS",
    "FWHMSEXT",
    "SATURATE",
)


@dataclass(frozen=True)
class BandImage:
    """The image of a field in one band.

    Attributes
    ----------
    band : str
    path : Path or None
        None if there is no file.
    """

    band: str
    path: Path | None


def catalogue_schema(configuration: Configuration, fields: Sequence[Field]) -> pa.Schema:
    """The catalogue columns of every field of a run: the union of what the catalogues hold.

    Raises
    ------
    InputError
        If no catalogue can be read.
    """
    paths = [configuration.catalogue_path(field.name) for field in fields]
    return schema_of_files("splus", paths, _file_schema)


def _file_schema(path: Path) -> pa.Schema:
    with open_catalogue(path) as catalogue:
        for name in ("ra", "dec"):
            find_column(catalogue.schema, [name], path)
        return pa.schema(
            [describe_column("splus", field.name, field, field.name) for field in catalogue.schema]
        )


def catalogue_positions(catalogue: Catalogue, path: Path) -> tuple[Float, Float]:
    """Positions of all sources, in catalogue order.

    Returns
    -------
    ra, dec : ndarray of float64, shape (n_rows,)
        ICRS degrees; NaN where the catalogue has none.

    Raises
    ------
    InputError
        If the columns are missing or no numbers, or a declination is beyond a pole.
    """
    names = [find_column(catalogue.schema, [name], path) for name in ("ra", "dec")]
    table = catalogue.read(names)
    ra, dec = (float_column(table, name, path) for name in names)
    wrong = np.flatnonzero(np.abs(dec) > 90.0)
    if len(wrong):
        raise InputError(path, f"dec {dec[wrong[0]]} in row {wrong[0]}", "-90 to 90 deg")
    return ra, dec


def list_images(configuration: Configuration, field: str, bands: Sequence[str]) -> list[BandImage]:
    """The images of a field, one entry per band, also where there is no file."""
    return [BandImage(band, configuration.image_path(field, band)) for band in bands]


def read_image_header(path: Path) -> Header:
    """Header of the image in a file, HDU 1 of a compressed file and HDU 0 of a plain one.

    Raises
    ------
    InputError
        If the file is missing, damaged or holds no image.
    """
    with open_fits(path) as file:
        return file.image().header


def _photometric_cards(header: Header) -> dict[str, object]:
    """The header cards by which the pixels of cutouts become fluxes and magnitudes."""
    found = {key: header.get(key) for key in _PHOTOMETRIC_CARDS}
    return {key: value for key, value in found.items() if isinstance(value, (int, float, str))}


def image_summary(path: Path) -> dict[str, object]:
    """What a reader of cutouts needs to know about their image.

    Returns
    -------
    dict
        ``pixel_scale_arcsec`` (mean of both axes) and the photometric cards of the header.

    Raises
    ------
    InputError
        If the file cannot be read, or has no celestial WCS.
    """
    header = read_image_header(path)
    scales = proj_plane_pixel_scales(celestial_wcs(header, path)) * ARCSEC_PER_DEG
    return {"pixel_scale_arcsec": round(float(scales.mean()), 6), **_photometric_cards(header)}


def image_epoch_jyear(headers: Sequence[tuple[Path, Header]]) -> float:
    """Epoch of the observations: the median over the bands' headers.

    Parameters
    ----------
    headers : sequence of (Path, Header)
        Of each, the first of MJD-OBS, MJD and DATE-OBS (UTC) that it has is read.

    Returns
    -------
    float
        Julian year.

    Raises
    ------
    InputError
        If no header has a date, or one is no date of 1900 to 2100.
    """
    years = []
    for path, header in headers:
        for key, style in (("MJD-OBS", "mjd"), ("MJD", "mjd"), ("DATE-OBS", "isot")):
            if header.get(key) in (None, ""):
                continue
            try:
                year = float(Time(header[key], format=style, scale="utc").jyear)
            except (ValueError, TypeError) as error:
                raise InputError(path, f"{key} is {header[key]!r}", "a date") from error
            # A zero for an unknown date is a day of 1858, a Julian date the year 8600.
            if not FIRST_EPOCH_JYEAR <= year <= LAST_EPOCH_JYEAR:
                raise InputError(
                    path,
                    f"{key} is {header[key]!r}, the year {year:.1f}",
                    "the date of the observation",
                    "mend the header or give splus.epoch_jyear in the configuration",
                )
            years.append(year)
            break
    if not years:
        where = headers[0][0] if headers else "splus.images"
        raise InputError(
            where,
            "no MJD-OBS, MJD or DATE-OBS",
            "the epoch of the observations",
            "give splus.epoch_jyear in the configuration",
        )
    return float(np.median(years))
