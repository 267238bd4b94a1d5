"""How the background of a CCD varies, which needs no sources."""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from cfht_iqa.ccd_state import CcdState

__all__ = ["measure_background"]

# The background is measured on so many blocks per axis, from about so many pixels in all.
_BLOCKS: Final = 8
_SAMPLE_PX: Final = 200_000


def measure_background(
    pixels: npt.NDArray[np.float32], bias_adu: float, state: CcdState | None = None
) -> dict[str, Any]:
    """Measure the background of a CCD.

    Parameters
    ----------
    pixels : ndarray of float32, shape (n_y, n_x)
        The trimmed image, bias included.
    bias_adu : float
        Level without light.
    state : CcdState, optional
        Which halves are alive; by default both.

    Returns
    -------
    dict of str to float
        ``background, background_range, background_step, background_sigma``, as in
        `cfht_iqa.quality.CcdQuality`; empty if no pixel is finite.
    """
    # Medians over blocks of the sky, not at sources, of which a short exposure has few.
    stride = max(1, math.isqrt(pixels.size // _SAMPLE_PX))
    sample = pixels[::stride, ::stride].copy()
    if state is not None:
        sample[:, state.dead_columns(sample.shape[1])] = np.nan
    edges = [np.linspace(0, size, _BLOCKS + 1).astype(int) for size in sample.shape]
    level = np.full((_BLOCKS, _BLOCKS), np.nan)
    for row in range(_BLOCKS):
        for column in range(_BLOCKS):
            block = sample[
                edges[0][row] : edges[0][row + 1], edges[1][column] : edges[1][column + 1]
            ]
            block = block[np.isfinite(block)]
            if block.size:
                level[row, column] = np.median(block)
    known = level[np.isfinite(level)]
    if not known.size:
        return {}
    middle = float(np.median(known))
    sky = max(middle - bias_adu, 1.0)
    low, high = np.percentile(known, (5.0, 95.0))
    halves = [half[np.isfinite(half)] for half in np.hsplit(level, 2)]
    step = math.nan
    if all(half.size for half in halves):
        step = float(np.median(halves[1]) - np.median(halves[0]))
    differences = np.abs(np.diff(sample, axis=1))
    differences = differences[np.isfinite(differences)]
    # Of a normal distribution, the median of |difference| of two is 0.6745 sqrt(2) sigma.
    noise = float(np.median(differences)) / 0.9539 if differences.size else math.nan
    return {
        "background": middle,
        "background_range": float(high - low) / sky,
        "background_step": step / sky,
        "background_sigma": float(high - low) / max(noise, 0.3),
    }
