"""What a hypercube holds, without reading its cutouts."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from astro_common.errors import InputError
from astro_common.parquet import check_parquet
from splus_hypercube.schema import METADATA_KEY

__all__ = ["inspect_cube", "text_report"]

# Lists longer than this are counted from the footer rather than read.
_LONG_LIST = 64


def inspect_cube(path: Path) -> dict[str, Any]:
    """Describe a hypercube.

    Parameters
    ----------
    path : Path

    Returns
    -------
    dict
        ``rows, row_groups, size_bytes``; the footer's own JSON; ``columns``: for each its name,
        type, unit, survey, modality and ``filled``, the fraction of rows that are not null.

    Raises
    ------
    InputError
        If the file is not a whole hypercube.
    """
    metadata = check_parquet(path)
    if METADATA_KEY not in metadata:
        raise InputError(path, f"no {METADATA_KEY} in the footer", "a hypercube")
    with pq.ParquetFile(path) as file:
        filled = _filled(file, path)
        columns = []
        for field in file.schema_arrow:
            own = {key.decode(): value.decode() for key, value in (field.metadata or {}).items()}
            columns.append(
                {
                    "name": field.name,
                    "type": str(field.type),
                    "unit": own.get("unit", ""),
                    "ucd": own.get("ucd", ""),
                    "description": own.get("description", ""),
                    "survey": own.get("survey", ""),
                    "modality": own.get("modality", ""),
                    "filled": filled[field.name],
                }
            )
        return {
            "file": str(path),
            "rows": file.metadata.num_rows,
            "row_groups": file.metadata.num_row_groups,
            "size_bytes": path.stat().st_size,
            **metadata[METADATA_KEY],
            "columns": columns,
        }


def _filled(file: pq.ParquetFile, path: Path) -> dict[str, float | None]:
    """Fraction of rows that are not null, per column; None for a file without rows."""
    rows = file.metadata.num_rows
    if not rows:
        return dict.fromkeys(file.schema_arrow.names)
    nulls = dict.fromkeys(file.schema_arrow.names, 0)
    leaves: dict[str, list[int]] = {}
    for index in range(file.metadata.num_columns):
        name = file.metadata.schema.column(index).path.split(".")[0]
        leaves.setdefault(name, []).append(index)
    for group in range(file.metadata.num_row_groups):
        chunks = file.metadata.row_group(group)
        counted: list[str] = []
        for field in file.schema_arrow:
            if pa.types.is_fixed_size_list(field.type) and field.type.list_size > _LONG_LIST:
                # A null row is one value of the leaf, any other `list_size` values: the cutouts
                # need not be read to count them.
                values = chunks.column(leaves[field.name][0]).num_values
                valid = (values - chunks.num_rows) // (field.type.list_size - 1)
                nulls[field.name] += chunks.num_rows - valid
            else:
                counted.append(field.name)
        try:
            for name in counted:
                nulls[name] += file.read_row_group(group, columns=[name])[name].null_count
        except (pa.ArrowException, OSError) as error:
            raise InputError(path, f"row group {group} cannot be read ({error})") from error
    return {name: 1.0 - count / rows for name, count in nulls.items()}


def text_report(report: dict[str, Any]) -> Sequence[str]:
    """Lines for a person."""
    synthetic = " (SYNTHETIC)" if report.get("synthetic") else ""
    title = (
        f"{report['file']}: field {report['field']}{synthetic}, {report['rows']} rows in "
        f"{report['row_groups']} row groups, {report['size_bytes']} bytes, "
        f"schema version {report['schema_version']}"
    )
    lines = [
        title,
        "",
        f"{'survey':<8} {'matches':>9} {'radius':>8} {'false-match rate':>17}",
    ]
    for name, survey in report["surveys"].items():
        if name == "splus":
            continue
        radius, rate = survey.get("radius_arcsec"), survey.get("false_match_rate")
        shown = "" if radius is None else f'{radius:.2f}"'
        rate_shown = "" if rate is None else f"{rate:.5f}"
        lines.append(f"{name:<8} {survey.get('matches', 0):>9} {shown:>8} {rate_shown:>17}")
    lines += ["", f"{'column':<40} {'filled':>7} {'modality':<12} {'unit':<12} type"]
    for column in report["columns"]:
        filled = "" if column["filled"] is None else f"{column['filled']:.1%}"
        lines.append(
            f"{column['name']:<40} {filled:>7} {column['modality']:<12} "
            f"{column['unit']:<12} {column['type']}"
        )
    record = report["provenance"]
    name = record.get("distribution")
    lines += ["", f"made by {name} {record.get('versions', {}).get(name)}"]
    lines.append(f"from {len(record.get('inputs', []))} input files")
    if record.get("missing_bands"):
        lines.append(f"no image in {' '.join(record['missing_bands'])}")
    return lines
