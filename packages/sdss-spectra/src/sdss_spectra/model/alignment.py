"""Velocities that files do not give, found from the lines of the spectra.

A spectrum is cross-correlated with the mean lines of the training set at shifts of whole pixels,
and moved back by the shift that fits best (Tonry & Davis 1979, AJ 84, 1511). Network and templates
then see lines where they have learnt them. What remains is less than a pixel, which the
augmentation covers.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from sdss_spectra.model.inputs import InputSettings, channels
from sdss_spectra.wavelength import C_KMS

__all__ = ["REACH_KMS", "Alignment", "fit_alignment", "moved"]

Floats = npt.NDArray[np.float32]
Present = npt.NDArray[np.bool_]
Shifts = npt.NDArray[np.int64]

# Halo stars move at up to about 500 km/s; the velocity in a file may be wrong by a little more.
REACH_KMS: Final = 800.0
# Means over half a class: stars of all classes find their lines, and noise does not.
_SUBTYPES: Final = 5.0
# Shifts that are tried on either side at most.
_STEPS: Final = 12
_LINES: Final = InputSettings()


def moved(values: npt.NDArray[Any], shifts: Shifts, fill: Any) -> npt.NDArray[Any]:
    """Move each row by whole pixels.

    Parameters
    ----------
    values : ndarray, shape (n, n_pixels)
        The rows.
    shifts : ndarray of int64, shape (n,)
        Pixels; positive moves towards the end.
    fill : scalar
        What comes in.

    Returns
    -------
    ndarray, shape (n, n_pixels)
        `values` itself if no row is moved.
    """
    if not shifts.any():
        return values
    n_pixels = values.shape[1]
    found = np.full_like(values, fill)
    for shift in np.unique(shifts[np.abs(shifts) < n_pixels]):
        rows = np.flatnonzero(shifts == shift)
        low, high = max(0, shift), n_pixels + min(0, shift)
        found[rows, low:high] = values[rows, low - shift : high - shift]
    return found


@dataclass(frozen=True)
class Alignment:
    """Mean lines, and the shifts at which spectra are compared with them.

    Attributes
    ----------
    values : ndarray of float32, shape (n_means, n_pixels)
        ln(flux) less its running mean, averaged over half a class; 0 where there are no data.
    loglam_step : float
        Step of the grid, dex.
    """

    values: Floats
    loglam_step: float

    @property
    def places(self) -> Shifts:
        """The shifts that are tried, pixels, none first, then the smaller ones (ndarray)."""
        wanted = np.log10(1.0 + REACH_KMS / C_KMS) / self.loglam_step
        reach = max(1, min(int(np.ceil(wanted)), self.values.shape[1] - 1))
        # Pixels of a fine grid are finer than velocities need be.
        stride = -(-reach // _STEPS)
        steps = np.arange(1, -(-reach // stride) + 1) * stride
        return np.concatenate([[0], np.stack([-steps, steps], axis=1).reshape(-1)])

    @cached_property
    def _moved(self) -> tuple[Floats, Floats]:
        """Means at all shifts, (n_shifts * n_means, n_pixels), and their squares."""
        count = len(self.values)
        rows = [moved(self.values, np.full(count, shift), 0.0) for shift in self.places]
        every = np.concatenate(rows)
        return every, every**2

    def shifts(self, flux: npt.NDArray[Any], mask: Present) -> Shifts:
        """Shifts of spectra from the mean lines that fit best.

        Parameters
        ----------
        flux : ndarray of float, shape (n, n_pixels)
            Cleaned spectra, not normalised.
        mask : ndarray of bool, shape (n, n_pixels)
            True where there are no data.

        Returns
        -------
        ndarray of int64, shape (n,)
            Pixels; positive where lines lie at longer wavelengths. 0 of a spectrum without data.
        """
        return self.shifts_of_lines(*_lines(flux, mask, self.loglam_step))

    def shifts_of_lines(self, lines: Floats, there: Floats) -> Shifts:
        """Shifts of spectra whose channels are made already.

        Parameters
        ----------
        lines, there : ndarray of float32, shape (n, n_pixels)
            The two channels of `InputSettings` as it is by default.

        Returns
        -------
        ndarray of int64, shape (n,)
            See `shifts`.
        """
        every, squares = self._moved
        # The norm of a mean is over the pixels that the spectrum has; that of the spectrum is the
        # same at all shifts.
        scale = np.sqrt(np.maximum(there @ squares.T, 1e-9))
        places = self.places
        match = (lines @ every.T / scale).reshape(len(lines), len(places), len(self.values))
        # Of equals, such as of an empty spectrum, the first: the shift nearest to none.
        return np.asarray(places[match.max(axis=2).argmax(axis=1)], np.int64)

    def aligned(
        self, flux: npt.NDArray[Any], ivar: npt.NDArray[Any], mask: Present
    ) -> tuple[npt.NDArray[Any], npt.NDArray[Any], Present]:
        """Move spectra back, with their errors and masks; pixels that come in are masked."""
        back = -self.shifts(flux, mask)
        return moved(flux, back, 0.0), moved(ivar, back, 0.0), moved(mask, back, True)


def fit_alignment(
    flux: npt.NDArray[Any],
    mask: Present,
    classes: npt.NDArray[np.int64],
    code: npt.NDArray[np.float64],
    loglam_step: float,
) -> Alignment:
    """Average the lines of each half of each class.

    Parameters
    ----------
    flux, mask : ndarray, shape (n, n_pixels)
        Cleaned training spectra, not normalised.
    classes : ndarray of int64, shape (n,)
        Class numbers.
    code : ndarray of float64, shape (n,)
        Subtype codes; spectra of a class without are averaged too.
    loglam_step : float
        Step of the grid, dex.

    Returns
    -------
    Alignment
    """
    lines, there = _lines(flux, mask, loglam_step)
    halves = np.floor(np.nan_to_num(code, nan=-1.0) / _SUBTYPES)
    _, own = np.unique(np.stack([classes, halves], axis=1), axis=0, return_inverse=True)
    own = own.reshape(-1)
    members = (np.arange(own.max() + 1)[:, None] == own[None, :]).astype(np.float32)
    count = members @ there
    values = np.where(count > 0, members @ lines / np.maximum(count, 1.0), 0.0)
    return Alignment(values.astype(np.float32), loglam_step)


def _lines(flux: npt.NDArray[Any], mask: Present, loglam_step: float) -> tuple[Floats, Floats]:
    """ln(flux) less its running mean, and 1 where there are data."""
    both = channels(flux, flux, mask, loglam_step, _LINES)
    return np.ascontiguousarray(both[..., 0]), np.ascontiguousarray(both[..., 1])
