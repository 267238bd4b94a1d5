"""Labels of all spectra of a data set, and the classes for training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from sdss_spectra.labels.catalogue import Catalogue
from sdss_spectra.labels.label import (
    Label,
    as_row,
    folder_name,
    label_of_file,
    type_in_file_name,
)
from sdss_spectra.metadata import object_id, position_deg
from sdss_spectra.mkclass import SpectralType, parse_type
from sdss_spectra.spectrum import Spectrum
from sdss_spectra.tables import column

__all__ = ["COLUMNS", "LabelFacts", "TrainingClass", "assign", "facts_of", "label_row", "resolve"]

COLUMNS: Final = (
    column("spec_id", "string", "identifier of the spectrum"),
    column("class_mk", "string", "Morgan-Keenan class"),
    column("teff_k", "float64", "effective temperature", "K"),
    column("logg_cgs", "float64", "log10 of the surface gravity in cm / s2"),
    column("fe_h_dex", "float64", "metallicity [Fe/H]", "dex"),
    column("label_source", "string", "who says so"),
    column("label_quality", "string", "flag of the catalogue"),
)

_ID_KEYS: Final = (
    "APOGEE_ID", "MANGAID", "CATALOGID", "SDSS_ID", "OBJID", "SPECOBJID", "SPECOBJ_ID", "BESTOBJID",
    "THING_ID", "OBJNAME", "HDNAME", "OBJECT",
)  # fmt: skip


@dataclass(frozen=True)
class LabelFacts:
    """What determines the label of a spectrum.

    Attributes
    ----------
    spec_id, path : str
        Identifier, and path for tables.
    identifiers : tuple of str
        Under which a catalogue may know the star.
    position : (float, float) or None
        Right ascension and declination, degrees.
    own : Label or None
        What the file says.
    """

    spec_id: str
    path: str
    identifiers: tuple[str, ...]
    position: tuple[float, float] | None
    own: Label | None


@dataclass(frozen=True)
class TrainingClass:
    """The class of a spectrum for training.

    Attributes
    ----------
    name : str
        Letter of the spectral type, or a class of another kind.
    code : float or None
        `SpectralType.code`, where the subtype is known.
    source : str
        ``catalogue``, ``header``, ``file name`` or ``folder``.
    """

    name: str
    code: float | None
    source: str


def facts_of(spectrum: Spectrum, spec_id: str, path: str) -> LabelFacts:
    """Collect what determines the label of a spectrum."""
    cards = spectrum.cards
    names = [spec_id]
    for key in _ID_KEYS:
        value = cards.get(key)
        if isinstance(value, (str, int)) and not isinstance(value, bool):
            names.append(str(value))
    own = object_id(cards)
    if own is not None:
        names.append(own)
    return LabelFacts(
        spec_id, path, tuple(dict.fromkeys(names)), position_deg(spectrum), label_of_file(spectrum)
    )


def label_row(facts: LabelFacts, catalogue: Catalogue | None) -> dict[str, Any]:
    """Row of the label table: of the catalogue if one is given, else what the file says.

    Spectra without a match have nulls.
    """
    if catalogue is not None:
        return as_row(facts.spec_id, catalogue.find(facts.identifiers, facts.position))
    label = facts.own
    if label is None:
        found, source = _by_name(facts)
        label = None if found is None else Label(found, None, None, None, source)
    return as_row(facts.spec_id, label)


def _by_name(facts: LabelFacts) -> tuple[str | None, str]:
    folder = parse_type(folder_name(facts.path))
    if folder is not None:
        return folder.mk, "folder"
    named = type_in_file_name(facts.path)
    return (None, "") if named is None else (named.mk, "file name")


def assign(facts: LabelFacts, catalogue: Catalogue | None) -> TrainingClass | None:
    """Class of one spectrum for training.

    The catalogue comes first; then a folder whose name is a stellar class, since somebody has put
    the file there; then the file's own header, and its name.
    """
    if catalogue is not None:
        label = catalogue.find(facts.identifiers, facts.position)
        if label is not None:
            found = label.spectral_type
            if found is not None:
                return _class(found, "catalogue")
            if label.class_mk:
                return TrainingClass(label.class_mk, None, "catalogue")
    folder = parse_type(folder_name(facts.path))
    own = None if facts.own is None else facts.own.spectral_type
    if folder is not None:
        # The header knows the subtype where the folder is a letter and both agree.
        if own is not None and folder.subtype is None and own.letter == folder.letter:
            return _class(own, "folder")
        return _class(folder, "folder")
    if own is not None:
        return _class(own, "header")
    named = type_in_file_name(facts.path)
    return None if named is None else _class(named, "file name")


def _class(found: SpectralType, source: str) -> TrainingClass:
    return TrainingClass(found.letter, found.code if found.subtype is not None else None, source)


def resolve(facts: Sequence[LabelFacts], catalogue: Catalogue | None) -> list[TrainingClass | None]:
    """Classes of all spectra; folder names of any kind count if nothing else labels any.

    Returns
    -------
    list of TrainingClass or None
        In the order of `facts`.
    """
    classes = [assign(item, catalogue) for item in facts]
    if any(found is not None for found in classes):
        return classes
    folders = [folder_name(item.path) for item in facts]
    if len(set(folders)) < 2:
        return classes
    return [TrainingClass(name, None, "folder") if name else None for name in folders]
