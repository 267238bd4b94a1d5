"""Whether measurements bear a verdict out, in words and figures that a person can check.

The network gives a class; what makes an exposure of that class can be measured. A verdict is
``measured`` if it was, and lies beyond its limit, or for GOOD if everything was measured and lies
within the limits. It is ``not supported`` if measurements are against it, ``not measurable`` if
there are too few sources to tell, and ``outside the training`` if the network has seen nothing
like it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from cfht_iqa.quality import LEAST_SHAPES
from cfht_iqa.repeated_images import LEAST_PLACES

__all__ = ["LIMITS", "SUPPORTS", "Assessment", "assess", "limits_for"]

# Beyond which a measurement is that of a class; the network does not use them.
LIMITS: Final = {
    "fwhm_arcsec": 1.1,
    "trail_arcsec": 0.6,
    "repeated_fraction": 0.12,
    "background_range": 0.05,
    "background_sigma": 1.5,
}
# Optics draw out by a share of the width; a trail is longer than that.
_TRAIL_OF_WIDTH: Final = 0.55
# From which on a trail is that of lost guiding.
_LOST_TRAIL_ARCSEC: Final = 3.5
# Sources of an exposure by which a few traces or spikes among them are outvoted.
_LEAST_SHAPES_IN_ALL: Final = 8
# Above which the halves of a CCD are said to differ, as a share of the sky.
_STEP_LIMIT: Final = 0.05

SUPPORTS: Final = ("measured", "not supported", "not measurable", "outside the training")

Measures = Mapping[str, Any]


@dataclass(frozen=True)
class Assessment:
    """How a verdict stands against the measurements.

    Attributes
    ----------
    support : str
        One of `SUPPORTS`.
    reasons : list of str
        One sentence each; the first says what bears the verdict out, or why nothing does.
    """

    support: str
    reasons: list[str]


def assess(verdict: str, measures: Measures, outside: Sequence[str] = ()) -> Assessment:
    """Hold a verdict against the measurements.

    Parameters
    ----------
    verdict : str
        One of the five classes.
    measures : mapping of str to float
        Made by `cfht_iqa.exposure_quality.exposure_measures`.
    outside : sequence of str, optional
        In what the exposure differs from all that the network was trained on.

    Returns
    -------
    Assessment
    """
    said = {
        "B_SEEING": _seeing(measures),
        "BT": _trail(measures),
        "RBT": _repetition(measures) or _lost_trail(measures),
        "BGP": _background(measures),
    }
    if outside:
        support = SUPPORTS[3]
        first = [f"not like what the network was trained on: {text}" for text in outside]
    else:
        support, text = _support(verdict, said, measures)
        first = [text] if text else []
    own = said.get(verdict, "")
    # A short trail, and a long one, are one measurement.
    trails = (said["BT"], said["RBT"]) if "drawn out" in said["RBT"] else ()
    others = [text for text in said.values() if text and text != own]
    if own in trails:
        others = [text for text in others if text not in trails]
    reasons = [*first, *([own] if own else []), *others]
    if support != SUPPORTS[2]:
        reasons += [text for text in (_shape_unknown(measures),) if text]
    return Assessment(support, [*reasons, *_within(measures, said)])


def _support(verdict: str, said: Mapping[str, str], measures: Measures) -> tuple[str, str]:
    if verdict == "GOOD":
        # What is wrong is said by its own sentence; this one says what that means.
        against = [name for name, text in said.items() if text]
        if against:
            return SUPPORTS[1], f"GOOD is not supported: the exposure measures as {against[0]}"
        unknown = _shape_unknown(measures)
        return (SUPPORTS[2], f"GOOD cannot be checked: {unknown}") if unknown else (SUPPORTS[0], "")
    if verdict == "BT" and said["RBT"] and said["RBT"] != said["BT"]:
        return SUPPORTS[1], "BT is not supported: the exposure measures as RBT"
    # What is wide may be trailed, as long as too few sources tell.
    if said[verdict] and not (verdict == "B_SEEING" and _shape_unknown(measures)):
        return SUPPORTS[0], ""
    unknown = "" if verdict == "BGP" else _shape_unknown(measures, repeats=verdict == "RBT")
    if verdict == "BGP" and not math.isfinite(measures["background_range"]):
        unknown = "no background could be measured"
    if unknown:
        return SUPPORTS[2], f"{verdict} cannot be checked: {unknown}"
    found = {
        "B_SEEING": _seeing_missing,
        "BT": _trail_missing,
        "RBT": _repetition_missing,
        "BGP": _background_missing,
    }[verdict](measures)
    return SUPPORTS[1], f"{verdict} is not supported by any measurement: {found}"


def _has_shapes(measures: Measures) -> bool:
    return bool(
        math.isfinite(measures["fwhm_arcsec"]) and measures["n_shapes"] >= _LEAST_SHAPES_IN_ALL
    )


def _shape_unknown(measures: Measures, *, repeats: bool = False) -> str:
    """What is missing to tell seeing and trails; empty if nothing is."""
    sources, shapes = int(measures["n_sources"]), int(measures["n_shapes"])
    counted = f"{sources} sources found, {shapes} of them bright, unsaturated and whole"
    if not _has_shapes(measures):
        text = (
            f"{counted}; at least {_LEAST_SHAPES_IN_ALL} such sources, and {LEAST_SHAPES} on one "
            "CCD, are needed to tell seeing and trails"
        )
        if repeats and not math.isfinite(measures["repeated_fraction"]):
            pairs = int(measures["n_pair_sources"])
            text += f", and {LEAST_PLACES} sources to tell repeated images, of which are {pairs}"
        return text
    most = measures["trail_most_arcsec"]
    limit = _trail_limit(measures)
    doubtful = 1.5 * limit
    if _is_trailed(measures) or most <= doubtful:
        return ""
    # Two standard errors shall be no more than the stretch of a trail of that length.
    allowed = doubtful**2 / 12.0
    wanted = math.ceil(shapes * (2.0 * measures["stretch_error_arcsec2"] / allowed) ** 2)
    return (
        f"{counted}, which leave a trail of up to {most:.2f} arcsec possible (limit {limit:.2f}); "
        f"about {max(wanted, shapes + 1)} such sources are needed"
    )


def limits_for(measures: Measures) -> dict[str, float]:
    """Limits of the measurements of an exposure; that of a trail grows with the width."""
    if not math.isfinite(measures["fwhm_arcsec"]):
        return dict(LIMITS)
    return {**LIMITS, "trail_arcsec": _trail_limit(measures)}


def _trail_limit(measures: Measures) -> float:
    return max(LIMITS["trail_arcsec"], _TRAIL_OF_WIDTH * float(measures["fwhm_arcsec"]))


def _is_trailed(measures: Measures) -> bool:
    """Whether sources are drawn out in common; galaxies and blends are, each its own way."""
    if not _has_shapes(measures):
        return False
    is_long = measures["trail_arcsec"] > _trail_limit(measures)
    return bool(is_long and measures["trail_least_arcsec"] > 0.0)


def _width(measures: Measures) -> str:
    return f"{measures['fwhm_arcsec']:.2f} +- {measures['fwhm_error_arcsec']:.2f} arcsec"


def _trail_of(measures: Measures) -> str:
    least, most = measures["trail_least_arcsec"], measures["trail_most_arcsec"]
    return (
        f"{measures['trail_arcsec']:.2f} arcsec ({least:.2f} to {most:.2f}, "
        f"{int(measures['n_shapes'])} sources)"
    )


def _seeing(measures: Measures) -> str:
    # A trail is wide too; what is wide and drawn out in no one direction is blurred.
    limit = LIMITS["fwhm_arcsec"]
    is_wide = _has_shapes(measures) and measures["fwhm_arcsec"] > limit
    if not is_wide or _is_trailed(measures):
        return ""
    text = f"sources are wide: {_width(measures)} (limit {limit:.2f})"
    known = not _shape_unknown(measures)
    return f"{text}, and not drawn out in a common direction" if known else text


def _seeing_missing(measures: Measures) -> str:
    text = f"seeing {_width(measures)} (limit {LIMITS['fwhm_arcsec']:.2f})"
    return f"{text}, which the trail accounts for" if _is_trailed(measures) else text


def _trail(measures: Measures) -> str:
    if not _is_trailed(measures):
        return ""
    return (
        f"sources are drawn out alike, as by a trail of {_trail_of(measures)}, limit "
        f"{_trail_limit(measures):.2f}, at {measures['position_angle_deg']:.0f} deg; "
        f"{100.0 * measures['coherence']:.0f} % coherent"
    )


def _trail_missing(measures: Measures) -> str:
    return (
        f"a trail of {_trail_of(measures)} is within the limit of {_trail_limit(measures):.2f} "
        "or its own error"
    )


def _lost_trail(measures: Measures) -> str:
    return _trail(measures) if measures["trail_arcsec"] > _LOST_TRAIL_ARCSEC else ""


def _repetition(measures: Measures) -> str:
    share, limit = measures["repeated_fraction"], LIMITS["repeated_fraction"]
    if not share > limit:
        return ""
    return (
        f"images are multiple: {100.0 * share:.0f} % of {int(measures['n_pair_sources'])} sources "
        f"have a companion {measures['repeat_arcsec']:.1f} arcsec away in the same direction "
        f"(limit {100.0 * limit:.0f} %)"
    )


def _repetition_missing(measures: Measures) -> str:
    share = measures["repeated_fraction"]
    if math.isfinite(share):
        text = f"{100.0 * share:.0f} % of {int(measures['n_pair_sources'])} sources are repeated"
        text += f" (limit {100.0 * LIMITS['repeated_fraction']:.0f} %)"
    else:
        text = f"of {int(measures['n_pair_sources'])} sources no repetition can be told"
    return f"{text}, trail {_trail_of(measures)} (limit {_LOST_TRAIL_ARCSEC:.2f})"


def _background(measures: Measures) -> str:
    share, sigma = measures["background_range"], measures["background_sigma"]
    if not (share > LIMITS["background_range"] and sigma > LIMITS["background_sigma"]):
        return ""
    text = (
        f"the background varies by {100.0 * share:.0f} % of the sky over a CCD (limit "
        f"{100.0 * LIMITS['background_range']:.0f} %), {sigma:.1f} times the noise of a pixel"
    )
    step = measures["background_step"]
    return f"{text}; its halves differ by {100.0 * step:.0f} %" if step > _STEP_LIMIT else text


def _background_missing(measures: Measures) -> str:
    return (
        f"the background varies by {100.0 * measures['background_range']:.1f} % of the sky (limit "
        f"{100.0 * LIMITS['background_range']:.0f} %) and {measures['background_sigma']:.1f} times "
        f"the noise (limit {LIMITS['background_sigma']:.1f})"
    )


def _within(measures: Measures, said: Mapping[str, str]) -> list[str]:
    """What was measured and is as it should be."""
    parts = []
    if _has_shapes(measures) and not (said["B_SEEING"] or said["BT"]):
        parts.append(_seeing_missing(measures))
        if not _shape_unknown(measures):
            parts.append(f"trail {_trail_of(measures)}, limit {_trail_limit(measures):.2f}")
    if math.isfinite(measures["background_range"]) and not said["BGP"]:
        parts.append(f"background range {100.0 * measures['background_range']:.1f} % of the sky")
    return [f"within limits: {'; '.join(parts)}"] if parts else []
