"""ZTF light curves from a HATS or HiPSCat tree: all objects within the radius, merged by band."""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from astro_common.errors import InputError
from astro_common.parquet import described, parquet_errors
from splus_hypercube.catalogues import find_column, float_column
from splus_hypercube.fields import Field
from splus_hypercube.spill import Spill
from splus_hypercube.surveys.base import Survey, SurveyMatches, Target
from splus_hypercube.surveys.columns import match_fields
from splus_hypercube.surveys.nearest import Candidates

__all__ = ["ZTF_FILTERS", "ZtfSurvey"]

Float = NDArray[np.float64]
Int = NDArray[np.int64]

ZTF_FILTERS = {"g": 1, "r": 2, "i": 3}
"""``filterid`` of each band (ZTF Science Data System Explanatory Supplement, section 10)."""
_VALUES = ("mag", "magerr", "hmjd")
_DESCRIPTIONS = {
    "mag": ("mag", "phot.mag;em.opt", "Magnitude (AB)"),
    "magerr": ("mag", "stat.error;phot.mag", "Error of the magnitude"),
    "hmjd": ("d", "time.epoch", "Heliocentric modified Julian date"),
}


def _list_partitions(root: Path) -> dict[tuple[int, int], tuple[Path, ...]]:
    """Files of each (order, pixel) partition of the tree."""
    base = root / "dataset" if (root / "dataset").is_dir() else root
    if not base.is_dir():
        raise InputError(root, "no such folder", "a HATS tree with Norder=k folders")
    found: dict[tuple[int, int], tuple[Path, ...]] = {}
    for path in sorted(base.glob("Norder=*/Dir=*/Npix=*")):
        name = path.relative_to(base).as_posix()
        match = re.fullmatch(r"Norder=(\d+)/Dir=\d+/Npix=(\d+)(\.parquet)?", name)
        if match is None:
            continue
        # HATS may also make a partition a folder of files.
        files = tuple(sorted(path.glob("*.parquet"))) if path.is_dir() else (path,)
        found[int(match[1]), int(match[2])] = files
    # What the catalogue lists and the disk lacks must fail the fields that need it.
    listed = root / "partition_info.csv"
    if listed.exists():
        for order, pixel in _listed_partitions(listed):
            name = f"Norder={order}/Dir={pixel // 10000 * 10000}/Npix={pixel}.parquet"
            found.setdefault((order, pixel), (base / name,))
    if not found:
        raise InputError(root, "no partition", "Norder=<k>/Dir=<d>/Npix=<pixel>.parquet below it")
    return found


def _listed_partitions(path: Path) -> list[tuple[int, int]]:
    try:
        with path.open(newline="", encoding="utf-8") as file:
            return [(int(row["Norder"]), int(row["Npix"])) for row in csv.DictReader(file)]
    except (OSError, KeyError, TypeError, ValueError, csv.Error) as error:
        raise InputError(
            path, f"cannot be read ({error!r})", "CSV with the columns Norder and Npix"
        ) from error


