"""A compilation of spectroscopic redshifts."""

from __future__ import annotations

from pathlib import Path

from splus_hypercube.surveys.static import StaticCatalogueSurvey

__all__ = ["specz_survey"]


def specz_survey(file: Path, radius_arcsec: float) -> StaticCatalogueSurvey:
    """The compilation as a survey.

    Parameters
    ----------
    file : Path
        Parquet or FITS with ``RA``, ``DEC`` in degrees.
    radius_arcsec : float
    """
    return StaticCatalogueSurvey(
        "specz",
        lambda _field: file,
        radius_arcsec,
        ra_names=("RA", "RAJ2000", "ra_deg"),
        dec_names=("DEC", "DEJ2000", "DECJ2000", "dec_deg"),
    )
