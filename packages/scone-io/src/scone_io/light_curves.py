"""Observed light curves, whatever file they come from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from astro_common.errors import ConfigurationError

__all__ = [
    "SURVEY_WAVELENGTHS",
    "LightCurve",
    "band_wavelengths",
    "peak_estimate",
    "trigger_mjd",
]

Floats = npt.NDArray[np.float64]

_LSST = {"u": 3670.69, "g": 4826.85, "r": 6223.24, "i": 7545.98, "z": 8590.90, "Y": 9710.28}
_ROMAN = {
    "R": 6296.73,
    "Z": 8744.77,
    "Y": 10653.88,
    "J": 12975.72,
    "H": 15848.21,
    "F": 18475.41,
    "K": 21255.00,
}

# Mean wavelengths (angstrom) as SCONE has them by survey. Its values for DES are those of LSST; the
# filters of DES have 4828, 6435, 7828 and 9181 angstrom.
SURVEY_WAVELENGTHS: Mapping[str, Mapping[str, float]] = {
    "LSST": _LSST,
    "DES": _LSST,
    "SDSS": {"u": 3561.79, "g": 4718.87, "r": 6185.19, "i": 7499.70, "z": 8961.49},
    "PS1": {"g": 4866.46, "r": 6214.62, "i": 7544.57, "z": 8679.47, "y": 9633.28},
    "ROMAN": _ROMAN,
    "WFIRST": _ROMAN,
    "NGRST": _ROMAN,
}

# A detection is an observation above this many times its uncertainty.
_DETECTION_SIGMA = 5.0
_MIN_DETECTION_GAP_DAYS = 1.0


@dataclass(frozen=True, eq=False)
class LightCurve:
    """Observations of one supernova.

    Attributes
    ----------
    snid : str
        Its name, as the file has it.
    row : int
        Its place among all that were read, from 0.
    mjd, flux, flux_err : ndarray of float64, shape (n,)
        Flux in FLUXCAL.
    band : ndarray of str, shape (n,)
        One letter each.
    label : int
    z, z_err : float or None
    peak_mjd : float or None
    mwebv : float or None
        Milky Way reddening E(B-V), mag.
    """

    snid: str
    row: int
    mjd: Floats
    band: npt.NDArray[np.str_]
    flux: Floats
    flux_err: Floats
    label: int = 0
    z: float | None = None
    z_err: float | None = None
    peak_mjd: float | None = None
    mwebv: float | None = None

    def __len__(self) -> int:
        return len(self.mjd)

    def select(self, chosen: npt.NDArray[np.bool_]) -> LightCurve:
        """The same supernova with some of its observations."""
        return LightCurve(
            self.snid,
            self.row,
            self.mjd[chosen],
            self.band[chosen],
            self.flux[chosen],
            self.flux_err[chosen],
            self.label,
            self.z,
            self.z_err,
            self.peak_mjd,
            self.mwebv,
        )


def band_wavelengths(text: str) -> dict[str, float]:
    """Parse ``g=4866.46,r=6214.62``.

    Parameters
    ----------
    text : str

    Returns
    -------
    dict of str to float
        Mean wavelength (angstrom) by band.

    Raises
    ------
    ConfigurationError
        If it is not of this form.
    """
    found = {}
    for part in text.split(","):
        band, _, value = part.partition("=")
        try:
            wavelength = float(value)
        except ValueError:
            wavelength = float("nan")
        if len(band.strip()) != 1 or not 0.0 < wavelength < float("inf"):
            raise ConfigurationError(
                "--band-wavelengths", repr(part), "a letter and its wavelength, as in g=4866.46"
            )
        found[band.strip()] = wavelength
    return found


def _detected(curve: LightCurve) -> npt.NDArray[np.bool_]:
    return curve.flux > _DETECTION_SIGMA * curve.flux_err


def trigger_mjd(curve: LightCurve) -> float | None:
    """When a survey would have noticed a supernova.

    Parameters
    ----------
    curve : LightCurve

    Returns
    -------
    float or None
        The first detection more than a day after the first one; None if there is none. A detection
        is an observation above five times its uncertainty.
    """
    found = np.sort(curve.mjd[_detected(curve)])
    later = found[found > found[0] + _MIN_DETECTION_GAP_DAYS] if len(found) else found
    return float(later[0]) if len(later) else None


def peak_estimate(curve: LightCurve) -> float | None:
    """Day of the peak where a file gives none.

    Parameters
    ----------
    curve : LightCurve

    Returns
    -------
    float or None
        Mean of the days, weighted by ``(flux / flux_err)^2`` where that is above 5, as SCONE has
        it; None if it is nowhere.
    """
    weight = (curve.flux / curve.flux_err) ** 2
    weight = np.where(weight > 5.0, weight, 0.0)
    return float(np.sum(curve.mjd * weight) / np.sum(weight)) if weight.any() else None