class ZtfSurvey(Survey):
    """ZTF light curves.

    Parameters
    ----------
    directory : Path
        Root of the tree.
    radius_arcsec : float
    bad_catflags : int
        Epochs with any of these bits are dropped.
    """

    name = "ztf"

    def __init__(self, directory: Path, radius_arcsec: float, bad_catflags: int) -> None:
        self.directory = directory
        self.radius_arcsec = radius_arcsec
        self.bad_catflags = bad_catflags

    @cached_property
    def _partitions(self) -> dict[tuple[int, int], tuple[Path, ...]]:
        return _list_partitions(self.directory)

    def schema(self, fields: Sequence[Field]) -> pa.Schema:
        """See `Survey.schema`; the number types are those of the first readable partition."""
        types = self._value_types()
        columns = []
        for band in ZTF_FILTERS:
            for value in _VALUES:
                unit, ucd, text = _DESCRIPTIONS[value]
                columns.append(
                    described(
                        f"ztf_{value}_{band}",
                        pa.list_(types[value]),
                        unit=unit,
                        ucd=ucd,
                        description=f"{text}, ZTF {band}, all epochs in order of time",
                        survey=self.name,
                        modality="light_curve",
                    )
                )
            columns.append(
                described(
                    f"ztf_nepochs_{band}",
                    pa.int32(),
                    ucd="meta.number",
                    description=f"Number of epochs in ZTF {band}",
                    survey=self.name,
                    modality="auxiliary",
                )
            )
        for name, kind, text in (
            ("ztf_objectid", pa.int64(), "Identifier of the nearest ZTF object"),
            ("ztf_objectids", pa.list_(pa.int64()), "All ZTF objects merged, nearest first"),
        ):
            columns.append(
                described(
                    name, kind, ucd="meta.id", description=text, survey=self.name, modality="id"
                )
            )
        return pa.schema([*columns, *match_fields(self.name)])

    def _value_types(self) -> dict[str, pa.DataType]:
        error: InputError | None = None
        for files in self._partitions.values():
            for path in files:
                try:
                    with _open(path) as file:
                        own = file.schema_arrow
                    names = {value: find_column(own, [value], path) for value in _VALUES}
                    kinds = {value: own.field(name).type for value, name in names.items()}
                    for value, kind in kinds.items():
                        if not hasattr(kind, "value_type"):
                            raise InputError(path, f"{value} of type {kind}", "a list of numbers")
                except InputError as problem:
                    error = error or problem
                    continue
                return {value: kind.value_type for value, kind in kinds.items()}
        raise error or InputError(self.directory, "no file", "ZTF partitions")

    def inputs(self, target: Target) -> list[Path]:
        """See `Survey.inputs`."""
        needed = target.region.overlapping(sorted(self._partitions))
        return [path for partition in needed for path in self._partitions[partition]]

    def match(
        self, target: Target, schema: pa.Schema, earlier: Mapping[str, SurveyMatches]
    ) -> SurveyMatches:
        """See `Survey.match`."""
        matches = _ZtfMatches(target, self.radius_arcsec, self.bad_catflags, schema)
        for path in self.inputs(target):
            with _open(path) as file:
                for group in range(file.metadata.num_row_groups):
                    self._add_group(file, group, path, target, matches)
        return matches.finish()

    def _add_group(
        self, file: pq.ParquetFile, group: int, path: Path, target: Target, matches: _ZtfMatches
    ) -> None:
        own = file.schema_arrow
        ra_name = find_column(own, ["objra", "ra"], path)
        dec_name = find_column(own, ["objdec", "dec"], path)
        positions = _read(file, group, [ra_name, dec_name], path)
        ra, dec = float_column(positions, ra_name, path), float_column(positions, dec_name, path)
        near = np.flatnonzero(target.region.contains(ra, dec))
        source, row, separation = matches.candidates.find(ra[near], dec[near])
        if not len(source):
            return
        wanted = ["objectid", "filterid", *_VALUES]
        if "catflags" in (name.lower() for name in own.names):
            wanted.append("catflags")
        names = {name: find_column(own, [name], path) for name in wanted}
        table = _read(file, group, list(names.values()), path).take(pa.array(near[row]))
        matches.add(source, separation, table.rename_columns(list(names)), path)


def _open(path: Path) -> pq.ParquetFile:
    with parquet_errors(path):
        # Not as a data set: the Norder in the path would clash with a column of that name.
        return pq.ParquetFile(path)


def _read(file: pq.ParquetFile, group: int, columns: list[str], path: Path) -> pa.Table:
    with parquet_errors(path):
        return file.read_row_group(group, columns=columns)


