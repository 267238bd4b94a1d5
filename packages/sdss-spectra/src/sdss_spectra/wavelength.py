"""Wavelengths of pixels: how a file gives them, and air against vacuum.

References
----------
Ciddor 1996, Applied Optics 35, 1566 (refractive index of standard air, from vacuum wavelengths);
Morton 2000, ApJS 130, 403 (the constants in use for vacuum to air in astronomy);
Greisen, Calabretta, Valdes & Allen 2006, A&A 446, 747 (spectral coordinates in FITS).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

__all__ = [
    "C_KMS",
    "WavelengthSolution",
    "air_to_vacuum",
    "angstrom_per",
    "from_keywords",
    "refractive_index",
    "vacuum_to_air",
]

Floats = npt.NDArray[np.float64]

C_KMS: Final = 299792.458

# Below this the air does not transmit and the dispersion formula is not meant for it.
_MIN_AIR_ANGSTROM: Final = 2000.0
_ANGSTROM_PER: Final = {"nm": 10.0, "um": 1e4, "micron": 1e4, "m": 1e10}


@dataclass(frozen=True)
class WavelengthSolution:
    """Wavelengths of the pixels of one spectrum.

    Attributes
    ----------
    wavelength : ndarray of float64, shape (n_pixel,)
        Angstrom, in `frame`, strictly increasing.
    method : str
        How it was found: ``loglam``, ``wavelength-column``, ``coeff0-coeff1``,
        ``crval1-cd1_1-log10``, ``crval1-cdelt1-log``, ``crval1-cdelt1`` and the like.
    is_log10 : bool
        Whether the pixels are equally spaced in log10 of the wavelength.
    frame : str or None
        ``vacuum`` or ``air``; None where the file does not say.
    """

    wavelength: Floats
    method: str
    is_log10: bool
    frame: str | None

    @property
    def grid(self) -> str:
        """``log10`` or ``linear`` (str)."""
        return "log10" if self.is_log10 else "linear"

    @property
    def is_increasing(self) -> bool:
        """Whether the wavelengths are finite, positive and strictly increasing (bool)."""
        values = self.wavelength
        # No difference is above 0 at a NaN, or after an infinite number.
        with np.errstate(invalid="ignore"):
            steps = np.diff(values)
        return bool(values[0] > 0 and (steps > 0).all() and np.isfinite(values[-1]))

    @property
    def vacuum(self) -> Floats:
        """Wavelengths in vacuum, angstrom; a frame that is not known counts as vacuum."""
        return air_to_vacuum(self.wavelength) if self.frame == "air" else self.wavelength


def angstrom_per(unit: str) -> float:
    """Angstrom in a unit of length as headers write it; 1 for one that is not known."""
    return _ANGSTROM_PER.get(unit.strip().lower(), 1.0)


def refractive_index(wavelength_vacuum: npt.ArrayLike) -> Floats:
    """Refractive index of dry air at 15 deg C, 101325 Pa and 450 ppm of CO2.

    Parameters
    ----------
    wavelength_vacuum : array-like of float
        Vacuum wavelengths, angstrom.

    Returns
    -------
    ndarray of float64
        Ciddor 1996, equation 1.
    """
    sigma2 = (1e4 / np.asarray(wavelength_vacuum, np.float64)) ** 2
    return 1.0 + 1e-8 * (5792105.0 / (238.0185 - sigma2) + 167917.0 / (57.362 - sigma2))


def vacuum_to_air(wavelength_vacuum: npt.ArrayLike) -> Floats:
    """Convert vacuum wavelengths (angstrom) to those in standard air; none below 2000 changes."""
    vacuum = np.asarray(wavelength_vacuum, np.float64)
    return np.where(vacuum < _MIN_AIR_ANGSTROM, vacuum, vacuum / refractive_index(vacuum))


def air_to_vacuum(wavelength_air: npt.ArrayLike) -> Floats:
    """Convert wavelengths in standard air (angstrom) to vacuum; the inverse of `vacuum_to_air`.

    The formula needs the vacuum wavelength, so that it is iterated; three rounds reach 1e-9 A.
    """
    air = np.asarray(wavelength_air, np.float64)
    vacuum = air.copy()
    for _ in range(3):
        vacuum = air * refractive_index(vacuum)
    return np.where(air < _MIN_AIR_ANGSTROM, air, vacuum)


def _number(keywords: Mapping[str, Any], name: str) -> float | None:
    value = keywords.get(name)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return float(value) if np.isfinite(value) else None


# Damaged keywords give infinite wavelengths, which no reader takes.
@np.errstate(invalid="ignore", over="ignore")
def from_keywords(
    keywords: Mapping[str, Any], num_pixels: int, frame: str | None
) -> WavelengthSolution | None:
    """Reconstruct wavelengths from header keywords.

    ``COEFF0, COEFF1`` are log10 of angstrom, for the first pixel and per pixel. ``CRVAL1`` with
    ``CD1_1`` or ``CDELT1`` and ``CRPIX1`` follow the FITS Standard. With ``DC-FLAG = 1`` (IRAF) the
    values are logarithms, and with ``CTYPE1 = WAVE-LOG`` or ``AWAV-LOG`` pixels are steps in ln
    (Greisen et al. 2006, equation 5). SDSS files claim ``CTYPE1 = LINEAR`` beside ``DC-FLAG = 1``:
    the flag is right, and so are values below 10, which no wavelength in angstrom has.

    Parameters
    ----------
    keywords : mapping
        Header values by keyword.
    num_pixels : int
        Number of pixels.
    frame : str or None
        Of the result.

    Returns
    -------
    WavelengthSolution or None
        None where the keywords say nothing about wavelengths.
    """
    pixel = np.arange(num_pixels, dtype=np.float64)
    coeff0, coeff1 = _number(keywords, "COEFF0"), _number(keywords, "COEFF1")
    if coeff0 is not None and coeff1:
        return WavelengthSolution(10.0 ** (coeff0 + coeff1 * pixel), "coeff0-coeff1", True, frame)
    start = _number(keywords, "CRVAL1")
    steps = {name: _number(keywords, name) for name in ("CD1_1", "CDELT1")}
    step_name, step = next(((n, value) for n, value in steps.items() if value), ("", None))
    if start is None or step is None:
        return None
    reference = _number(keywords, "CRPIX1")
    values = start + (pixel + 1.0 - (1.0 if reference is None else reference)) * step
    flag = _number(keywords, "DC-FLAG")
    unit = str(keywords.get("CUNIT1", "")).strip().lower()
    name = f"crval1-{step_name.lower()}"
    if flag == 1 or (start < 10.0 and unit in ("", "angstrom", "angstroms")):
        return WavelengthSolution(10.0**values, f"{name}-log10", True, frame)
    if str(keywords.get("CTYPE1", "")).strip().upper() in ("WAVE-LOG", "AWAV-LOG") and start > 0:
        values = start * np.exp(values / start - 1.0) * angstrom_per(unit)
        return WavelengthSolution(values, f"{name}-log", True, frame)
    return WavelengthSolution(values * angstrom_per(unit), name, False, frame)
