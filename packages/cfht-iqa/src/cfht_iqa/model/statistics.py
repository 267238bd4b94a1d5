"""Statistics of a CCD and of its exposure, which the network sees beside image and hits.

A cutout shows 2.3 arcsec on either side of a source; that the whole field is repeated 5 arcsec
away, only measurements tell. Guiding and seeing are the same for all CCDs, so that a short trail
which the few sources of one CCD leave in doubt is plain from all. All statistics are ratios, angles
on the sky or units of the noise, which neither exposure time nor filter scales.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from cfht_iqa.exposure_quality import exposure_measures
from cfht_iqa.quality import CcdQuality
from cfht_iqa.representatives import CUTOUT_PX

__all__ = [
    "CCD_SHAPES",
    "EXPOSURE_SHAPES",
    "N_STATISTICS",
    "background_numbers",
    "exposure_numbers",
    "source_numbers",
]

_N_BACKGROUND: Final = 5
_N_SOURCE: Final = 8
_N_EXPOSURE: Final = 10
N_STATISTICS: Final = _N_BACKGROUND + _N_SOURCE + _N_EXPOSURE
# Places of what cannot be measured without sources, of the CCD and of the exposure.
CCD_SHAPES: Final = tuple(_N_BACKGROUND + place for place in (0, 1, 2, 3, 4, 7))
EXPOSURE_SHAPES: Final = tuple(
    _N_BACKGROUND + _N_SOURCE + place for place in (0, 1, 2, 3, 4, 5, 6, 9)
)
Floats = npt.NDArray[np.float32]


def background_numbers(image: Floats, x: Any, y: Any, level: Any) -> Floats:
    """How the backgrounds of the cutouts of a CCD differ.

    Parameters
    ----------
    image : ndarray of float32, shape (25, 25 n_clusters)
        Representative image; the borders of its tiles tell the noise.
    x, y, level : array-like of float, shape (n_clusters,)
        Positions and backgrounds of the cutouts; NaN for empty tiles.

    Returns
    -------
    ndarray of float32, shape (5,)
        Logarithms of 1 + the range, the amplitude of the best plane, the scatter about it, and the
        largest step between the halves of the CCD after it, each over the noise of a pixel; and of
        1 + 100 times the range over the median level.
    """
    x, y, level = (np.asarray(values, np.float64) for values in (x, y, level))
    known = np.isfinite(x) & np.isfinite(y) & np.isfinite(level)
    if known.sum() < 4:
        return np.zeros(_N_BACKGROUND, np.float32)
    x, y, level = x[known], y[known], level[known]
    tiles = image.reshape(CUTOUT_PX, -1, CUTOUT_PX).transpose(1, 0, 2)[known]
    border = np.concatenate([tiles[:, :2].ravel(), tiles[:, -2:].ravel()])
    border = border[np.isfinite(border)]
    low, high = np.percentile(border, (15.9, 50.0)) if border.size else (0.0, 1.0)
    noise = max(float(high - low), 0.3)
    extent = max(float(np.ptp(x)), float(np.ptp(y)), 1.0)
    design = np.stack([np.ones_like(x), (x - x.mean()) / extent, (y - y.mean()) / extent], axis=1)
    solution = np.linalg.lstsq(design, level, rcond=None)[0]
    rest = level - design @ solution
    span = float(np.ptp(level))
    right = x > (x.min() + x.max()) / 2.0
    has_both = 0 < right.sum() < len(x)
    step = abs(float(rest[right].mean() - rest[~right].mean())) if has_both else 0.0
    over_noise = np.array([span, np.hypot(*solution[1:]), rest.std(), step]) / noise
    relative = 100.0 * span / max(abs(float(np.median(level))), 1.0)
    return np.asarray(np.log1p([*over_noise, relative]), np.float32)


def source_numbers(measured: CcdQuality) -> Floats:
    """What was measured of the sources of a CCD, in forms of order 1.

    Parameters
    ----------
    measured : CcdQuality
        Of the CCD.

    Returns
    -------
    ndarray of float32, shape (8,)
        Logarithm of the FWHM over 0.7 arcsec, ellipticity, coherence, logarithm of 1 + the trail in
        arcsec, root of the share of repeated sources, logarithms of 1 + the range of the background
        over its noise and of 1 + 10 times that over the sky, and 1 if shapes could be measured; 0
        for what could not.
    """
    fwhm = _or_zero(measured.fwhm_arcsec)
    return np.array(
        [
            np.log(fwhm / 0.7) if fwhm > 0.0 else 0.0,
            _or_zero(measured.ellipticity),
            _or_zero(measured.coherence),
            np.log1p(_or_zero(measured.trail_arcsec)),
            np.sqrt(_or_zero(measured.repeated_fraction)),
            np.log1p(_or_zero(measured.background_sigma)),
            np.log1p(10.0 * _or_zero(measured.background_range)),
            float(fwhm > 0.0),
        ],
        np.float32,
    )


def exposure_numbers(ccds: Sequence[CcdQuality]) -> Floats:
    """What was measured of all CCDs of an exposure together, in forms of order 1.

    Parameters
    ----------
    ccds : sequence of CcdQuality
        Of each CCD.

    Returns
    -------
    ndarray of float32, shape (10,)
        As `source_numbers`, of the measurements of `exposure_measures`, with the length of the mean
        ellipticity vector after the ellipticity and the longest likely trail after the trail.
    """
    found = {name: _or_zero(value) for name, value in exposure_measures(ccds).items()}
    fwhm = found["fwhm_arcsec"]
    return np.array(
        [
            np.log(fwhm / 0.7) if fwhm > 0.0 else 0.0,
            found["ellipticity"],
            np.hypot(found["mean_e1"], found["mean_e2"]),
            found["coherence"],
            np.log1p(found["trail_arcsec"]),
            np.log1p(found["trail_most_arcsec"]),
            np.sqrt(found["repeated_fraction"]),
            np.log1p(found["background_sigma"]),
            np.log1p(10.0 * found["background_range"]),
            float(fwhm > 0.0),
        ],
        np.float32,
    )


def _or_zero(value: float) -> float:
    return value if np.isfinite(value) else 0.0