class _ZtfMatches(SurveyMatches):
    """ZTF objects near each source, kept on disk, merged when they are asked for."""

    def __init__(
        self, target: Target, radius_arcsec: float, bad_catflags: int, schema: pa.Schema
    ) -> None:
        self.candidates = Candidates(target, radius_arcsec)
        self.statistics = {}
        self._bad_catflags = bad_catflags
        self._schema = schema
        self._spill = Spill(target.scratch, target.bucket_rows)
        self._bucket_rows = target.bucket_rows

    def add(self, source: Int, separation: Float, objects: pa.Table, path: Path) -> None:
        """Keep objects for their sources.

        Parameters
        ----------
        source : ndarray of int64, shape (n,)
        separation : ndarray of float64, shape (n,)
            Arcseconds.
        objects : pyarrow.Table
            n rows with ``objectid, filterid, mag, magerr, hmjd`` and perhaps ``catflags``.
        """
        lists: dict[str, pa.Array] = {}
        for name in (*_VALUES, "catflags"):
            if name in objects.column_names:
                kind = self._list_type(name)
                try:
                    lists[name] = objects[name].combine_chunks().cast(kind)
                except pa.ArrowException as error:
                    raise InputError(path, f"column {name} ({error})", f"{kind}") from error
        if "catflags" not in lists:
            mag = lists["mag"]
            lists["catflags"] = pa.ListArray.from_arrays(
                mag.offsets, pa.array(np.zeros(len(mag.values), np.int64)), mask=mag.is_null()
            )
        self._check_aligned(lists, objects, path)
        try:
            table = pa.table(
                {
                    "source": source,
                    "separation": separation,
                    "objectid": objects["objectid"].cast(pa.int64()),
                    "filterid": objects["filterid"].cast(pa.int64()),
                    **lists,
                }
            )
        except pa.ArrowException as error:
            raise InputError(path, f"objectid or filterid ({error})", "integers") from error
        if table["objectid"].null_count or table["filterid"].null_count:
            raise InputError(path, "a null objectid or filterid", "one in every row")
        self._spill.append(source, table)

    def _list_type(self, name: str) -> pa.DataType:
        if name == "catflags":
            return pa.list_(pa.int64())
        return pa.list_(self._schema.field(f"ztf_{name}_g").type.value_type)

    @staticmethod
    def _check_aligned(lists: Mapping[str, pa.Array], objects: pa.Table, path: Path) -> None:
        lengths = {name: _lengths(values) for name, values in lists.items()}
        for name, length in lengths.items():
            wrong = np.flatnonzero(length != lengths["hmjd"])
            if len(wrong):
                row = int(wrong[0])
                raise InputError(
                    path,
                    f"object {objects['objectid'][row]} has {length[row]} values of {name} "
                    f"and {lengths['hmjd'][row]} of hmjd",
                    "as many of each",
                )

    def finish(self) -> _ZtfMatches:
        """Estimate the false matches once all objects are in."""
        self.statistics = {**self.candidates.statistics(), "bad_catflags": self._bad_catflags}
        return self

    def rows(self, start: int, stop: int) -> pa.Table:
        """See `SurveyMatches.rows`."""
        count = stop - start
        objects = self._spill.read(start // self._bucket_rows)
        if objects is None:
            objects = self._no_objects()
        source = objects["source"].to_numpy() - start
        separation = objects["separation"].to_numpy()
        identifier = objects["objectid"].to_numpy()
        inside = (source >= 0) & (source < count)
        order = np.lexsort((identifier, separation, source))
        order = order[inside[order]]
        source, separation, identifier = source[order], separation[order], identifier[order]
        objects = objects.take(pa.array(order))

        counts = np.bincount(source, minlength=count)
        matched = counts > 0
        first = np.concatenate([[0], np.cumsum(counts)])
        nearest = pa.array(np.where(matched, first[:-1], 0), mask=~matched)
        columns: dict[str, pa.Array] = {
            "ztf_objectid": pa.array(identifier).take(nearest),
            "ztf_objectids": _lists(pa.array(identifier), counts, matched),
            "ztf_separation_arcsec": pa.array(separation).take(nearest),
            "ztf_n_candidates": pa.array(self.candidates.count[start:stop]),
        }
        filterid = objects["filterid"].to_numpy()
        for band, number in ZTF_FILTERS.items():
            chosen = np.flatnonzero(filterid == number)
            curves = self._curves(objects.take(pa.array(chosen)), source[chosen], count)
            for name, values in zip(_VALUES, curves[:3], strict=True):
                columns[f"ztf_{name}_{band}"] = _lists(values, curves[3], matched)
            columns[f"ztf_nepochs_{band}"] = pa.array(curves[3].astype(np.int32), mask=~matched)
        return pa.Table.from_arrays(
            [columns[name] for name in self._schema.names], schema=self._schema
        )

    def _curves(
        self, objects: pa.Table, source: Int, count: int
    ) -> tuple[pa.Array, pa.Array, pa.Array, Int]:
        """Merge the epochs of one band: values in order of source and time, epochs per source."""
        lengths = _lengths(objects["hmjd"].combine_chunks())
        owner = np.repeat(source, lengths)
        values = {name: objects[name].combine_chunks().flatten() for name in _VALUES}
        flags = objects["catflags"].combine_chunks().flatten().fill_null(0).to_numpy()
        good = (flags & self._bad_catflags) == 0
        for array in values.values():
            good &= np.isfinite(array.cast(pa.float64()).fill_null(np.nan).to_numpy())
        kept = np.flatnonzero(good)
        time = values["hmjd"].cast(pa.float64()).fill_null(np.nan).to_numpy()[kept]
        kept = kept[np.lexsort((time, owner[kept]))]
        taken = [values[name].take(pa.array(kept)) for name in _VALUES]
        return taken[0], taken[1], taken[2], np.bincount(owner[kept], minlength=count)

    def _no_objects(self) -> pa.Table:
        columns: dict[str, Any] = {
            "source": pa.array([], pa.int64()),
            "separation": pa.array([], pa.float64()),
            "objectid": pa.array([], pa.int64()),
            "filterid": pa.array([], pa.int64()),
        }
        for name in (*_VALUES, "catflags"):
            columns[name] = pa.array([], self._list_type(name))
        return pa.table(columns)


def _lengths(lists: pa.Array) -> Int:
    """Length of each list, 0 for null (ndarray of int64)."""
    return np.asarray(pc.list_value_length(lists).fill_null(0), dtype=np.int64)


def _lists(values: pa.Array, counts: Int, valid: NDArray[np.bool_]) -> pa.Array:
    """Cut values into one list per source; null where not valid."""
    offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int32)
    return pa.ListArray.from_arrays(pa.array(offsets), values, mask=pa.array(~valid))
