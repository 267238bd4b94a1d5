"""The surveys behind one interface, in the order in which a field is matched to them."""

from __future__ import annotations

from splus_hypercube.configuration import Configuration
from splus_hypercube.surveys.base import Survey, SurveyMatches, Target
from splus_hypercube.surveys.desi import DesiSurvey
from splus_hypercube.surveys.gaia import GaiaSurvey
from splus_hypercube.surveys.gaia_xp import GaiaXpSurvey
from splus_hypercube.surveys.static import apogee_survey, specz_survey, vista_survey
from splus_hypercube.surveys.ztf import ZtfSurvey

__all__ = ["Survey", "SurveyMatches", "Target", "configured_surveys"]


def configured_surveys(configuration: Configuration) -> list[Survey]:
    """The surveys that a configuration has a section for (list of Survey)."""
    surveys: list[Survey] = []
    if (gaia := configuration.gaia) is not None:
        surveys.append(GaiaSurvey(gaia.directory, gaia.radius_arcsec))
    if (gaia_xp := configuration.gaia_xp) is not None:
        surveys.append(GaiaXpSurvey(gaia_xp.directory))
    if (ztf := configuration.ztf) is not None:
        surveys.append(ZtfSurvey(ztf.directory, ztf.radius_arcsec, ztf.bad_catflags))
    if (desi := configuration.desi) is not None:
        surveys.append(DesiSurvey(desi.directory, desi.tiles, desi.radius_arcsec))
    if (apogee := configuration.apogee) is not None:
        surveys.append(apogee_survey(apogee.file, apogee.radius_arcsec))
    if (specz := configuration.specz) is not None:
        surveys.append(specz_survey(specz.file, specz.radius_arcsec))
    if (vista := configuration.vista) is not None:
        surveys.append(vista_survey(vista.file, vista.radius_arcsec))
    return surveys
