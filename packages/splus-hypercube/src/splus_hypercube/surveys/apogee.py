"""APOGEE allStar, without its duplicate observations."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from astro_common.errors import InputError
from splus_hypercube.catalogues import Catalogue, find_column
from splus_hypercube.surveys.static import StaticCatalogueSurvey

__all__ = ["APOGEE_DUPLICATE", "apogee_survey"]

APOGEE_DUPLICATE = 1 << 4
"""EXTRATARG bit 4: not the main observation of the star (SDSS DR17 bitmask APOGEE_EXTRATARG)."""


def apogee_survey(file: Path, radius_arcsec: float) -> StaticCatalogueSurvey:
    """The APOGEE DR17 allStar file as a survey.

    Parameters
    ----------
    file : Path
        FITS, HDU 1.
    radius_arcsec : float
    """
    return StaticCatalogueSurvey(
        "apogee", lambda _field: file, radius_arcsec, keep=_main_observations
    )


def _main_observations(catalogue: Catalogue, path: Path) -> NDArray[np.bool_]:
    name = find_column(catalogue.schema, ["EXTRATARG"], path)
    column = catalogue.read([name])[name].fill_null(0)
    bits = column.to_numpy()
    if bits.dtype.kind not in "iu":
        raise InputError(path, f"EXTRATARG of type {column.type}", "integer bits")
    return np.asarray((bits & APOGEE_DUPLICATE) == 0)
