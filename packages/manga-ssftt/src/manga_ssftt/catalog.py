"""Catalogues of galaxies (dapall, drpall): redshifts, identifiers and properties.

A FITS table (of a dapall file, the extension of the analysis that is asked for) or a CSV table is
read. Column names are compared without case.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from astro_common.errors import InputError
from astro_common.fits import open_fits
from manga_ssftt.layout import DEFAULT_DAPTYPE

__all__ = ["Catalog", "read_catalog"]

_MAX_CSV_BYTES = 1 << 30


@dataclass(frozen=True, eq=False)
class Catalog:
    """A catalogue of galaxies.

    Attributes
    ----------
    path : Path
    columns : dict of str to ndarray
        Numbers as float64 with NaN where absent, all else as str; by upper-case name.
    """

    path: Path
    columns: dict[str, npt.NDArray[Any]]

    def __post_init__(self) -> None:
        index: dict[str, list[int]] = {}
        for row, name in enumerate(self.plateifu):
            index.setdefault(str(name), []).append(row)
        object.__setattr__(self, "_rows", index)

    @property
    def plateifu(self) -> npt.NDArray[np.str_]:
        """Plate-ifu of each row (str)."""
        return self.columns["PLATEIFU"]

    def row(self, plateifu: str) -> int:
        """Row of a galaxy; the first if a DAP run lists it more than once.

        Raises
        ------
        InputError
            If it is not listed.
        """
        rows: dict[str, list[int]] = getattr(self, "_rows")  # noqa: B009 - set behind `frozen`
        if plateifu not in rows:
            raise InputError(self.path, f"no row with PLATEIFU {plateifu}", "one row")
        return rows[plateifu][0]

    def redshift(self, plateifu: str) -> float:
        """Redshift of a galaxy: NSA_Z, or Z where NSA_Z is not positive (-999) or NaN.

        Raises
        ------
        InputError
            If the galaxy is not listed, or neither redshift is positive and finite.
        """
        row = self.row(plateifu)
        seen = []
        for name in ("NSA_Z", "Z"):
            column = self.columns.get(name)
            if column is None:
                seen.append(f"no column {name}")
                continue
            if column.dtype.kind != "f":
                seen.append(f"no numbers in column {name}")
                continue
            value = float(column[row])
            if math.isfinite(value) and value > 0:
                return value
            seen.append(f"{name} = {value:g}")
        raise InputError(
            self.path, f"{plateifu}: {', '.join(seen)}", "a positive redshift in NSA_Z or Z"
        )

    def mangaid(self, plateifu: str) -> str:
        """MANGAID of a galaxy, the same for repeat observations; its plate-ifu if none is given."""
        column = self.columns.get("MANGAID")
        value = "" if column is None else str(column[self.row(plateifu)]).strip()
        return value or plateifu

    def numbers(self, name: str, plateifus: Sequence[str]) -> npt.NDArray[np.float64]:
        """A numerical column for some galaxies.

        Returns
        -------
        ndarray of float64, shape (n,)
            NaN where absent, or where it holds the survey's -999 or -9999.

        Raises
        ------
        InputError
            If there is no such column, or it holds no numbers.
        """
        column = self.columns.get(name.upper())
        if column is None or column.dtype.kind != "f":
            kind = "no column" if column is None else "no numbers in column"
            names = [key for key, values in self.columns.items() if values.dtype.kind == "f"]
            raise InputError(self.path, f"{kind} {name}", f"one of {', '.join(names[:12])}")
        values = column[[self.row(plateifu) for plateifu in plateifus]].astype(np.float64)
        values[np.isin(values, (-999.0, -9999.0))] = np.nan
        return values


def read_catalog(path: Path, daptype: str = DEFAULT_DAPTYPE) -> Catalog:
    """Read a catalogue.

    Parameters
    ----------
    path : Path
        FITS (plain or gzip) or CSV.
    daptype : str, optional
        The extension of a dapall file that is read, where there is one of this name; else the
        first table.

    Returns
    -------
    Catalog

    Raises
    ------
    InputError
        If the file is missing or damaged, or has no column PLATEIFU.
    """
    is_csv = path.name.lower().endswith((".csv", ".csv.txt"))
    columns = _read_csv(path) if is_csv else _read_fits(path, daptype)
    if "PLATEIFU" not in columns or columns["PLATEIFU"].dtype.kind != "U":
        names = ", ".join(list(columns)[:12])
        raise InputError(path, f"columns {names}", "a column PLATEIFU")
    return Catalog(path, columns)


def _read_fits(path: Path, daptype: str) -> dict[str, npt.NDArray[Any]]:
    columns: dict[str, npt.NDArray[Any]] = {}
    with open_fits(path) as file:
        table = file.table(daptype if file.has(daptype) else None).read()
    for name in table.column_names:
        column = table[name]
        kind = str(column.type)
        if kind.startswith(("int", "uint", "float", "double", "halffloat")):
            values = column.to_numpy(zero_copy_only=False)
            columns[name.upper()] = np.asarray(values, dtype=np.float64)
        elif "string" in kind:
            text = ["" if value is None else str(value).strip() for value in column.to_pylist()]
            columns[name.upper()] = np.asarray(text, dtype=np.str_)
    return columns


def _read_csv(path: Path) -> dict[str, npt.NDArray[Any]]:
    try:
        if path.stat().st_size > _MAX_CSV_BYTES:
            raise InputError(path, "more than 1 GiB", "a catalogue")
        with path.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(path, f"cannot be read ({error})", "a CSV table") from error
    columns: dict[str, npt.NDArray[Any]] = {}
    for name in rows[0] if rows else ():
        if name is None:
            raise InputError(path, "a row with more fields than the header", "a CSV table")
        text = [(row[name] or "").strip() for row in rows]
        columns[name.strip().upper()] = _as_numbers(text)
    return columns


def _as_numbers(text: list[str]) -> npt.NDArray[Any]:
    try:
        return np.asarray([float(value) if value else math.nan for value in text])
    except ValueError:
        return np.asarray(text, dtype=np.str_)
