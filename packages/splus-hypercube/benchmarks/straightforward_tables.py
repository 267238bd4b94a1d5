"""Survey files as data frames, for straightforward.py."""

from __future__ import annotations

import re
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.table import Table


def to_frame(table: Table) -> pd.DataFrame:
    """An astropy table as a frame of Python objects: identifiers and missing values stay exact."""
    columns: dict[str, list[Any]] = {}
    for name in table.colnames:
        column = table[name]
        values = list(column)
        if column.dtype.kind == "S":
            values = [None if v is np.ma.masked else str(v).rstrip() for v in values]
        elif column.ndim > 1:
            values = [np.ravel(v).astype(v.dtype.newbyteorder("=")) for v in values]
        columns[name] = [None if v is np.ma.masked else v for v in values]
    return pd.DataFrame(columns, dtype=object)


def read_fits(path: Path, hdu: int | str = 1) -> pd.DataFrame:
    """A FITS table as a frame."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", u.UnitsWarning)
        return to_frame(Table.read(path, hdu=hdu, mask_invalid=False))


def read_gaia(path: Path) -> pd.DataFrame:
    """A file of the Gaia archive as a frame."""
    return to_frame(Table.read(path, format="ascii.ecsv", fill_values=[("null", "0")]))


def read_parquet(path: Path) -> pd.DataFrame:
    """A Parquet file as a frame of Python objects."""
    return pd.read_parquet(path, dtype_backend="pyarrow", partitioning=None).astype(object)


def floats(frame: pd.DataFrame, name: str) -> np.ndarray:
    """A column as numbers, NaN for missing."""
    return pd.to_numeric(frame[name], errors="coerce").to_numpy(np.float64, na_value=np.nan)


def position(frame: pd.DataFrame, ra: str, dec: str) -> SkyCoord:
    return SkyCoord(floats(frame, ra) * u.deg, floats(frame, dec) * u.deg)


def archive_files(folder: Path, stem: str, pixels: set[int]) -> list[Path]:
    """Files of the Gaia archive that hold any of some pixels."""
    found = []
    for path in sorted(folder.glob(f"{stem}_*.csv.gz")):
        first, last = (int(number) for number in re.findall(r"_(\d+)-(\d+)\.", path.name)[0])
        if any(first <= pixel <= last for pixel in pixels):
            found.append(path)
    return found
