"""Sources by ``sep`` (Barbary 2016, JOSS 1, 58), the C code of SExtractor as a library."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import sep

from astro_common.errors import InputError
from cfht_iqa.extraction.settings import (
    BLENDED,
    OVERFLOW,
    SATURATED,
    TRUNCATED,
    ExtractionSettings,
    Sources,
    no_sources,
)

__all__ = ["COMPACTNESS", "extract_with_sep", "gaussian_fwhm", "stellarity"]

# What stands in CLASS_STAR: sep has no neural network.
COMPACTNESS: Final = "FWHM against nominal seeing"

# Detections that wait for their pixels to be collected; SExtractor's MEMORY_PIXSTACK.
_PIXEL_STACK: Final = 3_000_000
_SUB_OBJECTS: Final = 4096
# In natural logarithms of FWHM over nominal seeing: where a source is as likely extended as not,
# and how fast that changes.
_HALF_POINT: Final = 0.4
_SOFTNESS: Final = 0.15


def extract_with_sep(
    pixels: npt.NDArray[np.float32],
    mask: npt.NDArray[np.bool_] | None,
    settings: ExtractionSettings,
    *,
    pixel_scale_arcsec: float,
    saturation_adu: float,
    source: Path,
    ccd: str,
) -> Sources:
    """Find the sources of a CCD.

    Parameters
    ----------
    pixels : ndarray of float32, shape (n_y, n_x)
        C-contiguous, in ADU; it stays as it is.
    mask : ndarray of bool, shape (n_y, n_x), or None
        True where a pixel says nothing.
    settings : ExtractionSettings
        Threshold, mesh and the like.
    pixel_scale_arcsec : float
        Arcsec per pixel.
    saturation_adu : float
        Level from which on a pixel is saturated.
    source : Path
        The exposure, for errors.
    ccd : str
        The CCD, for errors.

    Returns
    -------
    dict of str to ndarray
        Columns of `COLUMNS`, in the order of detection.

    Raises
    ------
    InputError
        If ``sep`` gives up, as on a field with more blends than it has room for.
    """
    sep.set_extract_pixstack(_PIXEL_STACK)
    sep.set_sub_object_limit(_SUB_OBJECTS)
    filled = settings.mesh_filter
    try:
        background = sep.Background(
            pixels, mask=mask, bw=settings.mesh_px, bh=settings.mesh_px, fw=filled, fh=filled
        )
        if not background.globalrms > 0.0:
            return no_sources()
        above = pixels.copy()
        background.subfrom(above)
        objects = sep.extract(
            above,
            settings.threshold_sigma * background.globalrms,
            mask=mask,
            minarea=settings.min_area_px,
            filter_kernel=None,
            deblend_nthresh=settings.deblend_levels,
            deblend_cont=settings.deblend_contrast,
            clean=True,
        )
    except Exception as error:
        # sep raises bare Exception with the message of its C code.
        raise InputError(
            source, f"{ccd}: sep gave up ({error})", action="raise --threshold-sigma"
        ) from error
    if not len(objects):
        return no_sources()
    # What was taken off, where it is wanted: the whole map need not be made again.
    level = _at(pixels, objects) - _at(above, objects)
    return _columns(objects, level, settings, pixel_scale_arcsec, saturation_adu)


def _at(image: npt.NDArray[np.float32], objects: Any) -> npt.NDArray[np.float32]:
    n_y, n_x = image.shape
    column = np.clip(np.rint(objects["x"]).astype(np.intp), 0, n_x - 1)
    row = np.clip(np.rint(objects["y"]).astype(np.intp), 0, n_y - 1)
    return np.asarray(image[row, column], np.float32)


def _columns(
    objects: Any,
    level: npt.NDArray[np.float32],
    settings: ExtractionSettings,
    pixel_scale_arcsec: float,
    saturation_adu: float,
) -> Sources:
    area = objects["tnpix"].astype(np.int32)
    # One pixel's variance is 1/12: a source one pixel wide is no line (SExtractor does the same).
    minor = np.where(objects["b"] > 0, objects["b"], np.sqrt(1.0 / 12.0))
    major = np.maximum(objects["a"], minor)
    fwhm = gaussian_fwhm(area, objects["peak"], objects["thresh"])
    flags = np.zeros(len(objects), np.int16)
    for bit, ours in ((sep.OBJ_MERGED, BLENDED), (sep.OBJ_TRUNC, TRUNCATED)):
        flags |= np.where(objects["flag"] & bit, ours, 0).astype(np.int16)
    flags |= np.where(objects["flag"] & sep.OBJ_DOVERFLOW, OVERFLOW, 0).astype(np.int16)
    # Half a unit makes good what the background lost in single precision.
    full = objects["peak"] + level >= saturation_adu - 0.5
    flags |= np.where(full, SATURATED, 0).astype(np.int16)
    return {
        "X_IMAGE": objects["x"] + 1.0,
        "Y_IMAGE": objects["y"] + 1.0,
        "ISO0": area,
        "ELONGATION": (major / minor).astype(np.float32),
        "ELLIPTICITY": (1.0 - minor / major).astype(np.float32),
        "CLASS_STAR": stellarity(fwhm * pixel_scale_arcsec, settings.seeing_arcsec),
        "BACKGROUND": level,
        "FLAGS": flags,
        "THETA_IMAGE": np.degrees(objects["theta"]).astype(np.float32),
        "A_IMAGE": major.astype(np.float32),
        "FWHM_IMAGE": fwhm.astype(np.float32),
        "FLUX_MAX": objects["peak"].astype(np.float32),
    }


def gaussian_fwhm(
    area_px: npt.NDArray[Any], peak: npt.NDArray[Any], threshold: npt.NDArray[Any]
) -> npt.NDArray[np.float64]:
    """FWHM of the Gaussian that has this area above this threshold.

    Parameters
    ----------
    area_px : ndarray
        Isophotal area, in square pixels.
    peak, threshold : ndarray
        Above the background, in the same unit.

    Returns
    -------
    ndarray of float64
        ``2 sqrt(ln 2 area / (pi ln(peak / threshold)))``, from solving the profile for the radius
        of the isophote; NaN where the peak is not above the threshold.
    """
    ratio = np.asarray(peak, np.float64) / np.asarray(threshold, np.float64)
    depth = np.log(np.where(ratio > 1.0, ratio, np.nan))
    return np.asarray(2.0 * np.sqrt(np.log(2.0) * area_px / (np.pi * depth)), np.float64)


def stellarity(
    fwhm_arcsec: npt.NDArray[np.float64], seeing_arcsec: float
) -> npt.NDArray[np.float32]:
    """How point-like sources are, judged by their width against a nominal seeing.

    Parameters
    ----------
    fwhm_arcsec : ndarray of float64
        Widths.
    seeing_arcsec : float
        Nominal seeing.

    Returns
    -------
    ndarray of float32
        Between 0 and 1: a logistic function of the logarithm of their ratio; 0.5 where the width
        is not known.
    """
    excess = (np.log(fwhm_arcsec / seeing_arcsec) - _HALF_POINT) / _SOFTNESS
    value = 1.0 / (1.0 + np.exp(np.clip(excess, -60.0, 60.0)))
    return np.where(np.isfinite(value), value, 0.5).astype(np.float32)
