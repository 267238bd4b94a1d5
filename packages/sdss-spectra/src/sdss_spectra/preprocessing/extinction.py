"""Extinction by dust of the Milky Way, and E(B-V) from what a file says.

References
----------
Cardelli, Clayton & Mathis 1989, ApJ 345, 245 (the form of the law, and its infrared part);
O'Donnell 1994, ApJ 422, 158 (its optical coefficients);
Schlegel, Finkbeiner & Davis 1998, ApJ 500, 525, table 6 (A/E(B-V) in ugriz);
Schlafly & Finkbeiner 2011, ApJ 737, 103, table 6 (the same, recalibrated, R_V = 3.1).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

__all__ = ["R_V", "Reddening", "extinction_curve", "find_reddening"]

Floats = npt.NDArray[np.float64]

R_V: Final = 3.1

# A(ugriz)/E(B-V). EXTINCTION of HDU 2 follows the one or the other, by reduction.
COEFFICIENTS: Final[dict[str, tuple[float, ...]]] = {
    "SFD98": (5.155, 3.793, 2.751, 2.086, 1.479),
    "SF11": (4.239, 3.303, 2.285, 1.698, 1.263),
}
_EBV_KEYWORDS: Final = ("EBV", "SFD_EBV", "EBMV", "E_BV", "E(B-V)")
# What is below 0 or above this is a placeholder.
_MAX_EBV: Final = 10.0
# In x - 1.82, per inverse micron: a(x) and b(x) of O'Donnell 1994.
_A: Final = (1.0, 0.104, -0.609, 0.701, 1.137, -1.718, -0.827, 1.647, -0.505)
_B: Final = (0.0, 1.952, 2.908, -3.989, -7.985, 11.102, 5.491, -10.805, 3.347)


@dataclass(frozen=True)
class Reddening:
    """A colour excess and where it comes from.

    Attributes
    ----------
    ebv : float
        E(B-V), mag.
    source : str
        ``EBV``, ``EXTINCTION (SF11)``, ``A_V/3.1`` and the like.
    """

    ebv: float
    source: str


def extinction_curve(wavelength: npt.ArrayLike, r_v: float = R_V) -> Floats:
    """Extinction A(lambda) / A(V) of Cardelli et al. with the coefficients of O'Donnell.

    Parameters
    ----------
    wavelength : array-like of float
        Angstrom; from 3030 to 33,300. Beyond it the value of the nearer end is used.
    r_v : float, optional
        Ratio of total to selective extinction.

    Returns
    -------
    ndarray of float64
    """
    x = np.clip(1e4 / np.asarray(wavelength, np.float64), 0.3, 3.3)
    y = x - 1.82
    optical = np.polyval(_A[::-1], y) + np.polyval(_B[::-1], y) / r_v
    infrared = (0.574 - 0.527 / r_v) * x**1.61
    return np.asarray(np.where(x >= 1.1, optical, infrared))


def find_reddening(cards: Mapping[str, Any]) -> Reddening | None:
    """Find E(B-V) in header values and table cells.

    Parameters
    ----------
    cards : mapping
        Values by upper-case name.

    Returns
    -------
    Reddening or None
        From a keyword of E(B-V); else from the five values of EXTINCTION, by the set of
        coefficients that fits them; else A_V/3.1, which says so.
    """
    for name in _EBV_KEYWORDS:
        value = _number(cards.get(name))
        if value is not None and 0.0 <= value <= _MAX_EBV:
            return Reddening(value, name)
    bands = cards.get("EXTINCTION")
    if bands is not None:
        found = _from_bands(np.asarray(bands, np.float64).reshape(-1))
        if found is not None:
            return found
    for name in ("A_V", "AV"):
        value = _number(cards.get(name))
        if value is not None and 0.0 <= value <= _MAX_EBV * R_V:
            return Reddening(value / R_V, f"{name}/3.1")
    return None


def _from_bands(values: Floats) -> Reddening | None:
    if values.shape != (5,) or not np.isfinite(values).all() or not (values > 0).all():
        return None
    fits = []
    for name, coefficients in COEFFICIENTS.items():
        ratios = values / np.asarray(coefficients)
        fits.append((float(np.std(ratios) / np.mean(ratios)), name, float(np.mean(ratios))))
    misfit, name, ebv = min(fits)
    # Both sets fit their own files to 1e-4; values that fit neither are of some other law.
    if misfit > 0.02 or not ebv <= _MAX_EBV:
        return None
    return Reddening(ebv, f"EXTINCTION ({name})")


def _number(value: Any) -> float | None:
    if isinstance(value, (bool, np.bool_)) or not isinstance(
        value, (int, float, np.integer, np.floating)
    ):
        return None
    return float(value) if np.isfinite(value) else None
