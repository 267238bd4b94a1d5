"""Extinction by the dust of the Milky Way.

Cardelli, Clayton & Mathis 1989, ApJ 345, 245, equations 2 and 3, with their own coefficients in the
optical, as SCONE has it.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from astro_common.errors import ConfigurationError

__all__ = ["R_V", "ccm89", "dereddened", "scone_extinction"]

Floats = npt.NDArray[np.float64]

R_V = 3.1

# Equations 3a and 3b, in powers of x - 1.82.
_OPTICAL_A = (1.0, 0.17699, -0.50447, -0.02427, 0.72085, 0.01979, -0.77530, 0.32999)
_OPTICAL_B = (0.0, 1.41338, 2.28305, 1.07233, -5.38434, -0.62251, 5.30260, -2.09002)


def ccm89(wavelength_angstrom: npt.ArrayLike, r_v: float = R_V) -> Floats:
    """Extinction at a wavelength relative to that in V.

    Parameters
    ----------
    wavelength_angstrom : array_like of float
        Between 1250 and 33333 angstrom.
    r_v : float
        A(V) / E(B-V).

    Returns
    -------
    ndarray of float64
        A(lambda) / A(V), of the same shape.

    Raises
    ------
    ConfigurationError
        If a wavelength lies outside the range of the law.
    """
    wavelength = np.asarray(wavelength_angstrom, dtype=np.float64)
    x = 1e4 / wavelength
    if x.size and not (x.min() >= 0.3 and x.max() <= 8.0):
        found = f"{wavelength.min():g} .. {wavelength.max():g} angstrom"
        raise ConfigurationError("wavelength", found, "1250 .. 33333 angstrom for extinction")
    infrared = x**1.61
    y = x - 1.82
    a = np.where(x < 1.1, 0.574 * infrared, np.polynomial.polynomial.polyval(y, _OPTICAL_A))
    b = np.where(x < 1.1, -0.527 * infrared, np.polynomial.polynomial.polyval(y, _OPTICAL_B))
    ultraviolet = x > 3.3
    beyond = np.maximum(x - 5.9, 0.0)
    far_a = -0.04473 * beyond**2 - 0.009779 * beyond**3
    far_b = 0.2130 * beyond**2 + 0.1207 * beyond**3
    near_a = 1.752 - 0.316 * x - 0.104 / ((x - 4.67) ** 2 + 0.341) + far_a
    near_b = -3.090 + 1.825 * x + 1.206 / ((x - 4.62) ** 2 + 0.263) + far_b
    result: Floats = np.where(ultraviolet, near_a, a) + np.where(ultraviolet, near_b, b) / r_v
    return result


def dereddened(image: Floats, wavelengths: Floats, mwebv: float) -> Floats:
    """Take the Milky Way's extinction off a heatmap.

    Parameters
    ----------
    image : ndarray of float64, shape (n_wavelength, n_time, 2)
        Flux and its uncertainty.
    wavelengths : ndarray of float64, shape (n_wavelength,)
        In angstrom.
    mwebv : float
        E(B-V), mag.

    Returns
    -------
    ndarray of float64
        Both channels times ``10^(0.4 A)``, with ``A = 3.1 E(B-V) ccm89``.
    """
    magnitudes = R_V * mwebv * ccm89(wavelengths)
    return image * (10.0 ** (0.4 * magnitudes))[:, None, None]


def scone_extinction(image: Floats, wavelengths: Floats, mwebv: float) -> Floats:
    """What SCONE does in place of `dereddened`: adds magnitudes to the flux.

    That has no physical meaning; it is here so that published heatmaps can be made again. The
    uncertainty stays as it is.
    """
    changed = image.copy()
    changed[:, :, 0] += (R_V * mwebv * ccm89(wavelengths))[:, None]
    return changed
