"""What one field is made from: its sources as the surveys see them, its images, all its files."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from splus_hypercube.assemble import rows_per_group
from splus_hypercube.bands import BAND_NAMES
from splus_hypercube.catalogues import Catalogue, comparable_column, find_column
from splus_hypercube.configuration import Configuration
from splus_hypercube.expressions import parse_selection
from splus_hypercube.fields import Field
from splus_hypercube.region import MAX_PROPER_MOTION_ARCSEC_PER_YEAR, SkyRegion
from splus_hypercube.schema import RunSchema
from splus_hypercube.scratch import Scratch
from splus_hypercube.surveys import Survey, SurveyMatches, Target
from splus_hypercube.surveys.gaia import GAIA_EPOCH_JYEAR, gaia_matches
from splus_hypercube.surveys.nearest import SHIFT_ARCSEC
from splus_hypercube.surveys.splus import (
    catalogue_positions,
    image_epoch_jyear,
    list_images,
    read_image_header,
)

__all__ = ["cutout_rows", "field_images", "field_inputs", "field_target"]

logger = logging.getLogger(__name__)

# Rows whose survey columns are in memory together.
_BUCKET_ROWS = 2048


def field_images(configuration: Configuration, field: Field) -> dict[str, Path | None]:
    """The images of a field, with a warning for each band that has none.

    Parameters
    ----------
    configuration : Configuration
    field : Field

    Returns
    -------
    dict of str to Path or None
        By band, None for a band without a file; empty if the run has no images.
    """
    if not configuration.splus.images:
        return {}
    images = list_images(configuration, field.name, BAND_NAMES)
    for image in images:
        if image.path is None:
            logger.warning(
                "field %s, band %s: no image, its cutouts are null", field.name, image.band
            )
    return {image.band: image.path for image in images}


def field_target(
    configuration: Configuration,
    schema: RunSchema,
    field: Field,
    catalogue: Catalogue,
    images: Mapping[str, Path | None],
    scratch: Scratch,
) -> Target:
    """The sources of a field as the surveys see them.

    Parameters
    ----------
    configuration : Configuration
    schema : RunSchema
    field : Field
    catalogue : Catalogue
        The field's open catalogue.
    images : mapping of str to Path or None
        Their headers give the epoch where the configuration does not.
    scratch : Scratch

    Returns
    -------
    Target

    Raises
    ------
    InputError
        If the catalogue has no positions, or neither configuration nor images tell the epoch.
    """
    ra, dec = catalogue_positions(catalogue, configuration.catalogue_path(field.name))
    epoch = configuration.splus.epoch_jyear
    if epoch is None:
        present = [path for path in images.values() if path is not None]
        epoch = image_epoch_jyear([(path, read_image_header(path)) for path in present])
    return Target(
        field=field.name,
        ra=ra,
        dec=dec,
        epoch_jyear=epoch,
        region=SkyRegion(ra, dec, _margin_arcsec(configuration, epoch)),
        scratch=scratch,
        bucket_rows=max(_BUCKET_ROWS, rows_per_group(schema)),
    )


def _margin_arcsec(configuration: Configuration, epoch_jyear: float) -> float:
    """How far from a source an object of a survey may lie and still be needed.

    The largest radius, the motion of the fastest star since Gaia's epoch with a little to spare,
    and the shift of the false-match estimate.
    """
    sections = (getattr(configuration, name) for name in type(configuration).model_fields)
    radius = max(getattr(section, "radius_arcsec", 0.0) for section in sections)
    years = abs(epoch_jyear - GAIA_EPOCH_JYEAR)
    motion = MAX_PROPER_MOTION_ARCSEC_PER_YEAR * years
    return radius + 1.05 * motion + max(10.0 * radius, SHIFT_ARCSEC)


def field_inputs(
    configuration: Configuration,
    surveys: Sequence[Survey],
    target: Target,
    images: Mapping[str, Path | None],
) -> list[Path]:
    """All files that a field is made from, each once.

    Parameters
    ----------
    configuration : Configuration
    surveys : sequence of Survey
        Those of the configuration.
    target : Target
    images : mapping of str to Path or None
        By band.

    Returns
    -------
    list of Path
        Whether they exist or not.

    Raises
    ------
    InputError
        If a survey's folder or its list of files cannot be read.
    """
    paths = [configuration.catalogue_path(target.field)]
    paths.extend(path for path in images.values() if path is not None)
    for survey in surveys:
        paths.extend(survey.inputs(target))
    return list(dict.fromkeys(paths))


def cutout_rows(
    configuration: Configuration,
    catalogue: Catalogue,
    path: Path,
    matches: Mapping[str, SurveyMatches],
) -> NDArray[np.bool_]:
    """Which sources of a field get cutouts.

    Parameters
    ----------
    configuration : Configuration
    catalogue : Catalogue
        The field's open catalogue.
    path : Path
        Its file, for messages.
    matches : mapping of str to SurveyMatches
        The counterparts in each survey by name.

    Returns
    -------
    ndarray of bool, shape (n_rows,)

    Raises
    ------
    InputError
        If the catalogue lacks a column that the configuration names.
    ConfigurationError
        If ``cutouts.rows`` is not a condition on these columns.
    """
    rows = configuration.cutouts.rows.strip()
    if rows == "all":
        return np.ones(catalogue.num_rows, dtype=bool)
    if rows == "none":
        return np.zeros(catalogue.num_rows, dtype=bool)
    if rows == "gaia":
        return gaia_matches(matches).found
    selection = parse_selection(rows)
    names = {name: find_column(catalogue.schema, [name], path) for name in selection.columns}
    table = catalogue.read(sorted(set(names.values())))
    values = {column: comparable_column(table, name, path) for column, name in names.items()}
    return selection.rows(values, catalogue.num_rows)
