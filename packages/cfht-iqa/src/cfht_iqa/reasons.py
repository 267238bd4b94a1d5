"""Measurements put in words: why an exposure may have got its verdict."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np

from cfht_iqa.quality import CcdQuality

__all__ = ["LIMITS", "exposure_measures", "reasons_for"]

# Beyond which a measurement is worth a word; the network does not use them.
LIMITS: Final = {
    "fwhm_arcsec": 1.1,
    "ellipticity": 0.2,
    "coherence": 0.6,
    "repeated_fraction": 0.12,
    "background_range": 0.1,
    "background_sigma": 1.5,
    "background_step": 0.05,
}


def exposure_measures(ccds: Sequence[CcdQuality]) -> dict[str, float]:
    """Medians over the CCDs of an exposure; NaN where no CCD could be measured.

    Parameters
    ----------
    ccds : sequence of CcdQuality
        Of each CCD.

    Returns
    -------
    dict of str to float
        By name of the measurement, with ``position_angle_deg`` of the mean elongation and
        ``n_sources``, the sum.
    """
    names = [name for name in CcdQuality(0).as_json() if name != "n_sources"]
    result: dict[str, float] = {}
    for name in names:
        values = np.array([getattr(ccd, name) for ccd in ccds], float)
        values = np.abs(values) if name == "background_step" else values
        finite = values[np.isfinite(values)]
        result[name] = float(np.median(finite)) if finite.size else math.nan
    angle = 0.5 * math.degrees(math.atan2(result["mean_e2"], result["mean_e1"]))
    result["position_angle_deg"] = angle % 180.0
    result["n_sources"] = float(sum(ccd.n_sources for ccd in ccds))
    return result


def reasons_for(verdict: str, measures: Mapping[str, Any]) -> list[str]:
    """Say which measurements stand out.

    Parameters
    ----------
    verdict : str
        Of the network: where no measurement bears it out, this is said.
    measures : mapping of str to float
        Made by `exposure_measures`.

    Returns
    -------
    list of str
        One sentence each; those that bear the verdict out come first.
    """
    said = {
        "B_SEEING": _seeing(measures),
        "BT": _elongation(measures),
        "RBT": _repetition(measures) or _elongation(measures),
        "BGP": _background(measures),
    }
    reasons = [text for text in (said.get(verdict, ""),) if text]
    reasons += [text for text in said.values() if text and text not in reasons]
    if verdict != "GOOD" and not said.get(verdict):
        reasons.insert(0, "no single measurement passes its limit; the network saw it in the image")
    if not math.isfinite(measures["fwhm_arcsec"]):
        reasons.insert(0, "too few bright, unsaturated sources to measure shapes")
    elif not _seeing(measures):
        reasons.append(_shape_within_limits(measures))
    return reasons


def _is_drawn_out(measures: Mapping[str, Any]) -> bool:
    """Whether sources are elongated, and alike; galaxies and blends are, each its own way."""
    return bool(
        measures["ellipticity"] > LIMITS["ellipticity"]
        and measures["coherence"] > LIMITS["coherence"]
    )


def _seeing(measures: Mapping[str, Any]) -> str:
    fwhm, limit = measures["fwhm_arcsec"], LIMITS["fwhm_arcsec"]
    # A trail is wide too; what is wide and drawn out in no one direction is blurred.
    if not fwhm > limit or _is_drawn_out(measures):
        return ""
    ellipticity = measures["ellipticity"]
    if ellipticity > LIMITS["ellipticity"]:
        return (
            f"sources are wide: {fwhm:.2f} arcsec (limit {limit:.2f}); their elongation, "
            f"{ellipticity:.2f}, has no common direction ({100 * measures['coherence']:.0f} % "
            "coherent)"
        )
    return f"sources are round and wide: {fwhm:.2f} arcsec (limit {limit:.2f})"


def _shape_within_limits(measures: Mapping[str, Any]) -> str:
    fwhm, ellipticity = measures["fwhm_arcsec"], measures["ellipticity"]
    if fwhm > LIMITS["fwhm_arcsec"]:
        return f"width {fwhm:.2f} arcsec, which the elongation accounts for"
    if _is_drawn_out(measures):
        return f"seeing {fwhm:.2f} arcsec, within its limit"
    if ellipticity > LIMITS["ellipticity"]:
        return (
            f"seeing {fwhm:.2f} arcsec, within its limit; elongation {ellipticity:.2f} in no "
            f"common direction ({100 * measures['coherence']:.0f} % coherent)"
        )
    return f"seeing {fwhm:.2f} arcsec, ellipticity {ellipticity:.2f}, within limits"


def _elongation(measures: Mapping[str, Any]) -> str:
    ellipticity, coherence = measures["ellipticity"], measures["coherence"]
    if not _is_drawn_out(measures):
        return ""
    return (
        f"sources are drawn out alike: ellipticity {ellipticity:.2f} (limit "
        f"{LIMITS['ellipticity']:.2f}), {100 * coherence:.0f} % coherent, at "
        f"{measures['position_angle_deg']:.0f} deg"
    )


def _repetition(measures: Mapping[str, Any]) -> str:
    share, limit = measures["repeated_fraction"], LIMITS["repeated_fraction"]
    if not share > limit:
        return ""
    return (
        f"{100 * share:.0f} % of the sources have a companion {measures['repeat_arcsec']:.1f} "
        f"arcsec away in the same direction (limit {100 * limit:.0f} %): images are multiple"
    )


def _background(measures: Mapping[str, Any]) -> str:
    share, sigma = measures["background_range"], measures["background_sigma"]
    if not (share > LIMITS["background_range"] and sigma > LIMITS["background_sigma"]):
        return ""
    text = f"the background varies by {100 * share:.0f} % of the sky over a CCD ({sigma:.1f} sigma)"
    step = measures["background_step"]
    if step > LIMITS["background_step"]:
        text += f"; its halves differ by {100 * step:.0f} %"
    return text
