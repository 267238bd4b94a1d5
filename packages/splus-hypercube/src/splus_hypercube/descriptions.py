"""What each column means: unit, UCD, description, and the modality that downstream packages read.

A survey's file says much of this itself (TUNIT, ECSV and VOTable metadata); the rules here fill in
what is missing and decide the modality. Downstream packages read it from the hypercube and need not
guess from column names.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import pyarrow as pa

from astro_common.parquet import described
from splus_hypercube.bands import CATALOGUE_NAMES

__all__ = ["MODALITIES", "describe_column"]

MODALITIES = (
    "id",
    "position",
    "scalar",
    "spectrum",
    "image",
    "light_curve",
    "coefficients",
    "auxiliary",
    "match",
)
"""The values of a column's ``modality``."""


@dataclass(frozen=True)
class _Rule:
    survey: str  # a regular expression, as is the name
    name: str
    modality: str = ""
    unit: str = ""
    ucd: str = ""
    description: str = ""


_SPLUS_BANDS = "|".join(CATALOGUE_NAMES)

# The first rule whose patterns match the whole survey and the whole name applies. Its modality
# holds; its unit, UCD and description do where the file has none. UCDs follow UCD1+ 1.5 (IVOA
# Recommendation, Martinez Garcia et al. 2023).
_RULES = (
    _Rule("splus", r"id|.*_id", "id", "", "meta.id;meta.main", "S-PLUS source identifier"),
    _Rule("splus", r"ra", "position", "deg", "pos.eq.ra;meta.main", "Right ascension, ICRS"),
    _Rule("splus", r"dec", "position", "deg", "pos.eq.dec;meta.main", "Declination, ICRS"),
    _Rule("splus", r"x|x_.*", "auxiliary", "pix", "pos.cartesian.x", "Position on the image"),
    _Rule("splus", r"y|y_.*", "auxiliary", "pix", "pos.cartesian.y", "Position on the image"),
    _Rule("splus", rf"(e|err)_mag_\w+_({_SPLUS_BANDS})", "scalar", "mag", "stat.error;phot.mag"),
    _Rule("splus", rf"mag_\w+_({_SPLUS_BANDS})", "scalar", "mag", "phot.mag;em.opt"),
    _Rule("splus", r"[ab]_pixel.*", "scalar", "pix", "phys.angSize"),
    _Rule("splus", r"theta.*", "scalar", "deg", "pos.posAng"),
    _Rule("splus", r"fwhm.*", "scalar", "", "phys.angSize"),
    _Rule("splus", r"ellipticity.*", "scalar", "", "src.ellipticity"),
    _Rule("splus", r".*flag.*", "auxiliary", "", "meta.code"),
    _Rule("gaia|gaiaxp", r"source_id|solution_id|random_index", "id", "", "meta.id"),
    _Rule("gaia", r"ra", "position", "deg", "pos.eq.ra", "Right ascension at ref_epoch, ICRS"),
    _Rule("gaia", r"dec", "position", "deg", "pos.eq.dec", "Declination at ref_epoch, ICRS"),
    _Rule("gaia", r"(l|b|ecl_lon|ecl_lat)", "position", "deg"),
    _Rule("gaia", r"ra_j2000", "position", "deg", "pos.eq.ra", "Right ascension at J2000.0, ICRS"),
    _Rule("gaia", r"dec_j2000", "position", "deg", "pos.eq.dec", "Declination at J2000.0, ICRS"),
    _Rule("gaia", r"ref_epoch", "auxiliary", "yr", "meta.ref;time.epoch"),
    _Rule("gaia", r".*_(flag|flags|correlation|corr|n_obs|used|transits|k)|.*_n_.*", "auxiliary"),
    _Rule("gaiaxp", r"(bp|rp)_coefficients", "coefficients", "", "stat.fit.param"),
    _Rule("gaiaxp", r"(bp|rp)_coefficient_errors", "coefficients", "", "stat.error"),
    _Rule("gaiaxp", r"(bp|rp)_coefficient_correlations", "coefficients", "", "stat.correlation"),
    _Rule("gaiaxp", r".*", "auxiliary"),
    _Rule("desi", r"targetid|tileid", "id", "", "meta.id"),
    _Rule("desi", r"target_ra", "position", "deg", "pos.eq.ra"),
    _Rule("desi", r"target_dec", "position", "deg", "pos.eq.dec"),
    _Rule("desi", r"z", "scalar", "", "src.redshift", "Redshift (Redrock)"),
    _Rule("desi", r"zerr", "scalar", "", "stat.error;src.redshift", "Error of the redshift"),
    _Rule("desi", r"zwarn", "auxiliary", "", "meta.code.error", "Redrock warning bits"),
    _Rule("desi", r"spectype", "auxiliary", "", "src.class", "Spectral type (Redrock)"),
    _Rule("desi", r".*", "auxiliary"),
    _Rule("apogee", r".*_id|file|field|location_id", "id", "", "meta.id"),
    _Rule("apogee", r"(ra|dec|glon|glat)", "position", "deg"),
    _Rule("apogee", r"teff", "scalar", "K", "phys.temperature.effective"),
    _Rule("apogee", r"logg", "scalar", "log(cm.s**-2)", "phys.gravity"),
    _Rule("apogee", r"[a-z0-9]+_(fe|h|m)", "scalar", "dex", "phys.abund"),
    _Rule("apogee", r".*(flag|target|mask|bits).*|nvisits|starflags", "auxiliary"),
    _Rule("specz", r"z|z_?spec|redshift", "scalar", "", "src.redshift", "Redshift"),
    _Rule("specz", r"(e|err)_?z.*|z_?err.*", "scalar", "", "stat.error;src.redshift"),
    _Rule("specz|vista", r"ra|ra2000", "position", "deg", "pos.eq.ra"),
    _Rule("specz|vista", r"dec|dec2000", "position", "deg", "pos.eq.dec"),
    _Rule("vista", r"sourceid|source_?id|.*setid", "id", "", "meta.id"),
    _Rule("vista", r"(z|y|j|h|ks)apermag\d", "scalar", "mag", "phot.mag;em.IR"),
    _Rule("vista", r"(z|y|j|h|ks)apermag\derr", "scalar", "mag", "stat.error;phot.mag;em.IR"),
)
_COMPILED = tuple((re.compile(rule.survey), re.compile(rule.name), rule) for rule in _RULES)


