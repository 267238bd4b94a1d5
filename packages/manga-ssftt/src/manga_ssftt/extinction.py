"""Galactic extinction for cubes that do not bring a correction of their own."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["galactic_correction"]

_R_V = 3.1
# O'Donnell 1994 (ApJ 422, 158), equation 3, in powers of x - 1.82.
_A = (1.0, 0.104, -0.609, 0.701, 1.137, -1.718, -0.827, 1.647, -0.505)
_B = (0.0, 1.952, 2.908, -3.989, -7.985, 11.102, 5.491, -10.805, 3.347)
# Where the infrared law of Cardelli, Clayton & Mathis 1989 (ApJ 345, 245) takes over, 1/micron.
_INFRARED_LIMIT = 1.1


def galactic_correction(
    wavelength: npt.NDArray[np.floating], ebv: float
) -> npt.NDArray[np.float64]:
    """What flux density is multiplied by to undo the Milky Way's extinction.

    The law of Cardelli, Clayton & Mathis (1989) with the optical coefficients of O'Donnell (1994)
    and R_V = 3.1.

    Parameters
    ----------
    wavelength : ndarray, shape (n,)
        Observed wavelength, 3030 to 33000 angstrom.
    ebv : float
        E(B-V), magnitudes.

    Returns
    -------
    ndarray of float64, shape (n,)
        10^(0.4 A), at least 1.

    Raises
    ------
    ValueError
        If a wavelength lies outside the law or E(B-V) is negative or not finite.
    """
    x = 1e4 / np.asarray(wavelength, dtype=np.float64)
    if np.any((x < 0.3) | (x > 3.3)):
        raise ValueError("a wavelength outside 3030 to 33000 angstrom")
    if not 0 <= ebv < np.inf:
        raise ValueError(f"E(B-V) = {ebv}")
    y = x - 1.82
    optical = np.polynomial.polynomial.polyval(y, _A)
    optical += np.polynomial.polynomial.polyval(y, _B) / _R_V
    infrared = (0.574 - 0.527 / _R_V) * x**1.61
    relative = np.where(x < _INFRARED_LIMIT, infrared, optical)
    return np.asarray(10.0 ** (0.4 * _R_V * ebv * relative))
