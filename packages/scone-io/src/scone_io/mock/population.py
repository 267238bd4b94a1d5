"""Synthetic supernovae: a simple photosphere that brightens, expands, cools and fades.

Nothing here is a model of nature. The classes differ in the ways in which real ones roughly do:
SN Ia rise in 18 d, are blue at peak and fade fast; SN II stay on a plateau; SN Ibc are faint and
red.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["CLASSES", "MockSupernova", "draw_population", "surface_flux"]

Floats = npt.NDArray[np.float64]

# h c / k, in angstrom kelvin.
_SECOND_RADIATION = 1.438777e8
_REFERENCE_ANGSTROM = 5500.0


@dataclass(frozen=True)
class _Class:
    """Typical rest-frame behaviour; times in days, temperatures in kelvin."""

    name: str
    type_code: int
    fraction: float
    rise_days: float
    fall_days: float
    plateau_days: float
    peak_kelvin: float
    late_kelvin: float
    brightness: float


CLASSES = (
    _Class("SNIa", 1, 0.5, 18.0, 24.0, 0.0, 12500.0, 5200.0, 1.0),
    _Class("SNII", 20, 0.3, 10.0, 16.0, 75.0, 11000.0, 5600.0, 0.45),
    _Class("SNIbc", 30, 0.2, 15.0, 15.0, 0.0, 8200.0, 4600.0, 0.35),
)


@dataclass(frozen=True)
class MockSupernova:
    """One synthetic supernova.

    Attributes
    ----------
    snid : int
    kind : int
        Place in `CLASSES`.
    z, z_err : float
    amplitude : float
        Flux at 5500 angstrom at peak (FLUXCAL).
    peak_mjd : float
    mwebv : float
        Milky Way reddening E(B-V), mag.
    rise_days, fall_days, plateau_days : float
        In the rest frame.
    peak_kelvin, late_kelvin : float
    """

    snid: int
    kind: int
    z: float
    z_err: float
    amplitude: float
    peak_mjd: float
    mwebv: float
    rise_days: float
    fall_days: float
    plateau_days: float
    peak_kelvin: float
    late_kelvin: float

    @property
    def type_code(self) -> int:
        """SNANA's code of the class."""
        return CLASSES[self.kind].type_code

    @property
    def label(self) -> int:
        """1 for SN Ia, 0 for the others."""
        return int(self.kind == 0)


def draw_population(
    count: int, rng: np.random.Generator, *, first_snid: int = 1
) -> list[MockSupernova]:
    """Draw supernovae.

    Parameters
    ----------
    count : int
    rng : numpy.random.Generator
    first_snid : int
        Of the first; identifiers rise by 1 to 40.

    Returns
    -------
    list of MockSupernova
    """
    snids = first_snid + np.cumsum(rng.integers(1, 41, size=count)) - 1
    kinds = rng.choice(len(CLASSES), size=count, p=[item.fraction for item in CLASSES])
    found = []
    for snid, kind in zip(snids.tolist(), kinds.tolist(), strict=True):
        typical = CLASSES[kind]
        z = float(np.clip(0.05 + 0.55 * rng.beta(2.0, 2.5), 0.02, 1.2))
        stretch = float(np.exp(rng.normal(0.0, 0.12)))
        brightness = typical.brightness * float(np.exp(rng.normal(0.0, 0.25 + 0.25 * (kind > 0))))
        found.append(
            MockSupernova(
                snid=int(snid),
                kind=int(kind),
                z=round(z, 5),
                z_err=0.001,
                amplitude=900.0 * brightness * (0.15 / z) ** 2 * (1.0 + z),
                peak_mjd=float(rng.uniform(59000.0, 60000.0)),
                mwebv=float(rng.gamma(2.0, 0.02)),
                rise_days=typical.rise_days * stretch,
                fall_days=typical.fall_days * stretch,
                plateau_days=typical.plateau_days * float(np.exp(rng.normal(0.0, 0.2))),
                peak_kelvin=typical.peak_kelvin * float(np.exp(rng.normal(0.0, 0.06))),
                late_kelvin=typical.late_kelvin * float(np.exp(rng.normal(0.0, 0.05))),
            )
        )
    return found


def surface_flux(event: MockSupernova, days: Floats, wavelengths: Floats) -> Floats:
    """Flux of a supernova by time and wavelength.

    Parameters
    ----------
    event : MockSupernova
    days : ndarray of float64
        Since peak, in the observer's frame.
    wavelengths : ndarray of float64
        In angstrom, in the observer's frame; broadcast with `days`.

    Returns
    -------
    ndarray of float64
        FLUXCAL, without Milky Way extinction.
    """
    rest_days = np.asarray(days, dtype=np.float64) / (1.0 + event.z)
    rest = np.asarray(wavelengths, dtype=np.float64) / (1.0 + event.z)
    after = np.maximum(rest_days - event.plateau_days, 0.0)
    light = np.where(
        rest_days < 0.0,
        np.exp(-0.5 * (rest_days / (0.45 * event.rise_days)) ** 2),
        np.exp(-after / event.fall_days),
    )
    cooling = np.clip(rest_days / (35.0 + 0.5 * event.plateau_days), -0.3, 1.0)
    kelvin = event.peak_kelvin + (event.late_kelvin - event.peak_kelvin) * cooling
    at_peak = _planck(_REFERENCE_ANGSTROM / (1.0 + event.z), event.peak_kelvin)
    # A photosphere that cools and keeps its visual flux looks redder, not only fainter.
    colour = _planck(rest, kelvin) / _planck(_REFERENCE_ANGSTROM, kelvin)
    normal = at_peak / _planck(_REFERENCE_ANGSTROM, event.peak_kelvin)
    flux: Floats = event.amplitude * light * colour / normal
    return flux


def _planck(wavelength: Floats | float, kelvin: Floats | float) -> Floats:
    """Planck's law per frequency, in any unit."""
    reduced = np.asarray(wavelength, dtype=np.float64)
    result: Floats = reduced**-3.0 / np.expm1(_SECOND_RADIATION / (reduced * kelvin))
    return result
