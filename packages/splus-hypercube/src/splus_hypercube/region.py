"""The part of the sky that a field's sources need from a survey."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from astropy import units
from astropy_healpix import HEALPix
from numpy.typing import NDArray

from splus_hypercube.astrometry import ARCSEC_PER_DEG, normalise_positions, unit_vectors

__all__ = ["MAX_PROPER_MOTION_ARCSEC_PER_YEAR", "SkyRegion"]

# Barnard's star, the fastest known: 10.4 arcsec/yr (Gaia DR3).
MAX_PROPER_MOTION_ARCSEC_PER_YEAR = 10.4


class SkyRegion:
    """Everything within a margin of a set of positions, as HEALPix pixels and as a cap.

    Parameters
    ----------
    ra, dec : ndarray of float64, shape (n,)
        ICRS, degrees; positions that are not finite are ignored.
    margin_arcsec : float

    Attributes
    ----------
    order : int
        HEALPix order of `pixels` (nested scheme).
    pixels : ndarray of int64
        Sorted pixels that together hold every point within the margin of a position, and more.
    """

    def __init__(
        self, ra: NDArray[np.float64], dec: NDArray[np.float64], margin_arcsec: float
    ) -> None:
        ra, dec, usable = normalise_positions(ra, dec)
        ra, dec = ra[usable], dec[usable]
        # Pixels at least four margins wide: a point within the margin of a position then lies in
        # the position's own pixel or in one of its eight neighbours.
        self.order = 12
        while self.order > 0 and _pixel_size_arcsec(self.order) < 4.0 * margin_arcsec:
            self.order -= 1
        grid = HEALPix(nside=2**self.order, order="nested")
        own = np.unique(grid.lonlat_to_healpix(ra * units.deg, dec * units.deg)) if len(ra) else ra
        own = np.asarray(own, dtype=np.int64)
        with np.errstate(invalid="ignore"):  # astropy-healpix computes with its own -1
            around = np.asarray(grid.neighbours(own)).ravel() if len(own) else own
        pixels = np.unique(np.concatenate([own, around]))
        self.pixels = pixels[pixels >= 0]  # a pixel at a corner of the base tiling has -1

        vectors = unit_vectors(ra, dec)
        centre = vectors.sum(axis=0)
        norm = np.linalg.norm(centre)
        self._centre = centre / norm if norm > 1e-9 else np.array([0.0, 0.0, 1.0])
        cosines = vectors @ self._centre
        radius = np.arccos(np.clip(cosines.min(initial=1.0), -1.0, 1.0)) if norm > 1e-9 else np.pi
        # A cosine near 1 resolves angles to 0.003 arcsec only; hence the extra arcsecond.
        radius += np.deg2rad((margin_arcsec + 1.0) / ARCSEC_PER_DEG)
        self._cos_radius = np.cos(min(radius, np.pi)) if len(ra) else 2.0

    def contains(
        self, ra: NDArray[np.float64], dec: NDArray[np.float64], extra_deg: float = 0.0
    ) -> NDArray[np.bool_]:
        """Which positions lie in the cap around the sources (a superset of what they need).

        Parameters
        ----------
        ra, dec : ndarray of float64, shape (n,)
            Degrees.
        extra_deg : float
            Widens the cap, for objects that have an extent, such as a DESI tile.

        Returns
        -------
        ndarray of bool, shape (n,)
            False where a position is not finite, and everywhere if there are no sources.
        """
        if self._cos_radius > 1.0:
            return np.zeros(len(ra), dtype=bool)
        limit = np.cos(min(np.arccos(self._cos_radius) + np.deg2rad(extra_deg), np.pi))
        return np.asarray(unit_vectors(ra, dec) @ self._centre >= limit)

    def pixels_of_order(self, order: int) -> NDArray[np.int64]:
        """The region as sorted nested pixels of another order.

        Parameters
        ----------
        order : int

        Returns
        -------
        ndarray of int64
            At a finer order, all pixels within those of `pixels`.
        """
        if order <= self.order:
            return np.unique(self.pixels >> (2 * (self.order - order)))
        finer = 2 * (order - self.order)
        return ((self.pixels[:, None] << finer) + np.arange(1 << finer)).ravel()

    def overlapping(self, partitions: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
        """Which of some nested pixels, given as (order, pixel), share a point with the region."""
        coarse = {order: set(self.pixels_of_order(order).tolist()) for order in range(self.order)}
        fine = set(self.pixels.tolist())
        found = []
        for order, pixel in partitions:
            if order < self.order:
                hit = pixel in coarse[order]
            else:
                hit = (pixel >> (2 * (order - self.order))) in fine
            if hit:
                found.append((order, pixel))
        return found


def _pixel_size_arcsec(order: int) -> float:
    """Square root of a pixel's area."""
    return float(np.sqrt(4.0 * np.pi / (12.0 * 4.0**order)) * 180.0 / np.pi * ARCSEC_PER_DEG)
