"""Wavelength grids on which a Doppler shift is a shift along the grid."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["LIGHT_KM_S", "NEAR_INFRARED", "OPTICAL", "SPECTROSCOPIC", "LogGrid", "shift_rows"]

Float = NDArray[np.float64]

LIGHT_KM_S = 299_792.458
"""Speed of light, km/s."""


@dataclass(frozen=True, slots=True)
class LogGrid:
    """Vacuum wavelengths in equal steps of the natural logarithm.

    Attributes
    ----------
    start_angstrom : float
        First wavelength.
    step : float
        Step of ln(wavelength).
    size : int
        Number of samples.
    """

    start_angstrom: float
    step: float
    size: int

    @classmethod
    def covering(cls, first_angstrom: float, last_angstrom: float, step: float) -> LogGrid:
        """The grid that starts at the first wavelength and reaches the last."""
        return cls(
            first_angstrom, step, int(np.ceil(np.log(last_angstrom / first_angstrom) / step)) + 1
        )

    @property
    def wavelength(self) -> Float:
        """Wavelengths in angstrom, shape (size,)."""
        return np.asarray(self.start_angstrom * np.exp(self.step * np.arange(self.size)))

    def padded(self, below: int, above: int) -> LogGrid:
        """The same grid with more samples at both ends."""
        start = self.start_angstrom * float(np.exp(-self.step * below))
        return LogGrid(start, self.step, self.size + below + above)


OPTICAL = LogGrid.covering(2950.0, 11100.0, 2e-4)
NEAR_INFRARED = LogGrid.covering(9000.0, 25500.0, 2e-3)
SPECTROSCOPIC = LogGrid.covering(3590.0, 9840.0, 1e-4)


def shift_rows(rows: Float, shift: Float, below: int, size: int) -> Float:
    """Shift each spectrum along its grid, by linear interpolation.

    Parameters
    ----------
    rows : ndarray of float64, shape (n, below + size + above)
        Spectra on a padded grid in their rest frames.
    shift : ndarray of float64, shape (n,)
        Samples by which each spectrum moves to longer wavelengths, between ``-above`` and
        ``below``.
    below : int
        Samples of padding at the short end.
    size : int
        Samples of the grid without padding.

    Returns
    -------
    ndarray of float64, shape (n, size)
    """
    start = below - np.asarray(shift, dtype=np.float64)
    whole = np.floor(start).astype(np.int64)
    fraction = start - whole
    whole = np.clip(whole, 0, rows.shape[1] - size - 1)
    shifted = np.empty((len(rows), size))
    for index, (first, part) in enumerate(zip(whole.tolist(), fraction.tolist(), strict=True)):
        row = rows[index]
        shifted[index] = row[first : first + size] * (1.0 - part)
        shifted[index] += row[first + 1 : first + 1 + size] * part
    return shifted
