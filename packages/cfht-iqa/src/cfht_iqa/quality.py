"""What can be measured of a CCD's image quality, and said to a person.

Shapes are those of bright sources that are neither saturated nor cut, nor narrower than a point
source can be: width at half the peak, and ellipticity from second moments. Bad guiding stretches
all sources alike, by the same difference of the second moments whatever their own width: of it
follows the length of the trail. How the background varies needs no sources.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from cfht_iqa.ccd_state import CcdState
from cfht_iqa.cutouts import cutouts_at, is_inside
from cfht_iqa.extraction.settings import SATURATED, TRUNCATED, Sources
from cfht_iqa.repeated_images import PairOffsets, pair_offsets, repetition
from cfht_iqa.sky_background import measure_background

__all__ = [
    "LEAST_SHAPES",
    "MEDIAN_ERROR",
    "CcdQuality",
    "measure_quality",
    "trail_length",
]

_HALF: Final = 12
_MOST_SOURCES: Final = 2000
_MOST_SHAPES: Final = 150
_LEAST_VARIANCE_PX2: Final = 0.36
# Sources on a CCD without which nothing is said of shapes.
LEAST_SHAPES: Final = 4
# Standard error of a median over that of a mean, for normal distributions: sqrt(pi / 2).
MEDIAN_ERROR: Final = 1.2533

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class CcdQuality:
    """Measurements on a CCD; NaN where there are too few sources.

    Attributes
    ----------
    n_sources : int
        Sources found.
    n_shapes : int
        Bright, unsaturated, uncut sources of which the shape was measured.
    fwhm_arcsec, fwhm_error_arcsec : float
        Median width at half the peak, and its standard error.
    ellipticity : float
        Median length of the vector (a^2 - b^2) / (a^2 + b^2) at twice the position angle.
    mean_e1, mean_e2 : float
        Mean of that vector.
    coherence : float
        Length of the mean vector over the mean length: 1 if all sources point alike.
    stretch_1_arcsec2, stretch_2_arcsec2, stretch_error_arcsec2 : float
        Median of the difference a^2 - b^2 of the second moments, as a vector at twice the position
        angle, and the standard error of either component.
    trail_arcsec : float
        Length of the even trail that would stretch point sources so; see `trail_length`.
    repeated_fraction : float
        Share of the sources that have a companion at the commonest offset, beyond chance.
    repeat_arcsec : float
        That offset.
    background : float
        Median background, in ADU. It is measured on 8 x 8 blocks of the halves that are alive.
    background_range : float
        5th to 95th percentile of the blocks' backgrounds, over the median sky.
    background_step : float
        Right half minus left half of the CCD, over the median sky.
    background_sigma : float
        The range in units of the pixel noise.
    offsets : PairOffsets or None
        Of which `repeated_fraction` was taken; they add up over the CCDs of an exposure.
    """

    n_sources: int
    n_shapes: int = 0
    fwhm_arcsec: float = math.nan
    fwhm_error_arcsec: float = math.nan
    ellipticity: float = math.nan
    mean_e1: float = math.nan
    mean_e2: float = math.nan
    coherence: float = math.nan
    stretch_1_arcsec2: float = math.nan
    stretch_2_arcsec2: float = math.nan
    stretch_error_arcsec2: float = math.nan
    trail_arcsec: float = math.nan
    repeated_fraction: float = math.nan
    repeat_arcsec: float = math.nan
    background: float = math.nan
    background_range: float = math.nan
    background_step: float = math.nan
    background_sigma: float = math.nan
    offsets: PairOffsets | None = None

    def as_json(self) -> dict[str, Any]:
        """The measurements as a dict, without the offsets."""
        return {
            item.name: getattr(self, item.name) for item in fields(self) if item.name != "offsets"
        }


def trail_length(stretch_arcsec2: float) -> float:
    """Length of an even trail, in arcsec, that adds so much to the variance along it: L^2 / 12."""
    return math.sqrt(12.0 * max(stretch_arcsec2, 0.0))


def measure_quality(
    pixels: npt.NDArray[np.float32],
    sources: Sources,
    *,
    pixel_scale_arcsec: float,
    bias_adu: float,
    state: CcdState | None = None,
) -> CcdQuality:
    """Measure a CCD.

    Parameters
    ----------
    pixels : ndarray of float32, shape (n_y, n_x)
        The trimmed image, bias included.
    sources : dict of str to ndarray
        ``X_IMAGE, Y_IMAGE, ISO0, BACKGROUND, FLAGS``.
    pixel_scale_arcsec : float
        Arcsec per pixel.
    bias_adu : float
        Level without light; NaN if not known, and then 0.
    state : CcdState, optional
        Which halves are alive; by default both.

    Returns
    -------
    CcdQuality
    """
    count = len(sources["X_IMAGE"])
    background = measure_background(pixels, 0.0 if math.isnan(bias_adu) else bias_adu, state)
    if not count:
        return CcdQuality(count, **background)
    shapes = _measured_shapes(pixels, sources)
    # The companions of the faintest are lost below the threshold.
    chosen = shapes.index[: math.ceil(0.7 * len(shapes.index))]
    offsets = pair_offsets(
        sources["X_IMAGE"][chosen] * pixel_scale_arcsec,
        sources["Y_IMAGE"][chosen] * pixel_scale_arcsec,
    )
    found = repetition([offsets])
    return CcdQuality(
        count,
        **_shapes(shapes, sources, pixel_scale_arcsec),
        repeated_fraction=found.share,
        repeat_arcsec=found.offset_arcsec,
        **background,
        offsets=offsets,
    )


@dataclass(frozen=True, eq=False)
class _Shapes:
    """Shapes of the sources of largest area that have one; lengths in pixels.

    ``size`` is the sum of the two second moments, and of the ellipticity vector the denominator.
    """

    index: npt.NDArray[np.intp]
    fwhm: Floats
    size: Floats
    e1: Floats
    e2: Floats


def _measured_shapes(pixels: npt.NDArray[np.float32], sources: Sources) -> _Shapes:
    x, y, area = sources["X_IMAGE"], sources["Y_IMAGE"], sources["ISO0"]
    chosen = np.flatnonzero(is_inside(pixels.shape, x, y, _HALF))
    chosen = chosen[np.argsort(-area[chosen], kind="stable")][:_MOST_SOURCES]
    stamps = cutouts_at(pixels, x[chosen], y[chosen], _HALF)
    stamps = stamps - sources["BACKGROUND"][chosen, None, None].astype(np.float32)
    stamps = np.nan_to_num(stamps, nan=0.0)
    core = stamps[:, _HALF - 3 : _HALF + 4, _HALF - 3 : _HALF + 4]
    peak = core.max(axis=(1, 2), initial=0.0)
    good = peak > 0
    chosen, stamps, peak = chosen[good], stamps[good], peak[good, None, None]
    steps = np.arange(-_HALF, _HALF + 1, dtype=np.float32)
    near = np.hypot(steps[:, None], steps[None]) <= _HALF
    above = (stamps > 0.5 * peak) & near
    fwhm = 2.0 * np.sqrt(above.sum(axis=(1, 2)) / np.pi)
    light = np.where((stamps > 0.15 * peak) & near, stamps, np.float32(0.0))
    # Along each axis first: sums over pixels of light, light x, light y, and so on.
    columns, rows = light.sum(axis=1, dtype=np.float64), light.sum(axis=2, dtype=np.float64)
    total = columns.sum(axis=1)
    middle_x, middle_y = columns @ steps / total, rows @ steps / total
    xx = columns @ steps**2 / total - middle_x**2
    yy = rows @ steps**2 / total - middle_y**2
    xy = np.einsum("nyx,y,x->n", light, steps, steps, optimize=True) / total - middle_x * middle_y
    size = np.maximum(xx + yy, 1e-9)
    e1, e2 = (xx - yy) / size, 2.0 * xy / size
    # The trace of a cosmic ray is narrower than any image that the telescope makes.
    real = 0.5 * size * (1.0 - np.hypot(e1, e2)) >= _LEAST_VARIANCE_PX2
    return _Shapes(chosen[real], fwhm[real], size[real], e1[real], e2[real])


def _shapes(shapes: _Shapes, sources: Sources, pixel_scale_arcsec: float) -> dict[str, Any]:
    area = sources["ISO0"][shapes.index]
    usable = (sources["FLAGS"][shapes.index] & (SATURATED | TRUNCATED)) == 0
    if usable.any():
        # The smallest are faint, and the few largest are galaxies and blends.
        low, high = np.percentile(area[usable], (40.0, 97.0))
        usable &= (area >= low) & (area <= high)
    chosen = np.flatnonzero(usable)[:_MOST_SHAPES]
    count = len(chosen)
    if count < LEAST_SHAPES:
        return {"n_shapes": count}
    e1, e2 = shapes.e1[chosen], shapes.e2[chosen]
    length = np.hypot(e1, e2)
    mean_1, mean_2 = float(e1.mean()), float(e2.mean())
    size = shapes.size[chosen] * pixel_scale_arcsec**2
    # Galaxies and blends lie far out on all sides, so that the median is of the stars.
    stretch = float(np.median(e1 * size)), float(np.median(e2 * size))
    spread = 0.5 * (_spread(e1 * size) + _spread(e2 * size))
    width_px = float(np.median(shapes.fwhm[chosen]))
    # Widths are of whole numbers of pixels, pi width^2 / 4 of them; so even is the median's error.
    step = 2.0 / (math.pi * width_px) / math.sqrt(12.0)
    scatter = MEDIAN_ERROR * _spread(shapes.fwhm[chosen]) / math.sqrt(count - 1)
    return {
        "n_shapes": count,
        "fwhm_arcsec": width_px * pixel_scale_arcsec,
        "fwhm_error_arcsec": math.hypot(scatter, step) * pixel_scale_arcsec,
        "ellipticity": float(np.median(length)),
        "mean_e1": mean_1,
        "mean_e2": mean_2,
        "coherence": math.hypot(mean_1, mean_2) / max(float(length.mean()), 1e-9),
        "stretch_1_arcsec2": stretch[0],
        "stretch_2_arcsec2": stretch[1],
        "stretch_error_arcsec2": MEDIAN_ERROR * spread / math.sqrt(count - 1),
        "trail_arcsec": trail_length(math.hypot(*stretch)),
    }


def _spread(values: Floats) -> float:
    """Standard deviation of a normal distribution with the same inner 68 %."""
    low, high = np.percentile(values, (15.87, 84.13))
    return float(high - low) / 2.0
