"""What the CCDs of an exposure say together.

All CCDs saw the same seeing and the same guiding, so what few sources of one CCD leave in doubt is
plain from those of all: vectors are averaged, pairs of sources are added up. Backgrounds differ
from CCD to CCD; of them the median is taken.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from cfht_iqa.quality import MEDIAN_ERROR, CcdQuality, trail_length
from cfht_iqa.repeated_images import repetition

__all__ = ["exposure_measures"]

_MEDIANS: Final = (
    "fwhm_arcsec",
    "ellipticity",
    "background",
    "background_range",
    "background_step",
    "background_sigma",
)
_SHAPES: Final = (
    "fwhm_error_arcsec",
    "mean_e1",
    "mean_e2",
    "coherence",
    "trail_arcsec",
    "trail_least_arcsec",
    "trail_most_arcsec",
    "stretch_error_arcsec2",
    "position_angle_deg",
)


def exposure_measures(ccds: Sequence[CcdQuality]) -> dict[str, float]:
    """Combine the measurements of the CCDs of an exposure.

    Parameters
    ----------
    ccds : sequence of CcdQuality
        Of each CCD.

    Returns
    -------
    dict of str to float
        NaN where no CCD could be measured.

        ``n_sources, n_shapes``: sums. ``fwhm_arcsec, ellipticity, background, background_range,
        background_step`` (its absolute value), ``background_sigma``: medians over the CCDs.
        ``mean_e1, mean_e2``: mean ellipticity vector of all shapes; ``coherence``: its length over
        the mean length. ``trail_arcsec``: of the mean of the CCDs' stretches, weighted by shapes;
        ``trail_least_arcsec, trail_most_arcsec``: of two of its standard errors less and more;
        ``stretch_error_arcsec2``: that error; ``position_angle_deg``: direction of the trail,
        counter-clockwise from x. ``fwhm_error_arcsec``: standard error. ``repeated_fraction,
        repeat_arcsec``: of the pairs of all CCDs, among ``n_pair_sources`` sources.
    """
    result = {
        "n_sources": float(sum(ccd.n_sources for ccd in ccds)),
        "n_shapes": float(sum(ccd.n_shapes for ccd in ccds)),
    }
    for name in _MEDIANS:
        values = np.array([getattr(ccd, name) for ccd in ccds], np.float64)
        values = np.abs(values) if name == "background_step" else values
        values = values[np.isfinite(values)]
        result[name] = float(np.median(values)) if values.size else math.nan
    result |= _shapes([ccd for ccd in ccds if math.isfinite(ccd.fwhm_arcsec)])
    offsets = [ccd.offsets for ccd in ccds if ccd.offsets is not None]
    result["n_pair_sources"] = float(sum(part.n_places for part in offsets))
    found = repetition(offsets)
    result["repeated_fraction"] = found.share
    result["repeat_arcsec"] = found.offset_arcsec
    return result


def _shapes(ccds: Sequence[CcdQuality]) -> dict[str, float]:
    if not ccds:
        return dict.fromkeys(_SHAPES, math.nan)

    def of(name: str) -> npt.NDArray[np.float64]:
        return np.array([getattr(ccd, name) for ccd in ccds], np.float64)

    weight = of("n_shapes") / of("n_shapes").sum()
    e1, e2 = (float(weight @ of(name)) for name in ("mean_e1", "mean_e2"))
    length = np.hypot(of("mean_e1"), of("mean_e2")) / np.maximum(of("coherence"), 1e-6)
    first, second = (float(weight @ of(f"stretch_{axis}_arcsec2")) for axis in (1, 2))
    stretch = math.hypot(first, second)
    error = math.sqrt(float(weight**2 @ of("stretch_error_arcsec2") ** 2))
    # The median over CCDs loses to the mean what a median over sources does.
    factor = 1.0 if len(ccds) < 3 else MEDIAN_ERROR
    fwhm_error = factor * math.sqrt(float((of("fwhm_error_arcsec") ** 2).sum())) / len(ccds)
    values = (
        fwhm_error,
        e1,
        e2,
        math.hypot(e1, e2) / max(float(weight @ length), 1e-6),
        trail_length(stretch),
        trail_length(stretch - 2.0 * error),
        trail_length(stretch + 2.0 * error),
        error,
        (0.5 * math.degrees(math.atan2(second, first))) % 180.0,
    )
    return dict(zip(_SHAPES, values, strict=True))
