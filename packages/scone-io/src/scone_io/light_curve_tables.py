"""Light curves from pairs of CSV tables: one of supernovae, one of observations.

Two sets of names are understood: those of SNANA (``SNID``, ``MJD``, ``FLT``, ``FLUXCAL``), and
those that SCONE and PLAsTiCC use (``object_id``, ``mjd``, ``passband`` from 0 for u, ``flux``).
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from pyarrow import csv

from astro_common.errors import ConfigurationError, InputError
from scone_io.labels import SN_IA_TYPES, binary_label
from scone_io.light_curves import LightCurve

__all__ = ["is_csv", "observations_path", "read_csv_light_curves"]

logger = logging.getLogger(__name__)

_PAIRS = (
    ("HEAD", "PHOT"),
    ("head", "phot"),
    ("metadata", "observations"),
    ("metadata", "lightcurves"),
)
_PASSBANDS = "ugrizY"

# What each value may be called, in the order of preference.
_EVENT_NAMES: Mapping[str, tuple[str, ...]] = {
    "snid": ("SNID", "object_id"),
    "peak_mjd": ("PEAKMJD", "true_peakmjd"),
    "mwebv": ("MWEBV", "mwebv"),
    "z": ("REDSHIFT_FINAL", "true_z", "HOSTGAL_SPECZ"),
    "z_err": ("REDSHIFT_FINAL_ERR", "true_z_err", "HOSTGAL_SPECZ_ERR"),
    "type": ("SIM_GENTYPE", "SIM_TYPE_INDEX", "true_target", "SNTYPE"),
}
_OBSERVATION_NAMES: Mapping[str, tuple[str, ...]] = {
    "snid": ("SNID", "object_id"),
    "mjd": ("MJD", "mjd"),
    "band": ("BAND", "FLT", "passband"),
    "flux": ("FLUXCAL", "flux"),
    "flux_err": ("FLUXCALERR", "flux_err"),
}


def is_csv(path: Path) -> bool:
    """Whether a file's name says that it is a CSV table."""
    return path.name.endswith((".csv", ".csv.gz"))


def observations_path(events: Path) -> Path:
    """The table of observations that belongs to a table of supernovae.

    Raises
    ------
    ConfigurationError
        If none is beside it.
    """
    tried = []
    for old, new in _PAIRS:
        if old in events.name:
            path = events.with_name(events.name.replace(old, new))
            if path.exists():
                return path
            tried.append(path.name)
    found = f"no {' or '.join(tried)} beside it" if tried else "a name without HEAD or metadata"
    raise ConfigurationError(str(events), found, "a pair *HEAD.csv and *PHOT.csv")


def read_csv_light_curves(
    path: Path, *, first_row: int = 0, sn_ia_types: frozenset[int] | None = None
) -> Iterator[LightCurve | InputError]:
    """Read the light curves of a pair of CSV tables, in the order of the supernovae.

    Parameters
    ----------
    path : Path
        The table of supernovae; plain or ``.gz``.
    first_row : int
        Number of events before the first one, which are counted on.
    sn_ia_types : frozenset of int, optional
        Type codes that get the label 1; by default those of SCONE.

    Yields
    ------
    LightCurve or InputError

    Raises
    ------
    InputError
        If a table is missing or damaged, or lacks a column.
    """
    events = _without_words(path, _table(path, _EVENT_NAMES, needed=("snid",)))
    observed_path = observations_path(path)
    observed = _table(observed_path, _OBSERVATION_NAMES, needed=tuple(_OBSERVATION_NAMES))
    numbers = {
        name: _floats(observed_path, name, observed[name]) for name in ("mjd", "flux", "flux_err")
    }
    bands = np.array([_band(value) for value in observed["band"].to_pylist()], dtype=np.str_)
    owners = np.array([_name(value) for value in observed["snid"].to_pylist()], dtype=np.str_)
    order = np.argsort(owners, kind="stable")
    sorted_owners = owners[order]
    optional = {
        name: _floats(path, name, events[name])
        for name in ("peak_mjd", "mwebv", "z", "z_err", "type")
        if name in events.column_names
    }
    for row, value in enumerate(events["snid"].to_pylist()):
        snid = _name(value)
        low, high = (np.searchsorted(sorted_owners, snid, side=side) for side in ("left", "right"))
        chosen = order[low:high]
        known = {
            name: float(values[row]) if np.isfinite(values[row]) else None
            for name, values in optional.items()
        }
        kind = known.get("type")
        peak, mwebv = known.get("peak_mjd"), known.get("mwebv")
        yield LightCurve(
            snid=snid,
            row=first_row + row,
            mjd=numbers["mjd"][chosen],
            band=bands[chosen],
            flux=numbers["flux"][chosen],
            flux_err=numbers["flux_err"][chosen],
            label=0 if kind is None else binary_label(int(kind), sn_ia_types or SN_IA_TYPES),
            z=known.get("z"),
            z_err=known.get("z_err"),
            peak_mjd=peak if peak is not None and peak > 0.0 else None,
            mwebv=mwebv if mwebv is not None and mwebv >= 0.0 else None,
        )


def _table(path: Path, names: Mapping[str, tuple[str, ...]], needed: tuple[str, ...]) -> pa.Table:
    try:
        table = csv.read_csv(path)
    except FileNotFoundError as error:
        raise InputError(path, "no such file", "a CSV table") from error
    except (pa.ArrowException, OSError, EOFError) as error:
        raise InputError(path, f"cannot be read as CSV ({error})", "a CSV table") from error
    columns: dict[str, Any] = {}
    for name, spellings in names.items():
        found = next((item for item in spellings if item in table.column_names), None)
        if found is not None:
            columns[name] = table[found]
        elif name in needed:
            raise InputError(path, f"no column {' or '.join(spellings)}", "a table of light curves")
    return pa.table(columns)


def _without_words(path: Path, events: pa.Table) -> pa.Table:
    """Leave types in words out: which words mean SN Ia is not known."""
    if "type" not in events.column_names or not pa.types.is_string(events["type"].type):
        return events
    logger.warning(
        "%s: SNTYPE or another column of types holds words: every label is 0, which means unknown",
        path,
    )
    return events.drop_columns(["type"])


def _floats(path: Path, name: str, column: pa.ChunkedArray) -> Any:
    try:
        return column.cast(pa.float64()).to_numpy(zero_copy_only=False)
    except pa.ArrowException as error:
        raise InputError(path, f"column {name} holds {column.type} ({error})", "numbers") from error


def _band(value: Any) -> str:
    if isinstance(value, int):
        return _PASSBANDS[value] if 0 <= value < len(_PASSBANDS) else "?"
    return str(value).strip()[-1:] or "?"


def _name(value: Any) -> str:
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value).strip()
