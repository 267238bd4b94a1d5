"""Read source tables, whichever program wrote them; tables are known by EXTNAME, not by place."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
from astropy.io.fits import Header
from astropy.utils.exceptions import AstropyUserWarning

from astro_common.errors import InputError
from astro_common.fits import FitsFile, open_fits
from cfht_iqa.ldac.ascii_head import is_ascii_head, read_ascii_head
from cfht_iqa.ldac.writing import CARD_COLUMN, IMHEAD, LDAC_OBJECTS, OBJECTS

__all__ = ["SourceTable", "catalogue_name", "read_tables"]

_SUFFIX: Final = re.compile(r"(\.(cat|ldac))?(\.(fits?|fts))?(\.gz)?\Z|\.(cat|ldac|txt)\Z", re.I)


@dataclass(frozen=True, eq=False)
class SourceTable:
    """The sources of one CCD.

    Attributes
    ----------
    ccd : str
        Name of the CCD; ``HDU<n>`` where the file does not say.
    header : astropy.io.fits.Header
        The image's header in a FITS_LDAC file, else that of the table.
    rows : pyarrow.Table
        The columns that were asked for, as far as they are there.
    """

    ccd: str
    header: Header
    rows: pa.Table


def catalogue_name(path: Path) -> str:
    """Return the exposure's name: the file name without ``.cat.fits`` and the like."""
    name = path.name
    while (shorter := _SUFFIX.sub("", name, count=1)) != name and shorter:
        name = shorter
    return name


def read_tables(path: Path, columns: Sequence[str]) -> Iterator[SourceTable]:
    """Read the source tables of a file one after the other.

    Parameters
    ----------
    path : Path
        A catalogue in format FITS_LDAC, FITS_1.0 or ASCII_HEAD.
    columns : sequence of str
        Which columns; those that the file lacks are left out.

    Yields
    ------
    SourceTable
        Of each CCD, also of one without sources.

    Raises
    ------
    InputError
        If the file is damaged, or no source catalogue.
    """
    if is_ascii_head(path):
        for extension, rows in read_ascii_head(path, columns):
            yield SourceTable(extension, Header(), rows)
        return
    with open_fits(path) as file:
        _check_whole(file)
        found = False
        cards: Header | None = None
        for info in file.hdus:
            name = info.name.upper()
            if name == IMHEAD:
                cards = _field_header(file, info.index)
            elif name in (LDAC_OBJECTS, OBJECTS) and info.kind == "table":
                found = True
                yield _table(file, info.index, columns, cards if name == LDAC_OBJECTS else None)
                cards = None
        if not found:
            raise InputError(
                path,
                "no table LDAC_OBJECTS or OBJECTS",
                "a catalogue in format FITS_LDAC, FITS_1.0 or ASCII_HEAD",
            )


def _check_whole(file: FitsFile) -> None:
    """Refuse a catalogue of ours that was cut between two tables, which FITS itself cannot see."""
    header = file.header(0)
    promised = header.get("NEXTEND")
    if "INSHA" in header and promised != len(file.hdus) - 1:
        raise InputError(
            file.path,
            f"{len(file.hdus) - 1} tables: the file is truncated",
            f"{promised} tables",
            "extract the exposure again",
        )


def _table(file: FitsFile, index: int, columns: Sequence[str], cards: Header | None) -> SourceTable:
    own = file.header(index)
    table = file.table(index)
    present = [name for name in columns if name in table.column_names]
    rows = table.read(present)
    # Both headers can tell; the table's own was written for it.
    header = own if cards is None else cards
    name = own.get("CCD") or (cards or {}).get("CCD") or (cards or {}).get("EXTNAME")
    return SourceTable(str(name).strip() if name else f"HDU{index}", header, rows)


def _field_header(file: FitsFile, index: int) -> Header:
    table = file.table(index)
    if CARD_COLUMN not in table.column_names or table.num_rows != 1:
        raise InputError(
            file.path, f"HDU {index}: {table.num_rows} rows", f"one row with column {CARD_COLUMN}"
        )
    value: Any = table.read([CARD_COLUMN])[CARD_COLUMN][0].as_py()
    cards = value if isinstance(value, list) else [value]
    # A single string of all cards is as legal as an array of cards.
    text = "".join(card.ljust(80) for card in cards)
    with warnings.catch_warnings():
        # Cards that break the standard are of no concern here; those that matter are sound.
        warnings.simplefilter("ignore", AstropyUserWarning)
        return Header.fromstring(text, sep="")
