"""To the spectra of specutils."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

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


def flux_unit(text: str | None) -> Any:
    """The unit of a BUNIT; dimensionless where it cannot be parsed."""
    from astropy import units as u

    plain = (text or "").lower().replace(" ", "")
    scale = 1e-17 if plain.startswith(("1e-17", "1.0e-17", "10^-17", "10**-17")) else 1.0
    if "erg" in plain and "s" in plain and "a" in plain:
        # "1.0E-17 erg/cm/s/Ang" of early releases lacks the square by mistake.
        return u.Unit(scale * u.erg / (u.cm**2 * u.s * u.AA))
    return u.dimensionless_unscaled
