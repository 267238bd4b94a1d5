"""ZTF light curves derived again, in plain loops over the epochs of all objects near a source."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from splus_hypercube.checking.comparison import Between, Near, Row
from splus_hypercube.checking.neighbours import Candidate, Sample, near_pairs, pixels_near
from splus_hypercube.checking.tables import reading
from splus_hypercube.configuration import Ztf

__all__ = ["ztf_rows"]

# filterid of the ZTF public releases (ZTF Science Data System Explanatory Supplement, section 10).
_FILTERS = {"g": 1, "r": 2, "i": 3}
_VALUES = ("hmjd", "mag", "magerr")
_TOLERANCE_ARCSEC = 1e-6


def _partitions(root: Path, sample: Sample, radius_arcsec: float) -> list[Path]:
    """Files of the partitions that share a point with a circle around a source."""
    base = root / "dataset" if (root / "dataset").is_dir() else root
    orders: dict[int, set[int]] = {}
    found: list[Path] = []
    for path in sorted(base.glob("Norder=*/Dir=*/Npix=*")):
        match = re.search(r"Norder=(\d+)/Dir=\d+/Npix=(\d+)(\.parquet)?$", path.as_posix())
        if match is None:
            continue
        order, pixel = int(match[1]), int(match[2])
        if order not in orders:
            orders[order] = pixels_near(sample, radius_arcsec, order)
        if pixel in orders[order]:
            found.extend(sorted(path.glob("*.parquet")) if path.is_dir() else [path])
    return found


def _near_objects(section: Ztf, sample: Sample) -> list[list[Candidate]]:
    """The ZTF objects near each source, each with its row of the file as a dictionary."""
    limit = section.radius_arcsec + _TOLERANCE_ARCSEC
    candidates: list[list[Candidate]] = [[] for _ in range(len(sample))]
    for path in _partitions(section.directory, sample, limit):
        with reading(path):
            file = pq.ParquetFile(path)
            names = {name.lower(): name for name in file.schema_arrow.names}
            place = [names[f"obj{c}"] if f"obj{c}" in names else names[c] for c in ("ra", "dec")]
            columns = [names[name] for name in ("objectid", "filterid", *_VALUES)]
            columns.extend(names[name] for name in ("catflags",) if name in names)
            for group in range(file.metadata.num_row_groups):
                table = file.read_row_group(group, columns=place)
                ra, dec = (table[name].to_numpy().astype(np.float64) for name in place)
                source, row, separation = near_pairs(sample, ra, dec, limit)
                if not len(row):
                    continue
                objects = file.read_row_group(group, columns=columns).take(pa.array(row))
                cells = objects.rename_columns([name.lower() for name in columns]).to_pylist()
                for k, cell in enumerate(cells):
                    candidates[int(source[k])].append(Candidate(float(separation[k]), cell))
    return candidates


def _epochs(objects: Sequence[Mapping[str, Any]], bad_catflags: int) -> list[tuple[float, ...]]:
    """(hmjd, mag, magerr) of all good epochs of some objects, in order of time."""
    epochs = []
    for item in objects:
        lists = [item[name] or [] for name in _VALUES]
        flags = item.get("catflags") or [0] * len(lists[0])
        for *values, flag in zip(*lists, flags, strict=True):
            finite = all(value is not None and math.isfinite(value) for value in values)
            if finite and not (flag or 0) & bad_catflags:
                epochs.append(tuple(values))
    return sorted(epochs)


def ztf_rows(section: Ztf, sample: Sample, found: Sequence[Row]) -> list[list[Row]]:
    """What each source's ZTF columns may hold.

    Parameters
    ----------
    section : Ztf
        Of the configuration.
    sample : Sample
    found : sequence of mapping
        The rows of the hypercube: epochs of the same time may be in any order.

    Returns
    -------
    list of list of mapping
    """
    near = _near_objects(section, sample)
    return [
        _alternatives(section, candidates, row) for candidates, row in zip(near, found, strict=True)
    ]


def _alternatives(section: Ztf, candidates: list[Candidate], found: Row) -> list[Row]:
    candidates = sorted(candidates, key=lambda item: item.separation_arcsec)
    if not candidates:
        return [{"ztf_n_candidates": Between(0, 0)}]
    rows = [_merged(section, candidates, first, found) for first in candidates]
    nearest = candidates[0].separation_arcsec + 2.0 * _TOLERANCE_ARCSEC
    rows = [
        row
        for row, first in zip(rows, candidates, strict=True)
        if first.separation_arcsec <= nearest
    ]
    inner = section.radius_arcsec - _TOLERANCE_ARCSEC
    if candidates[-1].separation_arcsec > inner:
        # With an object right at the radius, the row is right with it and without it.
        sure = [item for item in candidates if item.separation_arcsec <= inner]
        rows.extend(_alternatives(section, sure, found))
    return rows


def _merged(section: Ztf, candidates: list[Candidate], first: Candidate, found: Row) -> Row:
    """The columns of a source if a given one of its objects is the nearest."""
    ordered = [first, *(item for item in candidates if item is not first)]
    objects = [item.key for item in ordered]
    identifiers = [int(item["objectid"]) for item in objects]
    row: dict[str, Any] = {
        "ztf_objectid": identifiers[0],
        "ztf_objectids": _in_order_of(found.get("ztf_objectids"), identifiers),
        "ztf_separation_arcsec": Near(first.separation_arcsec, _TOLERANCE_ARCSEC),
        "ztf_n_candidates": Between(len(objects), len(objects)),
    }
    for band, number in _FILTERS.items():
        epochs = _epochs([i for i in objects if i["filterid"] == number], section.bad_catflags)
        epochs = _in_order_of_times(epochs, [found.get(f"ztf_{name}_{band}") for name in _VALUES])
        for place, name in enumerate(_VALUES):
            row[f"ztf_{name}_{band}"] = np.array([epoch[place] for epoch in epochs], np.float64)
        row[f"ztf_nepochs_{band}"] = len(epochs)
    return row


def _in_order_of(found: Any, identifiers: list[int]) -> list[int]:
    """The identifiers as the file has them, if it has the same nearest and the same others."""
    if not isinstance(found, list) or found[:1] != identifiers[:1]:
        return identifiers
    return found if sorted(found) == sorted(identifiers) else identifiers


def _in_order_of_times(
    epochs: list[tuple[float, ...]], found: Sequence[NDArray[Any] | None]
) -> list[tuple[float, ...]]:
    """Epochs of equal time in the order of the file, where it has the same."""
    if any(values is None or len(values) != len(epochs) for values in found):
        return epochs
    times = [values.tolist() for values in found if values is not None]
    in_file = list(zip(*times, strict=True))
    ordered = all(a[0] <= b[0] for a, b in pairwise(in_file))
    return in_file if ordered and sorted(in_file) == epochs else epochs
