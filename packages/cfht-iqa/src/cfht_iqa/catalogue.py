"""All sources of all CCDs of all exposures in one Parquet file."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from astro_common.errors import ConfigurationError, InputError
from astro_common.jobs import Failure, FailureFile
from astro_common.parquet import ParquetWriter, described
from astro_common.provenance import provenance
from cfht_iqa.ldac import SourceTable, catalogue_name, read_tables
from cfht_iqa.ldac.nights import night_of

__all__ = ["SCHEMA", "SCHEMA_VERSION", "build_catalogue"]

logger = logging.getLogger(__name__)

SCHEMA_VERSION: Final = "1.0"

SCHEMA: Final = pa.schema(
    [
        described("exposure", pa.string(), description="Name of the exposure", nullable=False),
        described("ccd", pa.string(), description="EXTNAME of the CCD's image", nullable=False),
        described("x_image", pa.float64(), unit="pixel", description="1-based, in DATASEC"),
        described("y_image", pa.float64(), unit="pixel", description="1-based, in DATASEC"),
        described("iso0", pa.int32(), unit="pixel**2", description="Area above the threshold"),
        described("elongation", pa.float32(), description="Major over minor axis"),
        described("ellipticity", pa.float32(), description="1 - minor over major axis"),
        described("class_star", pa.float32(), description="Stellarity, 0 extended, 1 point-like"),
        described("background", pa.float32(), unit="count", description="At the centroid"),
        described("flags", pa.int32(), description="Extraction flags of SExtractor"),
        described("exptime_s", pa.float64(), unit="s", description="Exposure time"),
        described("filter", pa.string(), description="FILTER of the header"),
        described("runid", pa.string(), description="RUNID of the header"),
    ]
)

_NAMES: Final = {
    "x_image": "X_IMAGE",
    "y_image": "Y_IMAGE",
    "iso0": "ISO0",
    "elongation": "ELONGATION",
    "ellipticity": "ELLIPTICITY",
    "class_star": "CLASS_STAR",
    "background": "BACKGROUND",
    "flags": "FLAGS",
}
_AREA: Final = "ISOAREA_IMAGE"
_ROWS_PER_GROUP: Final = 200_000


def build_catalogue(
    paths: Sequence[Path],
    output: Path,
    *,
    exptime_s: float | None = None,
    overwrite: bool = False,
) -> tuple[dict[str, Any], list[Failure]]:
    """Put source catalogues together.

    Rows are in the order of the files, of their CCDs, and of the sources on them. Memory holds one
    row group at a time. Which night each exposure is of stands in the file's metadata.

    Parameters
    ----------
    paths : sequence of Path
        Catalogues in format FITS_LDAC, FITS_1.0 or ASCII_HEAD.
    output : Path
        The Parquet file.
    exptime_s : float, optional
        In place of the headers' EXPTIME.
    overwrite : bool, optional
        Replace the output.

    Returns
    -------
    dict
        ``n_sources, n_ccds, n_exposures``.
    list of Failure
        Files that could not be read, also listed in ``failures.jsonl`` beside the output; none of
        their rows is in it.

    Raises
    ------
    ConfigurationError
        If two files belong to one exposure.
    InputError
        If no file could be read.
    OutputError
        If the output exists or cannot be written.
    """
    names = [catalogue_name(path) for path in paths]
    for name in names:
        if names.count(name) > 1:
            raise ConfigurationError("CAT", f"two catalogues of {name}", "one per exposure")
    counts = {"n_sources": 0, "n_ccds": 0, "n_exposures": 0}
    failures = FailureFile(output.with_name("failures.jsonl"), "exposure")
    failed: list[Failure] = []
    sound: list[Path] = []
    settings: list[str] = []
    nights: dict[str, str] = {}
    synthetic: set[str] = set()
    with ParquetWriter(output, SCHEMA, overwrite=overwrite) as writer:
        waiting: list[pa.Table] = []
        for path, name in zip(paths, names, strict=True):
            try:
                tables = list(_tables(path, name, exptime_s, nights, synthetic))
            except InputError as error:
                failure = Failure(name, error.source, error.reason)
                failed.append(failure)
                failures.add(failure)
                logger.error("exposure %s failed: %s", name, error)
                continue
            failures.discard(name)
            sound.append(path)
            settings.append(_settings(path))
            counts["n_exposures"] += 1
            counts["n_ccds"] += len(tables)
            waiting += tables
            if sum(table.num_rows for table in waiting) >= _ROWS_PER_GROUP:
                writer.write(pa.concat_tables(waiting))
                waiting = []
        if not sound:
            raise InputError(paths[0], "none of the catalogues could be read", "at least one")
        if waiting:
            writer.write(pa.concat_tables(waiting))
        counts["n_sources"] = writer.num_rows
        writer.metadata |= {
            "schema_version": SCHEMA_VERSION,
            "synthetic": bool(synthetic),
            "extraction": sorted(set(settings)),
            "nights": {name: nights[name] for name in names if name in nights},
            "provenance": provenance("cfht-iqa", {"exptime_s": exptime_s}, sound),
        }
    return counts, failed


def _settings(path: Path) -> str:
    """How the sources were found, as the catalogue says; empty if another program wrote it."""
    from cfht_iqa.ldac.ascii_head import is_ascii_head

    if is_ascii_head(path):
        return ""
    from astro_common.fits import read_header

    header = read_header(path, 0)
    if "INSHA" not in header:
        return ""
    return "\n".join(str(line) for line in header.get("HISTORY", []))


def _tables(
    path: Path,
    exposure: str,
    exptime_s: float | None,
    nights: dict[str, str],
    synthetic: set[str],
) -> Iterator[pa.Table]:
    ccds: set[str] = set()
    for table in read_tables(path, [*_NAMES.values(), _AREA]):
        if table.ccd in ccds:
            raise InputError(path, f"two tables of CCD {table.ccd}", "one per CCD")
        ccds.add(table.ccd)
        night = night_of(table.header)
        if night is not None:
            nights.setdefault(exposure, night)
        if table.header.get("SYNTHET") is True:
            synthetic.add(exposure)
        yield _rows(path, exposure, table, exptime_s)


def _rows(path: Path, exposure: str, table: SourceTable, exptime_s: float | None) -> pa.Table:
    rows, count = table.rows, table.rows.num_rows
    columns: dict[str, Any] = {
        "exposure": pa.array([exposure] * count, pa.string()),
        "ccd": pa.array([table.ccd] * count, pa.string()),
    }
    for ours, theirs in _NAMES.items():
        source = theirs
        if ours == "iso0" and theirs not in rows.column_names:
            source = _AREA
        kind = SCHEMA.field(ours).type
        if source in rows.column_names:
            columns[ours] = _cast(rows[source], kind, path, table.ccd, source)
        elif ours in ("x_image", "y_image", "iso0"):
            wanted = f"{theirs} or {_AREA}" if ours == "iso0" else theirs
            raise InputError(path, f"CCD {table.ccd}: no column {wanted}", "it in every table")
        else:
            columns[ours] = pa.nulls(count, kind)
    if "ELLIPTICITY" not in rows.column_names and "ELONGATION" in rows.column_names:
        columns["ellipticity"] = pc.subtract(1.0, pc.divide(1.0, columns["elongation"])).cast(
            pa.float32()
        )
    exptime = exptime_s if exptime_s is not None else _exptime(path, table)
    columns["exptime_s"] = pa.array(np.full(count, exptime))
    for key in ("FILTER", "RUNID"):
        text = str(table.header.get(key, "")).strip()
        columns[key.lower()] = pa.array([text or None] * count, pa.string())
    return pa.table(columns, schema=SCHEMA)


def _cast(column: Any, kind: pa.DataType, path: Path, ccd: str, name: str) -> Any:
    try:
        return column.cast(kind, safe=pa.types.is_integer(kind))
    except pa.ArrowException as error:
        raise InputError(
            path, f"CCD {ccd}: column {name} ({error})", f"values of {kind}"
        ) from error


def _exptime(path: Path, table: SourceTable) -> float:
    value = table.header.get("EXPTIME")
    number = float(value) if isinstance(value, (int, float)) else math.nan
    if not number > 0.0 or not math.isfinite(number):
        found = "no EXPTIME" if value is None else f"EXPTIME = {value!r}"
        raise InputError(
            path, f"CCD {table.ccd}: {found} in the header", "seconds", "give --exptime-s"
        )
    return number
