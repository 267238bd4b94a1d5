"""One label, and the type that a file gives itself."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, Final

from sdss_spectra.files import stem_of
from sdss_spectra.mkclass import SpectralType, parse_type, type_from_parameters
from sdss_spectra.spectrum import Cards, Spectrum

__all__ = ["Label", "as_row", "folder_name", "label_of_file", "parameter", "type_in_file_name"]

_TYPE_KEYS: Final = ("SPTYPE", "SPECTYPE", "SP_TYPE", "PICKTYPE", "SPECTRAL_TYPE", "SPECTRAL_CLASS")
_TEFF_KEYS: Final = ("TEFF_MED", "TEFF", "T_EFF", "TEFF_K")
_LOGG_KEYS: Final = ("LOGG_MED", "LOGG", "LOG_G", "LOGG_CGS")
_FEH_KEYS: Final = ("FEH_MED", "FE_H", "FEH", "M_H", "FE_H_DEX")
_RANGES: Final = {"teff": (500.0, 250_000.0), "logg": (-2.0, 9.9), "feh": (-8.0, 3.0)}
_NAME: Final = re.compile(r"^(?P<type>[OBAFGKMLT]\d(?:\.\d)?[IVab/+-]*)(?:_|$)")


@dataclass(frozen=True)
class Label:
    """The label of one star.

    Attributes
    ----------
    class_mk : str or None
        MK class, such as ``G2V``; or a class of another kind, such as ``WD``.
    teff_k, logg_cgs, fe_h_dex : float or None
        Effective temperature, surface gravity, metallicity.
    source : str
        Where the label comes from.
    quality : str or None
        Flag of the catalogue.
    """

    class_mk: str | None
    teff_k: float | None
    logg_cgs: float | None
    fe_h_dex: float | None
    source: str
    quality: str | None = None

    @property
    def spectral_type(self) -> SpectralType | None:
        """The class, or the type that temperature and gravity give (SpectralType or None)."""
        return parse_type(self.class_mk) or type_from_parameters(self.teff_k, self.logg_cgs)


def parameter(kind: str, value: Any) -> float | None:
    """A stellar parameter within its physical range: ``teff``, ``logg`` or ``feh``.

    Placeholders such as -999 and text such as ``INDEF`` are None.
    """
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    low, high = _RANGES[kind]
    return number if low <= number <= high else None


def _first(kind: str, cards: Cards, names: tuple[str, ...]) -> float | None:
    for name in names:
        value = parameter(kind, cards.get(name))
        if value is not None:
            return value
    return None


def label_of_file(spectrum: Spectrum) -> Label | None:
    """The label in a file's own header and tables.

    A type from the literature comes first, then SUBCLASS of a star without warning (ZWARNING 0),
    then temperature and gravity.
    """
    cards = spectrum.cards
    teff = _first("teff", cards, _TEFF_KEYS)
    logg = _first("logg", cards, _LOGG_KEYS)
    feh = _first("feh", cards, _FEH_KEYS)
    for name in _TYPE_KEYS:
        found = parse_type(cards.text(name))
        if found is not None:
            return Label(found.mk, teff, logg, feh, f"header {name}")
    if cards.text("CLASS") == "STAR" and cards.integer("ZWARNING") in (0, None):
        found = parse_type(cards.text("SUBCLASS"))
        if found is not None:
            return Label(found.mk, teff, logg, feh, "SDSS SUBCLASS")
    found = type_from_parameters(teff, logg)
    if found is not None:
        return Label(found.mk, teff, logg, feh, "header Teff")
    return None


def type_in_file_name(path: str) -> SpectralType | None:
    """A type with which a file name begins, as in ``A0V__153808.fits`` and ``M4_+0.0_Dwarf``."""
    stem = stem_of(PurePosixPath(path))
    match = _NAME.match(stem)
    if match is None:
        return None
    text = match["type"]
    lower = stem.lower()
    if lower.endswith(("_dwarf", "_giant")):
        text += "V" if lower.endswith("_dwarf") else "III"
    return parse_type(text)


def folder_name(path: str) -> str:
    """Name of the folder of a file (str), empty where there is none."""
    return PurePosixPath(path).parent.name


def as_row(spec_id: str, label: Label | None) -> dict[str, Any]:
    """Row of the label table."""
    if label is None:
        return {"spec_id": spec_id}
    return {
        "spec_id": spec_id,
        "class_mk": label.class_mk,
        "teff_k": label.teff_k,
        "logg_cgs": label.logg_cgs,
        "fe_h_dex": label.fe_h_dex,
        "label_source": label.source,
        "label_quality": label.quality,
    }
