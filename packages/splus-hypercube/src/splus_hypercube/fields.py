"""The list of S-PLUS fields."""

from __future__ import annotations

import csv
import math
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from astro_common.errors import ConfigurationError, InputError

__all__ = ["FIELD_RADIUS_DEG", "Field", "read_fields", "select_fields"]

FIELD_RADIUS_DEG = 2.0
"""Largest distance of a source from the centre of its field, which is 1.4 deg wide; generous."""


@dataclass(frozen=True, slots=True)
class Field:
    """One S-PLUS field.

    Attributes
    ----------
    name : str
    ra, dec : float
        Centre, ICRS degrees.
    """

    name: str
    ra: float
    dec: float


def read_fields(path: Path, exclude: Sequence[str] = ()) -> list[Field]:
    """Read the field list.

    Parameters
    ----------
    path : Path
        CSV with the columns ``field``, ``ra``, ``dec`` in any order and case; other columns, such
        as a leading index, are ignored.
    exclude : sequence of str
        Shell patterns of names to leave out.

    Returns
    -------
    list of Field
        In the order of the file.

    Raises
    ------
    InputError
        If the file cannot be read, lacks a column, or holds a wrong or repeated row.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.reader(file)
            rows = [(reader.line_num, row) for row in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(path, f"cannot be read ({error})", "a CSV file of fields") from error
    rows = [(line, row) for line, row in rows if any(cell.strip() for cell in row)]
    header = [cell.strip().lower() for cell in rows[0][1]] if rows else []
    for name in ("field", "ra", "dec"):
        if header.count(name) != 1:
            raise InputError(path, f"the columns {header}", f"one column {name!r}")
    columns = [header.index(name) for name in ("field", "ra", "dec")]
    fields: dict[str, Field] = {}
    for line, row in rows[1:]:
        try:
            name, ra, dec = (row[column].strip() for column in columns)
            field = Field(name, float(ra), float(dec))
        except (IndexError, ValueError):
            raise InputError(path, f"row {line} is {row}", "field, ra, dec") from None
        if not (math.isfinite(field.ra) and abs(field.dec) <= 90.0):
            raise InputError(path, f"row {line} has ra {ra}, dec {dec}", "degrees")
        # The name becomes part of file names.
        if not name.isprintable() or not name or "/" in name or name.startswith("."):
            raise InputError(path, f"row {line} has the field name {name!r}", "a plain name")
        if name in fields:
            raise InputError(path, f"the field {name} twice", "each field once")
        fields[name] = field
    return [
        field
        for field in fields.values()
        if not any(fnmatchcase(field.name, pattern) for pattern in exclude)
    ]


def select_fields(fields: Sequence[Field], names: Sequence[str], source: Path) -> list[Field]:
    """The named fields, in the order of the list; all of them when no name is given.

    Raises
    ------
    ConfigurationError
        If a name is not in the list, or is excluded.
    """
    known = {field.name for field in fields}
    for name in names:
        if name not in known:
            raise ConfigurationError(
                f"--field {name}",
                f"no such field among the {len(known)} of {source}",
                "a field of the list that exclude_fields does not leave out",
            )
    return [field for field in fields if not names or field.name in names]
