"""One CCD through the engine of choice."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np

from cfht_iqa.extraction.sep_engine import COMPACTNESS, extract_with_sep
from cfht_iqa.extraction.settings import ExtractionSettings, Sources, no_sources
from cfht_iqa.extraction.sextractor_engine import (
    extract_with_sextractor,
    find_network,
    find_sextractor,
)
from cfht_iqa.megacam import Ccd

__all__ = ["ENGINES", "extract_ccd", "stellarity_name"]

ENGINES: Final = {"sep": extract_with_sep, "sextractor": extract_with_sextractor}


def stellarity_name(engine: str) -> str:
    """Say what stands in CLASS_STAR of a catalogue made by an engine."""
    if engine == "sextractor" and find_network(find_sextractor()) is not None:
        return "SExtractor neural network"
    return COMPACTNESS


def extract_ccd(
    ccd: Ccd,
    settings: ExtractionSettings,
    *,
    pixel_scale_arcsec: float,
    saturation_adu: float,
    source: Path,
) -> Sources:
    """Find the sources of a CCD.

    Parameters
    ----------
    ccd : Ccd
        Its pixels stay as they are.
    settings : ExtractionSettings
        Engine, threshold and the like.
    pixel_scale_arcsec : float
        Arcsec per pixel.
    saturation_adu : float
        Level from which on a pixel is saturated.
    source : Path
        The exposure, for errors.

    Returns
    -------
    dict of str to ndarray
        Columns of `COLUMNS`; no rows on a dead CCD.

    Raises
    ------
    InputError
        If the engine fails on this CCD.
    ConfigurationError
        If the engine is not installed.
    """
    if ccd.state.is_dead:
        return no_sources()
    pixels = ccd.pixels
    if settings.subtract_bias and np.isfinite(ccd.overscan_adu):
        pixels = pixels - np.float32(ccd.overscan_adu)
        saturation_adu -= ccd.overscan_adu
    mask = None
    # One NaN makes the sum NaN; a whole image of integers needs no mask of its size.
    if ccd.state.name != "alive" or not np.isfinite(pixels.sum()):
        mask = ~np.isfinite(pixels)
        mask[:, ccd.state.dead_columns(pixels.shape[1])] = True
    return ENGINES[settings.engine](
        pixels,
        mask,
        settings,
        pixel_scale_arcsec=pixel_scale_arcsec,
        saturation_adu=saturation_adu,
        source=source,
        ccd=ccd.name,
    )
