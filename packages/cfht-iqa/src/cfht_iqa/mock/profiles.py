"""Images of stars and galaxies, as stamps at a grid of sub-pixel positions."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt
from scipy.fft import irfft2, next_fast_len, rfft2

from cfht_iqa.mock.conditions import Conditions

__all__ = ["PHASES", "StampBank", "moffat"]

# Sub-pixel positions per axis, which is also how finely profiles are sampled.
PHASES: Final = 4
_MOFFAT_BETA: Final = 3.5
_N_GALAXIES: Final = 10

Floats = npt.NDArray[np.float64]


def moffat(radius_squared: Floats, fwhm: float, beta: float = _MOFFAT_BETA) -> Floats:
    """Moffat profile (Moffat 1969, A&A 3, 455), not normalised; lengths in one unit."""
    core = fwhm / (2.0 * np.sqrt(2.0 ** (1.0 / beta) - 1.0))
    return np.asarray((1.0 + radius_squared / core**2) ** -beta, np.float64)


class StampBank:
    """Stamps of a star and of galaxies of several shapes under given conditions.

    Parameters
    ----------
    conditions : Conditions
        Seeing, guiding and optics.
    flip : bool
        The CCD is mounted upside down.
    generator : numpy.random.Generator
        Draws the shapes of the galaxies.

    Attributes
    ----------
    size_px : int
        Side of a stamp, odd.
    stamps : ndarray of float32, shape (n_profiles, PHASES, PHASES, size_px, size_px)
        Each adds up to 1, if its wings fit; the first profile is the star.
    """

    def __init__(self, conditions: Conditions, flip: bool, generator: np.random.Generator) -> None:
        pixel_arcsec = conditions.pixel_scale_arcsec
        track = conditions.track_arcsec.copy()
        track[:, :2] *= (-1.0 if flip else 1.0) / pixel_arcsec
        reach = float(np.abs(track[:, :2]).max())
        fwhm = conditions.seeing_arcsec / pixel_arcsec
        half = int(np.ceil(reach + 5.0 * fwhm + 8.0))
        self.size_px = 2 * half + 1
        fine = self.size_px * PHASES
        axis = (np.arange(fine) - (fine - 1) / 2.0) / PHASES
        x, y = np.meshgrid(axis, axis)
        psf = moffat(_elliptical(x, y, conditions.ellipticity, conditions.position_angle_rad), fwhm)
        length = next_fast_len(2 * fine)
        size = (length, length)
        star = rfft2(psf / psf.sum(), size) * rfft2(_path(track, fine), size)
        profiles = [star]
        for _ in range(_N_GALAXIES):
            scale = generator.uniform(0.2, 0.7) / pixel_arcsec
            shape = generator.uniform(0.0, 0.6), generator.uniform(0.0, np.pi)
            disc = np.exp(-np.sqrt(_elliptical(x, y, *shape)) / scale)
            profiles.append(star * rfft2(disc / disc.sum(), (length, length)))
        stamps = []
        for number, transform in enumerate(profiles):
            full = irfft2(transform, (length, length))
            # Each convolution moves the middle by half a side.
            first = (fine - 1) // 2 * (1 if number == 0 else 2)
            stamps.append(_binned(full, first, self.size_px))
        self.stamps = np.clip(np.stack(stamps), 0.0, None).astype(np.float32)

    def add(
        self,
        image: npt.NDArray[np.float32],
        profiles: npt.NDArray[np.intp],
        x: Floats,
        y: Floats,
        flux: Floats,
    ) -> None:
        """Add sources to an image.

        Parameters
        ----------
        image : ndarray of float32, shape (n_y, n_x)
            Changed in place.
        profiles : ndarray of intp, shape (n,)
            0 for a star, else number of a galaxy's shape.
        x, y : ndarray of float64, shape (n,)
            0-based positions, perhaps outside.
        flux : ndarray of float64, shape (n,)
            Total.
        """
        half, (n_y, n_x) = self.size_px // 2, image.shape
        column, row = np.floor(x + 0.5).astype(int), np.floor(y + 0.5).astype(int)
        phase_x = np.floor((x - column + 0.5) * PHASES).astype(int) % PHASES
        phase_y = np.floor((y - row + 0.5) * PHASES).astype(int) % PHASES
        for k, profile in enumerate(profiles):
            left, low = column[k] - half, row[k] - half
            x0, x1 = max(0, left), min(n_x, left + self.size_px)
            y0, y1 = max(0, low), min(n_y, low + self.size_px)
            if x0 >= x1 or y0 >= y1:
                continue
            stamp = self.stamps[profile, phase_y[k], phase_x[k]]
            part = stamp[y0 - low : y1 - low, x0 - left : x1 - left]
            image[y0:y1, x0:x1] += np.float32(flux[k]) * part


def _elliptical(x: Floats, y: Floats, ellipticity: float, angle: float) -> Floats:
    along = x * np.cos(angle) + y * np.sin(angle)
    across = -x * np.sin(angle) + y * np.cos(angle)
    ratio = 1.0 - ellipticity
    return np.asarray(along**2 * ratio + across**2 / ratio, np.float64)


def _path(track: Floats, fine: int) -> Floats:
    image = np.zeros((fine, fine))
    middle = (fine - 1) // 2
    columns = np.rint(track[:, 0] * PHASES).astype(int) + middle
    rows = np.rint(track[:, 1] * PHASES).astype(int) + middle
    np.add.at(image, (rows, columns), track[:, 2])
    return image


def _binned(full: Floats, first: int, size: int) -> Floats:
    """Bin to pixels, at each of the sub-pixel positions."""
    fine = size * PHASES
    stamps = np.empty((PHASES, PHASES, size, size))
    for phase_y in range(PHASES):
        for phase_x in range(PHASES):
            # A source further right by a phase is seen by a window further left.
            top = first - phase_y + PHASES // 2
            left = first - phase_x + PHASES // 2
            window = full[top : top + fine, left : left + fine]
            stamps[phase_y, phase_x] = window.reshape(size, PHASES, size, PHASES).sum(axis=(1, 3))
    return stamps
