"""Radial velocities and redshifts of what a file holds.

SDSS spectra are heliocentric: the correction (HELIO_RV) is in their wavelengths and is never
applied again.
"""

from __future__ import annotations

from sdss_spectra.spectrum import Cards, Spectrum
from sdss_spectra.wavelength import C_KMS

__all__ = ["frame_velocity_kms", "velocity_kms"]

_VELOCITIES = ("VHELIO", "VHELIO_AVG", "VRAD", "RVEL", "VELOCITY", "Z_V", "HELIOVEL", "HELIOV")
_REDSHIFTS = ("Z", "REDH", "ZHELIO")
# Readers of surveys that are known to leave the object's motion in the wavelengths.
_MOVING = ("spec", "sdss-v", "spspec")


def velocity_kms(cards: Cards) -> tuple[float, str] | None:
    """Radial velocity, or c times the redshift, and the keyword that gave it.

    Returns
    -------
    (float, str) or None
        km/s; None where no keyword says it. Placeholders such as -9999 do not count.
    """
    for name in _VELOCITIES:
        value = cards.number(name)
        if value is not None and abs(value) < C_KMS and value > -9999.0:
            return value, name
    for name in _REDSHIFTS:
        value = cards.number(name)
        if value is not None and -0.99 < value < 20.0:
            return value * C_KMS, name
    return None


def frame_velocity_kms(spectrum: Spectrum) -> tuple[float | None, str]:
    """The velocity to be removed from the wavelengths to bring a spectrum to rest.

    Returns
    -------
    (float or None, str)
        c*z in km/s and a warning; None and the reason where nothing must be done.
    """
    if spectrum.is_rest_frame:
        return None, "the file is at rest"
    if spectrum.reader not in _MOVING:
        return None, "the file does not say whether its wavelengths are at rest"
    found = velocity_kms(spectrum.cards)
    if found is None:
        return None, "no velocity or redshift"
    warning = spectrum.cards.integer("ZWARNING")
    return found[0], f"ZWARNING = {warning}" if warning else ""
