"""From a spectrum to the coefficients of Gaia's BP and RP spectra, and back.

The external calibration of Gaia DR3 gives, for each basis function of the internal representation,
the spectrum of photons that the mean instrument turns into it (the inverse basis function). A
spectrum times pupil area and response, per photon, is therefore the sum of coefficients times
inverse basis functions. Montegriffo et al. 2023, A&A 674, A3, section 3.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files

import numpy as np
from numpy.typing import NDArray

__all__ = ["ARMS", "N_COEFFICIENTS", "XpArm", "xp_arm"]

Float = NDArray[np.float64]

ARMS = ("bp", "rp")
N_COEFFICIENTS = 55
# Standard deviation of the line-spread function, in units of pseudo-wavelength: with these values a
# Gaussian turns the inverse basis functions back into the basis functions to 10 to 30 per cent. It
# serves as the metric in which a spectrum is fitted, as the archive fits dispersed pixels.
_LINE_SPREAD = {"bp": 1.6, "rp": 1.2}
# Coefficients of real spectra fall with their order like this, relative to the first. The prior
# keeps features sharper than the resolution from ringing.
_PRIOR_DECAY = ((0.3, 5.0), (0.05, 25.0))
_PRIOR_WEIGHT = 1e-3
_SAMPLES_PER_PIXEL = 4
_FAINTEST_RESPONSE = 0.01


@dataclass(frozen=True)
class XpArm:
    """One of the two photometers.

    Attributes
    ----------
    wavelength_nm : ndarray of float64, shape (n,)
        Regular grid over the support of the basis functions, vacuum.
    design : ndarray of float64, shape (55, n)
        Inverse basis functions, photons/s per nm that the detector counts, for unit coefficient.
    photons : ndarray of float64, shape (n,)
        Photons/s per nm detected for a flux density of 1 W/m2/nm.
    projection : ndarray of float64, shape (n, 55)
        Matrix that turns counted photons on the grid into coefficients.
    seen : ndarray of bool, shape (n,)
        Where the response is at least one per cent of its maximum.
    """

    wavelength_nm: Float
    design: Float
    photons: Float
    projection: Float
    seen: NDArray[np.bool_]

    def coefficients(self, flux_w_m2_nm: Float) -> Float:
        """Coefficients of spectra given on the arm's grid.

        Parameters
        ----------
        flux_w_m2_nm : ndarray of float64, shape (m, n)
            W/m2/nm on ``wavelength_nm``.

        Returns
        -------
        ndarray of float64, shape (m, 55)
        """
        return np.asarray((flux_w_m2_nm * self.photons) @ self.projection)

    def flux(self, coefficients: Float) -> Float:
        """Spectra of coefficients on the arm's grid.

        Parameters
        ----------
        coefficients : ndarray of float64, shape (m, 55)

        Returns
        -------
        ndarray of float64, shape (m, n)
            W/m2/nm; NaN where the photometer sees nothing.
        """
        with np.errstate(divide="ignore", invalid="ignore"):
            flux = (coefficients @ self.design) / self.photons
        return np.asarray(np.where(self.seen, flux, np.nan))


@lru_cache(maxsize=2)
def xp_arm(arm: str) -> XpArm:
    """Load one photometer, ``"bp"`` or ``"rp"``."""
    path = files("splus_hypercube.mock.data").joinpath("xp_basis.npz")
    with path.open("rb") as stream, np.load(stream, allow_pickle=False) as numbers:
        wavelength = numbers[f"{arm}_wavelength_nm"]
        pseudo = numbers[f"{arm}_pseudo_wavelength"]
        low, high = numbers[f"{arm}_pseudo_range"]
        normal_low, normal_high = numbers[f"{arm}_normalised_range"]
        scale = (normal_high - normal_low) / (high - low)
        hermite = _hermite_functions(normal_low + (pseudo - low) * scale)
        design = numbers[f"{arm}_transformation"] @ numbers[f"{arm}_inverse_bases"] @ hermite
        photons = numbers["pupil_area_m2"] * numbers[f"{arm}_response"] * wavelength * 1e-9
        photons = photons / numbers["planck_times_c"]
    pixels = np.arange(-5.0, 65.0, 1.0 / _SAMPLES_PER_PIXEL)
    dispersion = np.exp(-0.5 * ((pixels[:, None] - pseudo) / _LINE_SPREAD[arm]) ** 2)
    dispersion *= np.gradient(wavelength) / (_LINE_SPREAD[arm] * np.sqrt(2.0 * np.pi))
    dispersed = design @ dispersion.T
    normal = dispersed @ dispersed.T / _SAMPLES_PER_PIXEL
    order = np.arange(N_COEFFICIENTS)
    expected = np.zeros(N_COEFFICIENTS)
    for height, length in _PRIOR_DECAY:
        expected += height * np.exp(-order / length)
    normal += np.diag((_PRIOR_WEIGHT * expected[0] / expected) ** 2)
    projection = np.linalg.solve(normal, dispersed @ dispersion / _SAMPLES_PER_PIXEL).T
    seen = photons >= _FAINTEST_RESPONSE * photons.max()
    return XpArm(wavelength, design, photons, projection, seen)


def _hermite_functions(position: Float) -> Float:
    """The first 55 orthonormal Hermite functions, shape (55, n)."""
    functions = np.empty((N_COEFFICIENTS, len(position)))
    functions[0] = np.pi**-0.25 * np.exp(-0.5 * position**2)
    functions[1] = np.sqrt(2.0) * position * functions[0]
    for order in range(2, N_COEFFICIENTS):
        functions[order] = np.sqrt(2.0 / order) * position * functions[order - 1]
        functions[order] -= np.sqrt((order - 1) / order) * functions[order - 2]
    return functions
