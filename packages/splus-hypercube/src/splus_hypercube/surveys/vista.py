"""VISTA photometry (VHS DR5), one file per field."""

from __future__ import annotations

from pathlib import Path

from splus_hypercube.surveys.static import StaticCatalogueSurvey

__all__ = ["vista_survey"]


def vista_survey(template: str, radius_arcsec: float) -> StaticCatalogueSurvey:
    """The per-field files as a survey.

    Parameters
    ----------
    template : str
        Path with ``{field}``; Parquet or FITS with ``ra2000``, ``dec2000`` in degrees.
    radius_arcsec : float
    """
    return StaticCatalogueSurvey(
        "vista",
        lambda field: Path(template.format(field=field)),
        radius_arcsec,
        ra_names=("ra2000", "RAJ2000", "ra"),
        dec_names=("dec2000", "DEJ2000", "dec"),
    )
