"""Oxygen abundance from ratios of strong emission lines."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from astro_common.errors import ConfigurationError

__all__ = ["CALIBRATIONS", "INDEX_TERMS", "Calibration", "abundance", "named_calibration"]

Floats = npt.NDArray[np.float64]

# Each index is a sum of coefficient times log10(flux); SII stands for the sum of its two lines.
INDEX_TERMS: Final[Mapping[str, Mapping[str, float]]] = {
    "O3N2": {"OIII": 1.0, "Hb": -1.0, "Ha": 1.0, "NII": -1.0},
    "N2": {"NII": 1.0, "Ha": -1.0},
    "N2S2": {"NII": 1.264, "SII": -1.0, "Ha": -0.264},
}

_MAX_TABLE_BYTES = 1 << 20


@dataclass(frozen=True)
class Calibration:
    """12 + log(O/H) as a polynomial of an index.

    Attributes
    ----------
    name : str
    index : str
        One of `INDEX_TERMS`.
    coefficients : tuple of float
        Of the powers 0, 1, ... of the index.
    low, high : float
        Range of the index in which the calibration holds, both ends included.
    scatter_dex : float
        Scatter of the calibration itself, which the propagated error does not contain.
    reference : str
    """

    name: str
    index: str
    coefficients: tuple[float, ...]
    low: float
    high: float
    scatter_dex: float
    reference: str


_MARINO = "Marino et al. 2013, A&A 559, A114"
_PETTINI = "Pettini & Pagel 2004, MNRAS 348, L59"
_DOPITA = "Dopita et al. 2016, Ap&SS 361, 61"

CALIBRATIONS: Final[Mapping[str, Calibration]] = {
    entry.name: entry
    for entry in (
        Calibration("marino13-o3n2", "O3N2", (8.505, -0.221), -1.1, 1.7, 0.18, _MARINO + " (ONS)"),
        Calibration("marino13-o3n2-te", "O3N2", (8.533, -0.214), -1.1, 1.7, 0.18, _MARINO),
        Calibration("marino13-n2", "N2", (8.667, 0.455), -1.6, -0.2, 0.16, _MARINO + " (ONS)"),
        Calibration("marino13-n2-te", "N2", (8.743, 0.462), -1.6, -0.2, 0.16, _MARINO),
        Calibration("pp04-o3n2", "O3N2", (8.73, -0.32), -1.0, 1.9, 0.14, _PETTINI),
        Calibration("pp04-n2", "N2", (8.90, 0.57), -2.5, -0.3, 0.18, _PETTINI),
        Calibration("pp04-n2-cubic", "N2", (9.37, 2.03, 1.26, 0.32), -2.5, -0.3, 0.18, _PETTINI),
        Calibration("dopita16-n2s2", "N2S2", (8.77, 1.0), -1.1, 0.5, 0.10, _DOPITA),
    )
}


def named_calibration(name: str) -> Calibration:
    """Return a calibration by name, or read one from a JSON file.

    Parameters
    ----------
    name : str
        A name of `CALIBRATIONS`, or a ``.json`` file with the keys ``name``, ``index``,
        ``coefficients`` (of the powers 0, 1, ...), ``low``, ``high``, ``scatter_dex`` and
        ``reference``.

    Returns
    -------
    Calibration

    Raises
    ------
    ConfigurationError
        If there is none of this name, or the file describes none.
    """
    if name in CALIBRATIONS:
        return CALIBRATIONS[name]
    path = Path(name)
    if path.suffix != ".json":
        known = ", ".join(CALIBRATIONS)
        raise ConfigurationError("--calibration", repr(name), f"one of {known}, or a .json file")
    try:
        if path.stat().st_size > _MAX_TABLE_BYTES:
            raise ConfigurationError(path, "more than 1 MiB", "a calibration")
        entry = json.loads(path.read_text(encoding="utf-8"))
        numbers = [float(value) for value in entry["coefficients"]]
        low, high = float(entry["low"]), float(entry["high"])
        made = Calibration(
            str(entry["name"]),
            str(entry["index"]),
            tuple(numbers),
            low,
            high,
            float(entry["scatter_dex"]),
            str(entry["reference"]),
        )
    except OSError as error:
        raise ConfigurationError(path, f"cannot be read ({error.strerror})") from error
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ConfigurationError(path, f"no calibration ({error!r})", "its seven keys") from error
    if made.index not in INDEX_TERMS:
        raise ConfigurationError(path, f"index {made.index}", f"one of {', '.join(INDEX_TERMS)}")
    if not numbers or not all(map(math.isfinite, numbers)) or not low < high:
        raise ConfigurationError(path, "no finite coefficients, or low not below high")
    return made


def abundance(
    calibration: Calibration, logs: Mapping[str, Floats], log_errors: Mapping[str, Floats]
) -> tuple[Floats, Floats]:
    """12 + log(O/H) and its uncertainty.

    Parameters
    ----------
    calibration : Calibration
    logs : mapping of str to ndarray of float64
        log10 of the line fluxes.
    log_errors : mapping of str to ndarray of float64
        Their standard deviations, dex; lines are taken as independent.

    Returns
    -------
    value, error : ndarray of float64
        NaN outside the calibration's range. The error is propagated from the line fluxes alone.
    """
    terms = INDEX_TERMS[calibration.index]
    index = sum((factor * logs[line] for line, factor in terms.items()), start=np.float64(0.0))
    variance = sum(
        ((factor * log_errors[line]) ** 2 for line, factor in terms.items()), start=np.float64(0.0)
    )
    polynomial = np.polynomial.Polynomial(calibration.coefficients)
    value = polynomial(index)
    error = np.abs(polynomial.deriv()(index)) * np.sqrt(variance)
    inside = (index >= calibration.low) & (index <= calibration.high)
    return np.where(inside, value, np.nan), np.where(inside, error, np.nan)
