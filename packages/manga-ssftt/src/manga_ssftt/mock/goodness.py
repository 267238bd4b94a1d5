"""How well the model fits a mock's spectra: the figures of merit that MAPS files hold.

Definitions and channels are those of the DAP (Westfall et al. 2019, AJ 158, 231): all but the
fractional residuals are in units of the errors or of the flux.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from manga_ssftt.bitmask import bad_cube_pixels
from manga_ssftt.mock.lines import LINES
from manga_ssftt.mock.spectra import (
    GAS_SIGMA_KM_S,
    INSTRUMENT_SIGMA_KM_S,
    LIGHT_SPEED_KM_S,
    LOG_STEP,
    WAVE,
    Spectra,
)

__all__ = ["LineModel", "figures_of_merit", "line_models"]

Floats = npt.NDArray[np.float64]

# Half of the 15 pixels over which a line's fit is judged, and its two sidebands.
_HALF_WINDOW: Final = 7
_SIDEBANDS: Final = np.r_[-40:-20, 20:40]


@dataclass(frozen=True, eq=False)
class LineModel:
    """Figures of each line's Gaussian, shape (n_line, n_spaxel).

    Attributes
    ----------
    amplitude : ndarray of float64
        1e-17 erg/s/cm2/angstrom/spaxel.
    amplitude_to_noise : ndarray of float64
        Noise is the median error in two sidebands.
    reduced_chi2 : ndarray of float64
        Of 15 pixels about the line; 0 where there are none.
    """

    amplitude: Floats
    amplitude_to_noise: Floats
    reduced_chi2: Floats


def figures_of_merit(spectra: Spectra, *, with_lines: bool) -> Floats:
    """Judge the fit of whole spectra.

    Parameters
    ----------
    spectra : Spectra
    with_lines : bool
        Whether lines are part of the model; else they are taken off the data.

    Returns
    -------
    ndarray of float64, shape (9, n_spaxel)
        RMS of the residuals and of the fractional ones, reduced chi-square, then the 68th and 99th
        percentile and the maximum of the fractional and of the error-normalised residuals; 0 for a
        spaxel without good pixels.
    """
    model = spectra.stars + spectra.lines if with_lines else spectra.stars
    data = spectra.flux if with_lines else spectra.flux - spectra.lines
    result = np.zeros((9, len(data)))
    good = ~bad_cube_pixels(spectra.mask, product="dap") & (spectra.ivar > 0) & (model > 0)
    for number in np.flatnonzero(good.any(axis=1)):
        keep = good[number]
        residual = np.abs(data[number, keep] - model[number, keep]).astype(np.float64)
        fraction = residual / model[number, keep]
        chi = residual * np.sqrt(spectra.ivar[number, keep])
        result[:3, number] = _rms(residual), _rms(fraction), np.mean(chi**2)
        result[3:6, number] = *np.percentile(fraction, (68, 99)), fraction.max()
        result[6:, number] = *np.percentile(chi, (68, 99)), chi.max()
    return result


def _rms(values: Floats) -> float:
    return float(np.sqrt(np.mean(values**2)))


def line_models(spectra: Spectra, fluxes: Floats, stretch: Floats) -> LineModel:
    """Judge the fit of each line.

    Parameters
    ----------
    spectra : Spectra
    fluxes : ndarray of float64, shape (n_line, n_spaxel)
        As measured, corrected for the Milky Way's extinction, in the order of `LINES`.
    stretch : ndarray of float64, shape (n_spaxel,)
        What rest-frame wavelengths are multiplied by.

    Returns
    -------
    LineModel
    """
    rows = np.arange(len(stretch))[:, np.newaxis]
    width = np.hypot(INSTRUMENT_SIGMA_KM_S, GAS_SIGMA_KM_S) / LIGHT_SPEED_KM_S
    result = LineModel(*(np.zeros_like(fluxes) for _ in range(3)))
    for number, (_, rest) in enumerate(LINES):
        centre = np.rint(np.log(rest * stretch / WAVE[0]) / LOG_STEP).astype(np.int64)
        sigma = width * rest * stretch
        result.amplitude[number] = fluxes[number] / (np.sqrt(2.0 * np.pi) * sigma)
        beside = np.clip(centre[:, np.newaxis] + _SIDEBANDS, 0, len(WAVE) - 1)
        ivar = spectra.ivar[rows, beside] / spectra.correction[beside] ** 2
        usable = ivar > 0
        error = np.divide(1.0, np.sqrt(ivar), where=usable, out=np.zeros(ivar.shape))
        noise = np.median(error, axis=1)
        np.divide(
            result.amplitude[number], noise, where=noise > 0, out=result.amplitude_to_noise[number]
        )
        near = centre[:, np.newaxis] + np.arange(-_HALF_WINDOW, _HALF_WINDOW + 1)
        inside = (near >= 0) & (near < len(WAVE))
        near = np.clip(near, 0, len(WAVE) - 1)
        good = inside & ~bad_cube_pixels(spectra.mask[rows, near], product="dap")
        model = spectra.stars[rows, near] + spectra.lines[rows, near]
        chi2 = (spectra.flux[rows, near] - model) ** 2 * spectra.ivar[rows, near] * good
        count = good.sum(axis=1)
        np.divide(chi2.sum(axis=1), count, where=count > 0, out=result.reduced_chi2[number])
    return result
