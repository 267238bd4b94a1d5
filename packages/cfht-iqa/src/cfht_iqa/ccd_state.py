"""Which halves of a CCD are alive.

Each MegaCam CCD is read through two amplifiers, one for the left and one for the right half of its
columns; in 2003 some of them were dead.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

__all__ = ["CcdState", "ccd_state"]

# Every so many pixels in both directions are enough to tell.
_STRIDE: Final = 5
_NOISE_SIGMA: Final = 3.0
_SOURCE_SIGMA: Final = 8.0


@dataclass(frozen=True)
class CcdState:
    """State of the two halves.

    Attributes
    ----------
    left_alive, right_alive : bool
        Whether the half of the lower and of the higher columns saw light.
    """

    left_alive: bool
    right_alive: bool

    @property
    def name(self) -> str:
        """``alive``, ``half-dead`` or ``dead`` (str)."""
        if self.left_alive and self.right_alive:
            return "alive"
        return "half-dead" if self.left_alive or self.right_alive else "dead"

    @property
    def is_dead(self) -> bool:
        """Whether no half is alive (bool)."""
        return not (self.left_alive or self.right_alive)

    def dead_columns(self, n_x: int) -> slice:
        """Return the columns of the dead half, of a CCD with `n_x` columns."""
        middle = n_x // 2
        if self.left_alive and self.right_alive:
            return slice(0, 0)
        if self.is_dead:
            return slice(0, n_x)
        return slice(middle, n_x) if self.left_alive else slice(0, middle)


def ccd_state(pixels: npt.NDArray[np.float32], overscan: npt.NDArray[np.float32]) -> CcdState:
    """Tell which halves of a CCD are alive.

    A half is dead if it holds no finite pixel, if nearly all its pixels have one value, or if its
    level and its spread are those of the overscan and nothing stands out of it.

    Parameters
    ----------
    pixels : ndarray of float32, shape (n_y, n_x)
        The trimmed image, in ADU.
    overscan : ndarray of float32
        Pixels that saw no light; perhaps none.

    Returns
    -------
    CcdState
        State of both halves.
    """
    middle = pixels.shape[1] // 2
    sides = (pixels[:, :middle], pixels[:, middle:])
    return CcdState(*(_is_alive(side, overscan) for side in sides))


def _is_alive(side: npt.NDArray[np.float32], overscan: npt.NDArray[np.float32]) -> bool:
    sample = side[::_STRIDE, ::_STRIDE].ravel()
    sample = sample[np.isfinite(sample)]
    if not sample.size:
        return False
    low, middle, high, top = np.percentile(sample, (1.0, 50.0, 99.0, 99.9))
    if high <= low:
        return False
    if overscan.size < 100:
        return True
    dark_low, dark, dark_high = np.percentile(overscan, (15.9, 50.0, 84.1))
    noise = max((dark_high - dark_low) / 2.0, 0.5)
    # The overscan's median is known far better than one pixel's noise tells.
    lit = middle - dark > _NOISE_SIGMA * noise / np.sqrt(min(overscan.size, 400))
    return bool(lit or top - dark > _SOURCE_SIGMA * noise)
