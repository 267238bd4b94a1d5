"""The columns of a hypercube: the same for every field of a run, whatever its files hold."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa
from astropy.io.fits import Header

from astro_common.errors import ConfigurationError, InputError
from astro_common.parquet import described
from splus_hypercube.bands import BAND_NAMES
from splus_hypercube.configuration import Configuration
from splus_hypercube.fields import Field
from splus_hypercube.surveys import configured_surveys
from splus_hypercube.surveys.splus import catalogue_schema, list_images, read_image_header

__all__ = [
    "METADATA_KEY",
    "SCHEMA_VERSION",
    "RunSchema",
    "cutout_column",
    "offset_columns",
    "plan_schema",
    "wcs_cards",
]

logger = logging.getLogger(__name__)

SCHEMA_VERSION = 1
"""Version of the hypercube's layout. 1: the first."""
METADATA_KEY = "splus_hypercube"
"""Key of the JSON in the file's footer that describes the hypercube."""

_WCS_KEYWORD = re.compile(
    r"(CTYPE|CRVAL|CRPIX|CDELT|CUNIT|CROTA|NAXIS|ZNAXIS)[12]"
    r"|(CD|PC|PV|PS)\d+_\d+|(A|B|AP|BP)_\w+|LONPOLE|LATPOLE|RADESYS|EQUINOX"
)


@dataclass(frozen=True)
class RunSchema:
    """The columns of every file of a run.

    Attributes
    ----------
    catalogue : pyarrow.Schema
        The S-PLUS catalogue's columns.
    images : pyarrow.Schema
        Cutouts and sub-pixel offsets; empty without images.
    surveys : mapping of str to pyarrow.Schema
        The columns of each survey by its name, in order.
    bands_differ : bool
        Whether the bands of any field differ in their pixel grids; every file then has sub-pixel
        offsets per band.
    unreadable : mapping of str to InputError
        What is wrong with the surveys of which no file could be read, by name; every field fails
        if there are any.
    """

    catalogue: pa.Schema
    images: pa.Schema
    surveys: Mapping[str, pa.Schema]
    bands_differ: bool
    unreadable: Mapping[str, InputError]

    @property
    def schema(self) -> pa.Schema:
        """All columns in order (pyarrow.Schema)."""
        fields = [*self.catalogue, *self.images]
        for survey in self.surveys.values():
            fields.extend(survey)
        return pa.schema(fields)


def cutout_column(band: str) -> str:
    """Name of the column with a band's cutouts."""
    return f"splus_cut_{band}"


def offset_columns(band: str | None = None) -> tuple[str, str]:
    """Names of the columns with the sub-pixel offsets, common or of one band."""
    suffix = "" if band is None else f"_{band}"
    return f"splus_cut_dx_px{suffix}", f"splus_cut_dy_px{suffix}"


def plan_schema(configuration: Configuration, fields: Sequence[Field]) -> RunSchema:
    """Derive the columns of a run from the headers of all its inputs.

    Parameters
    ----------
    configuration : Configuration
    fields : sequence of Field
        All fields of the configuration, also those that will not be built now: files of one
        configuration have one schema.

    Returns
    -------
    RunSchema

    Raises
    ------
    ConfigurationError
        If two columns would have one name, ignoring case.
    """
    unreadable: dict[str, InputError] = {}
    catalogue = pa.schema([])
    try:
        catalogue = catalogue_schema(configuration, fields)
    except InputError as error:
        unreadable["splus"] = error
    bands_differ, unit = _image_grids(configuration, fields)
    images = _image_schema(configuration, bands_differ, unit)
    surveys: dict[str, pa.Schema] = {}
    for survey in configured_surveys(configuration):
        try:
            surveys[survey.name] = survey.schema(fields)
        except InputError as error:
            unreadable[survey.name] = error
    run = RunSchema(catalogue, images, surveys, bands_differ, unreadable)
    _check_names(run.schema)
    return run


def _check_names(schema: pa.Schema) -> None:
    seen: dict[str, str] = {}
    for name in schema.names:
        other = seen.setdefault(name.lower(), name)
        if schema.names.count(name) > 1 or other != name:
            raise ConfigurationError(
                f"column {name}",
                f"the name twice (also {other}) ignoring case",
                "names that differ",
                "rename the column in the survey's file",
            )


def _image_schema(configuration: Configuration, bands_differ: bool, unit: str) -> pa.Schema:
    if not configuration.splus.images:
        return pa.schema([])
    pixels = configuration.cutouts.size_px**2
    fields = [
        described(
            cutout_column(band),
            pa.list_(pa.float32(), pixels),
            unit=unit,
            ucd="phot.count;em.opt",
            description=f"S-PLUS {band} cutout, row-major, in the image's unit; NaN outside it",
            survey="splus",
            modality="image",
        )
        for band in BAND_NAMES
    ]
    for band in (None, *(BAND_NAMES if bands_differ else ())):
        where = "the cutouts" if band is None else f"the {band} cutout"
        for axis, name in zip("xy", offset_columns(band), strict=True):
            fields.append(
                described(
                    name,
                    pa.float64(),
                    unit="pix",
                    ucd=f"pos.cartesian.{axis}",
                    description=f"Source position minus central pixel of {where}, along {axis}",
                    survey="splus",
                    modality="auxiliary",
                )
            )
    return pa.schema(fields)


def wcs_cards(header: Header) -> dict[str, object]:
    """The header cards that decide where a source lies on the image."""
    return {
        card.keyword: card.value for card in header.cards if _WCS_KEYWORD.fullmatch(card.keyword)
    }


def _image_grids(configuration: Configuration, fields: Sequence[Field]) -> tuple[bool, str]:
    """Whether the bands of any field differ in their pixel grids; the common unit of the pixels."""
    differ = False
    found_units: set[str] = set()
    for field in fields:
        known: dict[str, object] | None = None
        for image in list_images(configuration, field.name, BAND_NAMES):
            if image.path is None:
                continue
            try:
                header = read_image_header(image.path)
            except InputError:
                continue  # the field itself fails on this file, and says so
            found_units.add(str(header.get("BUNIT", "")).strip())
            cards = wcs_cards(header)
            if known is not None and cards != known and not differ:
                logger.info("field %s: the bands have different pixel grids", field.name)
                differ = True
            known = cards
    return differ, found_units.pop() if len(found_units) == 1 else ""