def describe_column(survey: str, name: str, field: pa.Field, output_name: str) -> pa.Field:
    """The hypercube's field for a column of a survey.

    Parameters
    ----------
    survey : str
        Name of the survey.
    name : str
        The column's name in the survey's file.
    field : pyarrow.Field
        Its type and what the file says about it.
    output_name : str
        Its name in the hypercube.

    Returns
    -------
    pyarrow.Field
        With the metadata ``unit, ucd, description, survey, modality``.
    """
    own = {key.decode(): value.decode() for key, value in (field.metadata or {}).items()}
    rule = next(
        (
            rule
            for survey_pattern, name_pattern, rule in _COMPILED
            if survey_pattern.fullmatch(survey) and name_pattern.fullmatch(name.lower())
        ),
        _Rule("", ""),
    )
    kind = field.type
    if pa.types.is_fixed_size_list(kind):
        # Rows without a match are null, and some readers (astropy 8) fail on nulls among lists of
        # a fixed size.
        kind = pa.list_(kind.value_type)
    return described(
        output_name,
        kind,
        unit=own.get("unit") or rule.unit,
        ucd=own.get("ucd") or rule.ucd,
        description=own.get("description") or rule.description,
        survey=survey,
        modality=rule.modality or _modality_by_type(kind),
    )


def _modality_by_type(kind: pa.DataType) -> str:
    """A measured number is a scalar; text, flags, counts and vectors are auxiliary."""
    return "scalar" if pa.types.is_floating(kind) else "auxiliary"
