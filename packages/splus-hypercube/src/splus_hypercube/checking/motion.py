"""Positions of stars at another epoch, by ERFA, the routines of the IAU's SOFA."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import erfa
import numpy as np
from numpy.typing import NDArray

__all__ = ["SpaceMotion"]

Float = NDArray[np.float64]

_MAS = np.deg2rad(1.0 / 3.6e6)  # radian
_KM_S_PER_MAS_YR_KPC = 4.740470464
# Twice the speed of the fastest stars, 600 km/s, in units of the speed of light.
_LIGHT_TIME = 4e-3


@dataclass(frozen=True)
class SpaceMotion:
    """Positions and motions at their catalogue's epoch.

    Attributes
    ----------
    ra, dec : ndarray of float64, shape (n,)
        ICRS degrees.
    pmra, pmdec : ndarray of float64, shape (n,)
        mas/yr, `pmra` with cos(dec); NaN where unknown.
    parallax : ndarray of float64, shape (n,)
        mas; NaN where unknown.
    radial_velocity : ndarray of float64, shape (n,)
        km/s; NaN where unknown.
    epoch_jyear : ndarray of float64, shape (n,)
        Julian years.
    """

    ra: Float
    dec: Float
    pmra: Float
    pmdec: Float
    parallax: Float
    radial_velocity: Float
    epoch_jyear: Float

    def at(self, jyear: float) -> tuple[Float, Float]:
        """Positions at another epoch.

        Parameters
        ----------
        jyear : float
            Julian year.

        Returns
        -------
        ra, dec : ndarray of float64, shape (n,)
            Degrees. Without a proper motion the position is as before.

        Notes
        -----
        SOFA's ``iauPmsafe``, which `astropy.coordinates.SkyCoord.apply_space_motion` calls too.
        """
        moving = np.flatnonzero(np.isfinite(self.pmra) & np.isfinite(self.pmdec))
        ra, dec = self.ra.copy(), self.dec.copy()
        parallax = np.maximum(np.nan_to_num(self.parallax[moving]), 0.0)
        # A velocity moves a star on the sky only if its distance is known.
        velocity = np.where(parallax > 0.0, np.nan_to_num(self.radial_velocity[moving]), 0.0)
        with warnings.catch_warnings():
            # The routine replaces a missing parallax by a tiny one, with a warning.
            warnings.simplefilter("ignore", erfa.ErfaWarning)
            moved = erfa.pmsafe(
                np.deg2rad(ra[moving]),
                np.deg2rad(dec[moving]),
                self.pmra[moving] * _MAS / np.cos(np.deg2rad(dec[moving])),
                self.pmdec[moving] * _MAS,
                parallax / 1000.0,
                velocity,
                erfa.DJ00,
                (self.epoch_jyear[moving] - 2000.0) * erfa.DJY,
                erfa.DJ00,
                (jyear - 2000.0) * erfa.DJY,
            )
        ra[moving], dec[moving] = np.rad2deg(moved[0]), np.rad2deg(moved[1])
        return np.mod(ra, 360.0), dec

    def tolerance_arcsec(self, jyear: float) -> Float:
        """By how much positions with and without light-time effects may differ, arcsec.

        The angle moved, times the fraction of the distance travelled, times the speed in units of
        that of light (Butkevich & Lindegren 2014, A&A 570, A62).
        """
        years = np.abs(jyear - self.epoch_jyear)
        angle = np.nan_to_num(np.hypot(self.pmra, self.pmdec)) * years * _MAS
        depth = np.nan_to_num(self.radial_velocity) * np.nan_to_num(self.parallax)
        depth = np.abs(depth) / _KM_S_PER_MAS_YR_KPC * years * _MAS
        return np.asarray(1e-6 + np.rad2deg(angle) * 3600.0 * _LIGHT_TIME * (angle + depth))
