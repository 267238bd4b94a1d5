# ruff: noqa: RUF001 - Greek letters are what these lines are called
"""Spectral lines to mark in the spectrum of a star, a galaxy or a quasar.

Vacuum wavelengths: NIST Atomic Spectra Database, version 5; broad quasar lines and blends as in
Vanden Berk et al. 2001, AJ 122, 549, table 2.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["SpectralLine", "lines_of"]


@dataclass(frozen=True, slots=True)
class SpectralLine:
    """A line or an unresolved blend.

    Attributes
    ----------
    name : str
    wavelength_angstrom : float
        Rest frame, vacuum.
    classes : str
        Letters of the classes in which it is marked: ``s`` star, ``g`` galaxy, ``q`` quasar.
    """

    name: str
    wavelength_angstrom: float
    classes: str


_LINES = (
    SpectralLine("Lyα", 1215.67, "q"),
    SpectralLine("N V", 1240.14, "q"),
    SpectralLine("Si IV", 1396.76, "q"),
    SpectralLine("C IV", 1549.06, "q"),
    SpectralLine("C III]", 1908.73, "q"),
    SpectralLine("Mg II", 2798.75, "q"),
    SpectralLine("[O II]", 3728.48, "gq"),
    SpectralLine("[Ne III]", 3869.86, "gq"),
    SpectralLine("Ca K", 3934.78, "sg"),
    SpectralLine("Ca H", 3969.59, "sg"),
    SpectralLine("Hδ", 4102.89, "sgq"),
    SpectralLine("G band", 4305.61, "sg"),
    SpectralLine("Hγ", 4341.68, "sgq"),
    SpectralLine("Hβ", 4862.68, "sgq"),
    SpectralLine("[O III]", 4960.30, "gq"),
    SpectralLine("[O III]", 5008.24, "gq"),
    SpectralLine("Mg b", 5175.98, "sg"),
    SpectralLine("Na D", 5894.57, "sg"),
    SpectralLine("[N II]", 6549.86, "g"),
    SpectralLine("Hα", 6564.61, "sgq"),
    SpectralLine("[N II]", 6585.27, "g"),
    SpectralLine("[S II]", 6718.29, "g"),
    SpectralLine("[S II]", 6732.67, "g"),
    SpectralLine("Ca II", 8500.35, "sg"),
    SpectralLine("Ca II", 8544.44, "sg"),
    SpectralLine("Ca II", 8664.52, "sg"),
)
_CLASS_LETTERS = {"STAR": "s", "GALAXY": "g", "QSO": "q"}


def lines_of(spectral_type: str | None) -> tuple[SpectralLine, ...]:
    """The lines to mark, in order of wavelength.

    Parameters
    ----------
    spectral_type : str or None
        Redrock's SPECTYPE (STAR, GALAXY or QSO); of any other class the galaxy's lines are given.
    """
    letter = _CLASS_LETTERS.get((spectral_type or "").strip().upper(), "g")
    return tuple(line for line in _LINES if letter in line.classes)
