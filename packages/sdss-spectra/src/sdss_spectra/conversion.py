"""Conversion to the spectra of specutils."""

from __future__ import annotations

import re
import warnings
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from astro_common.errors import ConfigurationError

if TYPE_CHECKING:
    from sdss_spectra.spectrum import Spectrum

__all__ = ["to_specutils"]


def to_specutils(spectrum: Spectrum) -> Any:
    """Make a `specutils.Spectrum` (`Spectrum1D` before version 2).

    Parameters
    ----------
    spectrum : Spectrum
        As read.

    Returns
    -------
    specutils.Spectrum
        Vacuum wavelengths in angstrom, flux with its unit where astropy can parse it, inverse
        variances, a mask (ivar 0), and the header values under ``meta["header"]``.

    Raises
    ------
    ConfigurationError
        specutils is not installed.
    """
    try:
        import specutils  # type: ignore[import-untyped]
        from astropy import units as u
        from astropy.nddata import InverseVariance
    except ImportError as error:
        raise ConfigurationError(
            "to_specutils", "specutils is not installed", action="install sdss-spectra[specutils]"
        ) from error
    kind = getattr(specutils, "Spectrum", None) or specutils.Spectrum1D
    unit = flux_unit(spectrum.flux_unit)
    ivar = spectrum.ivar
    return kind(
        spectral_axis=spectrum.solution.vacuum * u.AA,
        flux=spectrum.flux * unit,
        uncertainty=None if ivar is None else InverseVariance(ivar / unit**2),
        mask=~np.isfinite(spectrum.flux) if ivar is None else ivar <= 0,
        meta={"header": dict(spectrum.cards), "reader": spectrum.reader},
    )


# Flux per angstrom as SDSS and libraries of spectra write it. "erg/cm/s/Ang" of early releases
# lacks the square by mistake; APOGEE writes "Flux (...)" about it; "A" is not the ampere.
_PART: Final = r"[/.*]?\(?(?:s(?:ec)?|cm|ang(?:strom)?s?|a)(?:\^|\*\*)?\(?-?[12]?\)*"
_FLUX: Final = re.compile(
    r"(?:flux\()?(?P<scale>1(?:\.0)?e-17|10(?:\^|\*\*)-17)?\*?"
    rf"ergs?(?=.*cm)(?=.*a)(?:{_PART}){{3}}"
)


def flux_unit(text: str | None) -> Any:
    """The unit of a BUNIT (`astropy.units.Unit`); dimensionless where it cannot be parsed."""
    from astropy import units as u

    match = _FLUX.fullmatch((text or "").lower().replace(" ", ""))
    if match is not None:
        scale = 1e-17 if match["scale"] else 1.0
        return u.Unit(scale * u.erg / (u.cm**2 * u.s * u.AA))
    with warnings.catch_warnings():
        # Units of several slashes, which nearly all files have, are read from left to right.
        warnings.simplefilter("ignore", u.UnitsWarning)
        try:
            return u.Unit(text or "")
        except ValueError:
            return u.dimensionless_unscaled
