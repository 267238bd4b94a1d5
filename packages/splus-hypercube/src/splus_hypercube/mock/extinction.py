"""Interstellar extinction."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["TOTAL_TO_SELECTIVE", "extinction_curve"]

Float = NDArray[np.float64]

TOTAL_TO_SELECTIVE = 3.1
"""R_V = A_V / E(B-V) of the diffuse interstellar medium."""


def extinction_curve(wavelength_angstrom: Float) -> Float:
    """A(lambda) / A(V) of the diffuse medium, R_V = 3.1.

    Parameters
    ----------
    wavelength_angstrom : ndarray of float64
        Vacuum wavelengths above 1000 angstrom.

    Returns
    -------
    ndarray of float64, same shape

    Notes
    -----
    Cardelli, Clayton and Mathis 1989, ApJ 345, 245, equations 1 to 4. Beyond 8 per micron, in the
    far ultraviolet, the value stays constant.
    """
    x = np.clip(1e4 / np.asarray(wavelength_angstrom, dtype=np.float64), 0.3, 8.0)
    y = x - 1.82
    infrared_a, infrared_b = 0.574 * x**1.61, -0.527 * x**1.61
    optical_a = np.polynomial.polynomial.polyval(
        y, [1.0, 0.17699, -0.50447, -0.02427, 0.72085, 0.01979, -0.77530, 0.32999]
    )
    optical_b = np.polynomial.polynomial.polyval(
        y, [0.0, 1.41338, 2.28305, 1.07233, -5.38434, -0.62251, 5.30260, -2.09002]
    )
    far = np.where(x > 5.9, x - 5.9, 0.0)
    bump_a = -0.04473 * far**2 - 0.009779 * far**3
    bump_b = 0.2130 * far**2 + 0.1207 * far**3
    ultraviolet_a = 1.752 - 0.316 * x - 0.104 / ((x - 4.67) ** 2 + 0.341) + bump_a
    ultraviolet_b = -3.090 + 1.825 * x + 1.206 / ((x - 4.62) ** 2 + 0.263) + bump_b
    a = np.where(x < 1.1, infrared_a, np.where(x < 3.3, optical_a, ultraviolet_a))
    b = np.where(x < 1.1, infrared_b, np.where(x < 3.3, optical_b, ultraviolet_b))
    return np.asarray(a + b / TOTAL_TO_SELECTIVE)
