"""Write the source tables of an exposure.

FITS_LDAC has two tables per CCD: LDAC_IMHEAD holds the image's header as an array of 80-character
cards, and LDAC_OBJECTS the sources. FITS_1.0 has one table per CCD.
"""

from __future__ import annotations

import json
import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from astropy.io import fits
from astropy.io.fits.verify import VerifyWarning

from astro_common.atomic import atomic_path
from cfht_iqa import __version__
from cfht_iqa.extraction.settings import COLUMNS, Sources
from cfht_iqa.ldac.nights import DATE_KEYS
from cfht_iqa.megacam import ExposureHeader

__all__ = [
    "CARD_COLUMN",
    "FORMATS",
    "IMHEAD",
    "LDAC_OBJECTS",
    "OBJECTS",
    "CcdTable",
    "write_tables",
]

FORMATS: Final = ("fits-ldac", "fits-1.0")
IMHEAD, LDAC_OBJECTS, OBJECTS = "LDAC_IMHEAD", "LDAC_OBJECTS", "OBJECTS"
CARD_COLUMN: Final = "Field Header Card"
_CARD_CHARACTERS: Final = 80


@dataclass(frozen=True, eq=False)
class CcdTable:
    """The sources of one CCD.

    Attributes
    ----------
    name : str
        Name of the CCD.
    state : str
        ``alive``, ``half-dead`` or ``dead``.
    header : astropy.io.fits.Header
        The image's header.
    shape : tuple of int
        Rows and columns of the trimmed image.
    sources : dict of str to ndarray
        Columns of `COLUMNS`.
    stellarity : str
        What stands in CLASS_STAR.
    """

    name: str
    state: str
    header: fits.Header
    shape: tuple[int, int]
    sources: Sources
    stellarity: str


def write_tables(
    path: Path,
    exposure: ExposureHeader,
    tables: Sequence[CcdTable],
    *,
    layout: str,
    settings: Mapping[str, Any],
    fingerprint: Mapping[str, Any],
    overwrite: bool = False,
) -> None:
    """Write the source tables of an exposure to one file.

    Parameters
    ----------
    path : Path
        The file.
    exposure : ExposureHeader
        Whose sources they are.
    tables : sequence of CcdTable
        In the order of the CCDs.
    layout : str
        ``fits-ldac`` or ``fits-1.0``.
    settings : mapping
        Of the extraction, kept in the primary header.
    fingerprint : mapping
        Of the exposure, kept in the primary header.
    overwrite : bool, optional
        Replace a file that exists.

    Raises
    ------
    OutputError
        If the file exists or cannot be written.
    """
    primary = fits.PrimaryHDU()
    primary.header["ORIGIN"] = f"cfht-iqa {__version__}"
    primary.header["EXPOSURE"] = exposure.exposure
    primary.header["EXPTIME"] = (exposure.exptime_s, "[s]")
    primary.header["PIXSCAL1"] = (exposure.pixel_scale_arcsec, "[arcsec/pixel]")
    count = len(tables) * (2 if layout == "fits-ldac" else 1)
    primary.header["NEXTEND"] = (count, "number of tables")
    primary.header["INSIZE"] = (fingerprint["size"], "[byte] of the exposure")
    primary.header["INSHA"] = fingerprint["sample_sha256"]
    for key, value in settings.items():
        primary.header.append(("HISTORY", f"{key} = {json.dumps(value)}"), end=True)
    units: list[Any] = [primary]
    for table in tables:
        if layout == "fits-ldac":
            units += [_image_header(exposure, table), _objects(exposure, table, LDAC_OBJECTS)]
        else:
            units.append(_objects(exposure, table, OBJECTS))
    with atomic_path(path, overwrite=overwrite) as partial, warnings.catch_warnings():
        warnings.simplefilter("ignore", VerifyWarning)
        fits.HDUList(units).writeto(partial, overwrite=True, output_verify="silentfix")


def _describe(header: fits.Header, exposure: ExposureHeader, table: CcdTable) -> None:
    header["CCD"] = (table.name, "EXTNAME of the image")
    header["EXPTIME"] = (exposure.exptime_s, "[s] exposure time")
    header["PIXSCAL1"] = (exposure.pixel_scale_arcsec, "[arcsec/pixel]")
    if exposure.filter_name is not None:
        header["FILTER"] = exposure.filter_name
    if exposure.runid is not None:
        header["RUNID"] = exposure.runid
    for key in DATE_KEYS:
        value = table.header.get(key)
        # 1E400 in a damaged header reads as infinity, which a header cannot hold.
        if value is not None and not (isinstance(value, float) and not math.isfinite(value)):
            header[key] = value
    if exposure.synthetic:
        header["SYNTHET"] = (True, "made by a simulation")
    header["FITSFILE"] = exposure.path.name
    header["STARCLAS"] = (table.stellarity, "what CLASS_STAR is")
    header["CCDSTATE"] = (table.state, "alive, half-dead or dead")
    header["SEXIMASX"] = (table.shape[1], "[pixel] width of the trimmed image")
    header["SEXIMASY"] = (table.shape[0], "[pixel] height of the trimmed image")


def _image_header(exposure: ExposureHeader, table: CcdTable) -> fits.BinTableHDU:
    with warnings.catch_warnings():
        # A foreign card that breaks the standard is copied as it stands.
        warnings.simplefilter("ignore", VerifyWarning)
        text = _card_text(exposure, table)
    count = len(text) // _CARD_CHARACTERS
    cards = [text[80 * number : 80 * (number + 1)] for number in range(count)]
    column = fits.Column(
        name=CARD_COLUMN,
        format=f"{_CARD_CHARACTERS * count}A",
        dim=f"({_CARD_CHARACTERS}, {count})",
        array=np.array([cards], dtype=f"S{_CARD_CHARACTERS}"),
    )
    unit = fits.BinTableHDU.from_columns([column], name=IMHEAD)
    _describe(unit.header, exposure, table)
    return unit


def _card_text(exposure: ExposureHeader, table: CcdTable) -> str:
    header = table.header.copy(strip=False)
    for key in ("CHECKSUM", "DATASUM"):
        header.remove(key, ignore_missing=True)
    _describe(header, exposure, table)
    return str(header.tostring(sep="", endcard=True, padding=False))


def _objects(exposure: ExposureHeader, table: CcdTable, name: str) -> fits.BinTableHDU:
    columns = [
        fits.Column(name=key, format=form.tform, unit=form.unit or None, array=table.sources[key])
        for key, form in COLUMNS.items()
    ]
    unit = fits.BinTableHDU.from_columns(columns, name=name)
    for number, form in enumerate(COLUMNS.values(), start=1):
        unit.header[f"TCOMM{number}"] = form.description
    _describe(unit.header, exposure, table)
    return unit
