"""Light curves from SNANA: pairs of HEAD and PHOT files, in FITS or CSV.

A HEAD file has one row per supernova, its PHOT file one row per observation. In FITS the columns
``PTROBS_MIN`` and ``PTROBS_MAX`` count the rows of PHOT from 1, and a row with ``MJD = -777`` ends
each light curve (SNANA manual, section on FITS files).
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from astro_common.errors import ConfigurationError, InputError
from astro_common.fits import FitsFile, FitsTable, open_fits
from scone_io.labels import SN_IA_TYPES, binary_label
from scone_io.light_curves import LightCurve

__all__ = ["HeadFile", "open_head", "phot_path", "read_light_curves"]

logger = logging.getLogger(__name__)

SEPARATOR_MJD = -777.0
DEFAULT_ZERO_POINT_MAG = 27.5

_CHUNK_EVENTS = 256
_SIM_TYPES = ("SIM_GENTYPE", "SIM_TYPE_INDEX")
_OPTIONAL = ("PEAKMJD", "REDSHIFT_FINAL", "REDSHIFT_FINAL_ERR", "MWEBV", "SNTYPE", *_SIM_TYPES)
_POINTERS = ("PTROBS_MIN", "PTROBS_MAX")


def phot_path(head: Path) -> Path:
    """The PHOT file of a HEAD file.

    Raises
    ------
    ConfigurationError
        If the name holds no HEAD.
    """
    for old, new in (("HEAD", "PHOT"), ("head", "phot")):
        before, found, after = head.name.rpartition(old)
        if found:
            return head.with_name(before + new + after)
    raise ConfigurationError(
        str(head), "a name without HEAD", "a file *HEAD.FITS, beside *PHOT.FITS"
    )


@dataclass(frozen=True)
class HeadFile:
    """What a HEAD file says of the survey.

    Attributes
    ----------
    path : Path
    survey : str
        Empty if not given.
    zero_point_mag : float
        Magnitude of FLUXCAL = 1.
    num_events : int
    simulated : bool
        Whether it holds the true types.
    synthetic : bool
        Whether `scone_io.mock` has written it.
    """

    path: Path
    survey: str
    zero_point_mag: float
    num_events: int
    simulated: bool
    synthetic: bool


def open_head(path: Path) -> HeadFile:
    """Read what a HEAD file says of the survey.

    Parameters
    ----------
    path : Path

    Raises
    ------
    InputError
        If it cannot be read.
    """
    with open_fits(path) as file:
        table = file.table()
        header = file.header(0)
        zero_point = header.get("ZP_FLUXCAL", DEFAULT_ZERO_POINT_MAG)
        if not isinstance(zero_point, (int, float)):
            raise InputError(path, f"ZP_FLUXCAL = {zero_point!r}", "a magnitude")
        return HeadFile(
            path=path,
            survey=str(header.get("SURVEY", "")).strip(),
            zero_point_mag=float(zero_point),
            num_events=table.num_rows,
            simulated=any(name in table.column_names for name in _SIM_TYPES),
            synthetic=bool(header.get("SYNTHET", False)),
        )


def read_light_curves(
    head: HeadFile, *, first_row: int = 0, sn_ia_types: frozenset[int] | None = None
) -> Iterator[LightCurve | InputError]:
    """Read the light curves of a pair of FITS files, in the order of HEAD.

    Parameters
    ----------
    head : HeadFile
    first_row : int
        Number of events before the first one, which are counted on.
    sn_ia_types : frozenset of int, optional
        Type codes that get the label 1. By default those of SCONE, for simulated events alone.

    Yields
    ------
    LightCurve or InputError
        The error of an event whose observations cannot be told.

    Raises
    ------
    InputError
        If a file is missing or damaged, or lacks a column.
    """
    phot = phot_path(head.path)
    with open_fits(head.path) as head_file, open_fits(phot) as phot_file:
        events = _read_head(head_file, with_sntype=sn_ia_types is not None)
        table = phot_file.table()
        names = _phot_columns(phot_file, table)
        segments = _segments(head.path, events, table)
        for begin in range(0, len(segments.starts), _CHUNK_EVENTS):
            rows = range(begin, min(begin + _CHUNK_EVENTS, len(segments.starts)))
            for row, part in _chunk(phot, table, names, events, rows, segments):
                if isinstance(part, InputError):
                    yield part
                else:
                    yield _light_curve(events, row, first_row + row, part, sn_ia_types)


def _read_head(file: FitsFile, *, with_sntype: bool) -> dict[str, list[Any]]:
    table = file.table()
    if "SNID" not in table.column_names:
        raise InputError(file.path, "no column SNID", "a HEAD file of SNANA")
    wanted = ("SNID", *_OPTIONAL, *_POINTERS)
    # Without types to look for, SNTYPE is not used; real data often have words there.
    unused = () if with_sntype else ("SNTYPE",)
    names = [name for name in wanted if name in table.column_names and name not in unused]
    for name in names[1:]:
        _require_numbers(file, table, name)
    found = table.read(columns=names)
    return {name: found[name].to_pylist() for name in names}


def _require_numbers(file: FitsFile, table: FitsTable, name: str) -> None:
    kind = table.schema.field(name).type
    if not (pa.types.is_integer(kind) or pa.types.is_floating(kind)):
        raise InputError(file.path, f"column {name} holds {kind}", "numbers")


def _phot_columns(file: FitsFile, table: FitsTable) -> dict[str, str]:
    """Names of the columns of a PHOT file: the band is called BAND or, before 2021, FLT."""
    names = {"MJD": "MJD", "FLUXCAL": "FLUXCAL", "FLUXCALERR": "FLUXCALERR"}
    names["BAND"] = "BAND" if "BAND" in table.column_names else "FLT"
    for name in names.values():
        if name not in table.column_names:
            raise InputError(file.path, f"no column {name}", "a PHOT file of SNANA")
    for name in ("MJD", "FLUXCAL", "FLUXCALERR"):
        _require_numbers(file, table, name)
    kind = table.schema.field(names["BAND"]).type
    if not pa.types.is_string(kind) and not pa.types.is_large_string(kind):
        raise InputError(file.path, f"column {names['BAND']} holds {kind}", "names of filters")
    return names


@dataclass(frozen=True)
class _Segments:
    """First row of each light curve, the row after its last, and whether that can be."""

    starts: npt.NDArray[np.int64]
    stops: npt.NDArray[np.int64]
    sound: npt.NDArray[np.bool_]


def _segments(path: Path, events: Mapping[str, list[Any]], table: FitsTable) -> _Segments:
    """Find the rows of each light curve by the pointers in HEAD and the separators in PHOT.

    A file that was cut out of a larger one keeps the pointers of the old one. Then the separators
    decide, if there are as many light curves between them as events.
    """
    count = len(events["SNID"])
    mjd = _numbers(table.read(columns=["MJD"])["MJD"])
    ends = np.flatnonzero(mjd == SEPARATOR_MJD).astype(np.int64)
    starts = np.concatenate([[0], ends + 1]).astype(np.int64)
    stops = np.concatenate([ends, [len(mjd)]]).astype(np.int64)
    if starts[-1] == len(mjd):
        starts, stops = starts[:-1], stops[:-1]
    by_mark = _Segments(starts, stops, np.ones(len(starts), dtype=bool))
    if all(name in events for name in _POINTERS):
        first, last = (_pointers(path, name, events[name]) for name in _POINTERS)
        first -= 1
        place = np.searchsorted(starts, first)
        place[place == len(starts)] = 0
        agree = (starts[place] == first) & (stops[place] == last) if len(starts) else first < first
        if agree.all() or len(starts) != count:
            return _Segments(first, last, agree)
        logger.warning(
            "%s: PTROBS_MIN and PTROBS_MAX do not agree with the ends of light curves (MJD -777) "
            "in PHOT for %d of %d events; taking the ends",
            path,
            count - int(agree.sum()),
            count,
        )
    if len(starts) != count:
        raise InputError(path, f"{count} events and {len(starts)} light curves", "as many of each")
    return by_mark


def _pointers(path: Path, name: str, values: list[Any]) -> npt.NDArray[np.int64]:
    for row, value in enumerate(values, start=1):
        if value is None or not np.isfinite(value):
            raise InputError(path, f"column {name} has no value in row {row}", "a row of PHOT")
    return np.array(values, dtype=np.int64)


def _chunk(
    phot: Path,
    table: FitsTable,
    names: Mapping[str, str],
    events: Mapping[str, list[Any]],
    rows: range,
    segments: _Segments,
) -> Iterator[tuple[int, dict[str, npt.NDArray[Any]] | InputError]]:
    """Yield the observations of some events, read together."""
    chosen = slice(rows.start, rows.stop)
    starts, stops = segments.starts[chosen], segments.stops[chosen]
    sound = segments.sound[chosen]
    low = int(starts[sound].min()) if sound.any() else 0
    high = int(stops[sound].max()) if sound.any() else 0
    # Light curves lie one after the other; a file that claims otherwise is read event by event.
    together = high - low <= 4 * int((stops - starts)[sound].sum()) + 1024
    block = _observations(table, names, low, high) if together else None
    for row, start, stop, fine in zip(
        rows, starts.tolist(), stops.tolist(), sound.tolist(), strict=True
    ):
        if not fine:
            snid = str(events["SNID"][row]).strip()
            yield (
                row,
                InputError(
                    phot,
                    f"SNID {snid}: rows {start + 1} to {stop} are not one light curve",
                    "PTROBS_MIN and PTROBS_MAX that agree with the rows MJD = -777",
                ),
            )
        elif block is None:
            yield row, _observations(table, names, start, stop)
        else:
            yield row, {name: values[start - low : stop - low] for name, values in block.items()}


def _observations(
    table: FitsTable, names: Mapping[str, str], start: int, stop: int
) -> dict[str, npt.NDArray[Any]]:
    part = table.read(columns=list(names.values()), rows=slice(start, stop))
    # SCONE takes the last letter of a filter's name: LSST-z is z.
    bands = [(name or "").strip()[-1:] for name in part[names["BAND"]].to_pylist()]
    return {
        "MJD": _numbers(part["MJD"]),
        "FLUXCAL": _numbers(part["FLUXCAL"]),
        "FLUXCALERR": _numbers(part["FLUXCALERR"]),
        "BAND": np.array(bands, dtype=np.str_),
    }


def _numbers(column: pa.ChunkedArray) -> npt.NDArray[np.float64]:
    values: npt.NDArray[np.float64] = column.cast(pa.float64()).to_numpy(zero_copy_only=False)
    return values


def _light_curve(
    events: Mapping[str, list[Any]],
    row: int,
    number: int,
    part: Mapping[str, npt.NDArray[Any]],
    sn_ia_types: frozenset[int] | None,
) -> LightCurve:
    def value(name: str) -> float | None:
        found = events[name][row] if name in events else None
        return None if found is None or not np.isfinite(found) else float(found)

    peak, mwebv = value("PEAKMJD"), value("MWEBV")
    return LightCurve(
        snid=str(events["SNID"][row]).strip(),
        row=number,
        mjd=part["MJD"],
        band=part["BAND"],
        flux=part["FLUXCAL"],
        flux_err=part["FLUXCALERR"],
        label=_label(events, row, sn_ia_types),
        z=value("REDSHIFT_FINAL"),
        z_err=value("REDSHIFT_FINAL_ERR"),
        peak_mjd=peak if peak is not None and peak > 0.0 else None,
        mwebv=mwebv if mwebv is not None and mwebv >= 0.0 else None,
    )


def _label(events: Mapping[str, list[Any]], row: int, types: frozenset[int] | None) -> int:
    for name in (*_SIM_TYPES, "SNTYPE"):
        code = events[name][row] if name in events else None
        if code is not None and np.isfinite(code):
            return binary_label(int(code), types or SN_IA_TYPES)
    return 0
