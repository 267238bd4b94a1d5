"""What a hypercube holds, found out without reading its cutouts."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from astro_common.errors import InputError
from astro_common.parquet import check_parquet, field_metadata
from splus_hypercube.schema import METADATA_KEY

__all__ = ["cube_metadata", "inspect_cube", "text_report"]

# Fixed-size lists longer than this are counted from the footer rather than read.
_LONG_LIST = 64


def cube_metadata(path: Path) -> dict[str, Any]:
    """The JSON by which a hypercube describes itself.

    Parameters
    ----------
    path : Path

    Returns
    -------
    dict
        The value of the footer's key ``splus_hypercube``.

    Raises
    ------
    InputError
        If the file is missing, damaged or no hypercube.
    """
    metadata = check_parquet(path).get(METADATA_KEY)
    if not isinstance(metadata, dict):
        raise InputError(path, f"no {METADATA_KEY} in the footer", "a hypercube")
    return metadata


def inspect_cube(path: Path) -> dict[str, Any]:
    """Describe a hypercube.

    Parameters
    ----------
    path : Path

    Returns
    -------
    dict
        ``file, rows, row_groups, size_bytes``; what `cube_metadata` gives; ``columns``: for each
        its name, type, unit, UCD, description, survey, modality and ``filled``, the fraction of
        rows that are not null (None for a file without rows).

    Raises
    ------
    InputError
        If the file is missing, damaged or no hypercube.
    """
    metadata = cube_metadata(path)
    with pq.ParquetFile(path) as file:
        filled = _filled(file, path)
        columns = []
        for field in file.schema_arrow:
            own = field_metadata(field)
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
            **metadata,
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
                # A null row counts as one value of the leaf column, any other as `list_size`.
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
        f"{report['file']}: field {report.get('field')}{synthetic}, {report['rows']} rows in "
        f"{report['row_groups']} row groups, {report['size_bytes']} bytes, "
        f"schema version {report.get('schema_version')}"
    )
    lines = [
        title,
        "",
        f"{'survey':<8} {'matches':>9} {'radius':>8} {'false-match rate':>17}",
    ]
    for name, survey in report.get("surveys", {}).items():
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
    record = report.get("provenance", {})
    name = record.get("distribution")
    lines += ["", f"made by {name} {record.get('versions', {}).get(name)}"]
    lines.append(f"from {len(record.get('inputs', []))} input files")
    if record.get("missing_bands"):
        lines.append(f"no image in {' '.join(record['missing_bands'])}")
    return lines
