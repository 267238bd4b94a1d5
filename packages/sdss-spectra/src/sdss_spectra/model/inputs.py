"""What the network sees of a cleaned spectrum.

Spectral types are read from lines and bands, not from the slope of the continuum, which dust and
flux calibration change. So the input is ln(flux) minus its running mean over 0.04 dex, divided by
its own root mean square; a second channel marks the pixels that have data. The running mean, which
is the shape of the continuum, is a channel by option.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from scipy.ndimage import uniform_filter1d

__all__ = ["InputSettings", "channels"]

Floats = npt.NDArray[np.float32]

# Width of the running mean for the shape where none is subtracted; and its bound, e^3 = 20.
_SHAPE_DEX: Final = 0.04
_SHAPE_CLIP: Final = 3.0


@dataclass(frozen=True)
class InputSettings:
    """How cleaned spectra become input channels.

    Attributes
    ----------
    high_pass_dex : float
        Width of the running mean that is subtracted; 0 leaves the flux as it is.
    clip : float
        Bound of ln(flux) on both sides, against cosmic rays and noise near zero.
    with_mask, with_ivar : bool
        Also give the mask, and the signal-to-noise ratio, as channels.
    with_shape : bool
        Also give the running mean, less its own mean. Spectra that were divided by their
        continuum have none that means anything.
    wavelets : bool
        Give four scales of a stationary Haar wavelet transform in place of the flux.
    """

    high_pass_dex: float = 0.04
    clip: float = 1.5
    with_mask: bool = True
    with_ivar: bool = False
    wavelets: bool = False
    with_shape: bool = False

    @property
    def num_channels(self) -> int:
        """How many channels there are (int)."""
        return (4 if self.wavelets else 1) + self.with_shape + self.with_mask + self.with_ivar

    def as_dict(self) -> dict[str, Any]:
        """As JSON can hold it (dict)."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> InputSettings:
        """Make one of what `as_dict` gave."""
        return cls(**values)


def _running_mean(values: Floats, present: Floats, width: int) -> Floats:
    total = uniform_filter1d(values * present, width, axis=1, mode="nearest")
    weight = uniform_filter1d(present, width, axis=1, mode="nearest")
    return np.asarray(total / np.maximum(weight, 1e-6), np.float32)


def channels(
    flux: npt.NDArray[Any],
    ivar: npt.NDArray[Any],
    mask: npt.NDArray[np.bool_],
    loglam_step: float,
    settings: InputSettings,
) -> Floats:
    """Make the channels.

    Parameters
    ----------
    flux, ivar : ndarray of float, shape (n, n_pixels)
        Cleaned spectra, normalised or not.
    mask : ndarray of bool, shape (n, n_pixels)
        True where there are no data.
    loglam_step : float
        Step of the grid, dex.
    settings : InputSettings
        What is made.

    Returns
    -------
    ndarray of float32, shape (n, n_pixels, num_channels)
        0 where there are no data.
    """
    flux = np.asarray(flux, np.float32)
    # Noise may bring single pixels to zero or below: those say nothing about ln(flux).
    present = (~mask & (flux > 0)).astype(np.float32)
    level = _median(flux, present)
    log = np.log(np.maximum(flux / level[:, None], 1e-4)) * present
    width = max(3, round((settings.high_pass_dex or _SHAPE_DEX) / loglam_step) | 1)
    shape = _running_mean(log, present, width) if settings.with_shape else None
    if settings.high_pass_dex > 0:
        # Twice: spikes that the bound removes no longer bend the mean.
        log = (log - _running_mean(log, present, width)) * present
        log = np.clip(log, -settings.clip, settings.clip)
        log = (log - _running_mean(log, present, width)) * present
    log = np.clip(log, -2 * settings.clip, 2 * settings.clip)
    count = np.maximum(present.sum(axis=1), 1.0)
    scale = np.sqrt((log**2).sum(axis=1) / count + 1e-4)
    log = log / scale[:, None]
    parts = _wavelets(log) if settings.wavelets else [log]
    if shape is not None:
        shape = shape - ((shape * present).sum(axis=1) / count)[:, None]
        parts.append(np.clip(shape, -_SHAPE_CLIP, _SHAPE_CLIP) * present)
    if settings.with_mask:
        parts.append(present)
    if settings.with_ivar:
        snr = flux * np.sqrt(np.maximum(np.asarray(ivar, np.float32), 0.0)) * present
        scaled = np.log1p(np.clip(snr, 0.0, 1e3)) / np.log(1e3)
        parts.append(np.asarray(scaled, np.float32))
    return np.ascontiguousarray(np.stack(parts, axis=-1), np.float32)


def _median(flux: Floats, present: Floats) -> Floats:
    with np.errstate(all="ignore"):
        values = np.where(present > 0, flux, np.nan)
        empty = ~(present > 0).any(axis=1)
        values[empty] = 1.0
        middle = np.nanmedian(values, axis=1)
    return np.asarray(np.where(middle > 0, middle, 1.0), np.float32)


def _wavelets(values: Floats) -> list[Floats]:
    """Details of four scales, 2 to 16 pixels, of the stationary (a trous) Haar transform."""
    details = []
    smooth = values
    for scale in (1, 2, 4, 8):
        shifted = np.roll(smooth, scale, axis=1)
        details.append((smooth - shifted) * np.float32(0.5))
        smooth = (smooth + shifted) * np.float32(0.5)
    return details
