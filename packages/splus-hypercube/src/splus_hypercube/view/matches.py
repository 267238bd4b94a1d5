"""The counterparts of a source, one line of values per survey."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from splus_hypercube.view.labels import measured
from splus_hypercube.view.source import Source

__all__ = ["SURVEY_TITLES", "Match", "source_matches"]

SURVEY_TITLES: Mapping[str, str] = {
    "gaia": "Gaia DR3",
    "gaiaxp": "Gaia XP",
    "ztf": "ZTF",
    "desi": "DESI",
    "apogee": "APOGEE",
    "specz": "spec-z",
    "vista": "VISTA",
}
"""The surveys other than S-PLUS, in the order of their columns."""

# The column with the survey's own identifier.
_IDENTIFIERS = {
    "gaia": "gaia_source_id",
    "gaiaxp": "gaiaxp_source_id",
    "ztf": "ztf_objectid",
    "desi": "desi_TARGETID",
    "apogee": "apogee_APOGEE_ID",
    "vista": "vista_sourceid",
}


@dataclass(frozen=True, slots=True)
class Match:
    """The counterpart of a source in one survey.

    Attributes
    ----------
    survey : str
        Prefix of its columns.
    title : str
        Name for people.
    found : bool
    identifier : str
        As the survey gives it; empty if it gives none or there is no counterpart.
    separation_arcsec : float or None
    n_candidates : int or None
    summary : str
        A few values of the counterpart, or why there is none.
    """

    survey: str
    title: str
    found: bool
    identifier: str
    separation_arcsec: float | None
    n_candidates: int | None
    summary: str


def source_matches(source: Source) -> list[Match]:
    """The counterparts of a source, one entry per survey, found or not."""
    return [_match(source, survey, title) for survey, title in SURVEY_TITLES.items()]


def _match(source: Source, survey: str, title: str) -> Match:
    if not source.has(survey):
        return Match(survey, title, False, "", None, None, "not in this hypercube")
    identifier = source.get(_IDENTIFIERS[survey]) if survey in _IDENTIFIERS else None
    separation = source.number(f"{survey}_separation_arcsec")
    found = separation is not None or (survey == "gaiaxp" and identifier is not None)
    if not found:
        return Match(survey, title, False, "", None, None, _why_not(source, survey))
    candidates = source.get(f"{survey}_n_candidates")
    return Match(
        survey,
        title,
        True,
        "" if identifier is None else str(identifier).strip(),
        separation,
        None if candidates is None else int(candidates),
        _SUMMARIES[survey](source),
    )


def _why_not(source: Source, survey: str) -> str:
    if survey == "gaiaxp":
        return "no XP spectrum of the Gaia source" if _has_gaia(source) else "no Gaia match"
    radius = source.metadata["surveys"][survey].get("radius_arcsec")
    return "no match" if radius is None else f"no match within {radius:g}″"


def _has_gaia(source: Source) -> bool:
    return source.get("gaia_source_id") is not None


def _value(
    source: Source, label: str, name: str, digits: int, *, unit: str = "", error: str = ""
) -> str:
    """A labelled value with its error and unit; empty if it is missing."""
    value = source.number(name)
    if value is None:
        return ""
    uncertainty = source.number(error) if error else None
    return f"{label} {measured(value, uncertainty, digits)} {unit}".rstrip()


def _joined(*parts: str) -> str:
    return ", ".join(part for part in parts if part)


def _gaia(source: Source) -> str:
    pmra, pmdec = source.number("gaia_pmra"), source.number("gaia_pmdec")
    motion = ""
    if pmra is not None and pmdec is not None:
        motion = f"μ {np.hypot(pmra, pmdec):.1f} mas/yr"
    return _joined(
        _value(source, "G", "gaia_phot_g_mean_mag", 2),
        _value(source, "ϖ", "gaia_parallax", 2, unit="mas", error="gaia_parallax_error"),
        motion,
    )


def _gaiaxp(source: Source) -> str:
    return _joined(
        *(
            f"{arm.upper()} {len(values)} coefficients"
            for arm in ("bp", "rp")
            if len(values := source.array(f"gaiaxp_{arm}_coefficients"))
        )
    )


def _ztf(source: Source) -> str:
    epochs = [
        f"{band} {int(count)}"
        for band in ("g", "r", "i")
        if (count := source.number(f"ztf_nepochs_{band}")) is not None
    ]
    return f"epochs: {', '.join(epochs)}"


def _desi(source: Source) -> str:
    warning = source.number("desi_ZWARN")
    return _joined(
        str(source.get("desi_SPECTYPE") or "").strip(),
        _value(source, "z", "desi_Z", 5),
        "" if warning is None else f"ZWARN {int(warning)}",
    )


def _apogee(source: Source) -> str:
    return _joined(
        _value(source, "Teff", "apogee_TEFF", 0, unit="K"),
        _value(source, "log g", "apogee_LOGG", 2),
        _value(source, "[Fe/H]", "apogee_FE_H", 2),
    )


def _specz(source: Source) -> str:
    return _value(source, "z", "specz_z", 5, error="specz_e_z")


def _vista(source: Source) -> str:
    bands = [
        _value(source, label, f"vista_{name}apermag3", 2)
        for label, name in (("Y", "y"), ("J", "j"), ("H", "h"), ("Ks", "ks"))
    ]
    joined = _joined(*bands)
    return f"{joined} (Vega)" if joined else ""


_SUMMARIES: Mapping[str, Callable[[Source], str]] = {
    "gaia": _gaia,
    "gaiaxp": _gaiaxp,
    "ztf": _ztf,
    "desi": _desi,
    "apogee": _apogee,
    "specz": _specz,
    "vista": _vista,
}
