"""Why no source was found on a CCD, in figures that a person can check."""

from __future__ import annotations

import numpy as np
import sep

from cfht_iqa.extraction.settings import ExtractionSettings
from cfht_iqa.megacam import Ccd

__all__ = ["why_empty"]


def why_empty(ccd: Ccd, settings: ExtractionSettings) -> str:
    """Compare the brightest pixel of a CCD with what would have been a source.

    Parameters
    ----------
    ccd : Ccd
        On which an engine found nothing.
    settings : ExtractionSettings
        Threshold, mesh and least area.

    Returns
    -------
    str
        Noise and threshold are those of ``sep``; SExtractor's are the same to some percent.
    """
    if ccd.state.is_dead:
        return f"{ccd.name} is dead: its pixels have one value, or the overscan's"
    mask = ~np.isfinite(ccd.pixels)
    mask[:, ccd.state.dead_columns(ccd.pixels.shape[1])] = True
    size, smooth = settings.mesh_px, settings.mesh_filter
    background = sep.Background(ccd.pixels, mask=mask, bw=size, bh=size, fw=smooth, fh=smooth)
    above = np.where(mask, 0.0, ccd.pixels - background.back())
    noise = float(background.globalrms)
    return (
        f"{ccd.name}: background {background.globalback:.5g}, its noise {noise:.3g}, brightest "
        f"pixel {above.max():.3g} above it; a source is {settings.min_area_px} adjoining pixels "
        f"more than {settings.threshold_sigma * noise:.3g} above it"
    )
