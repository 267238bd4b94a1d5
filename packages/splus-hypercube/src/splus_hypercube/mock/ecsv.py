"""Gaia archive files: a YAML header in comments, then CSV with ``null`` for missing, gzipped."""

from __future__ import annotations

import gzip
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

__all__ = ["EcsvColumn", "write_ecsv"]

_LEVEL = 6
_ROWS_PER_BLOCK = 256


@dataclass(frozen=True, slots=True)
class EcsvColumn:
    """One column of a Gaia archive table.

    Attributes
    ----------
    name : str
    datatype : str
        ECSV datatype of a value, or of an element of an array.
    unit, description, ucd : str
    array : bool
        Whether a cell holds an array.
    """

    name: str
    datatype: str
    unit: str = ""
    description: str = ""
    ucd: str = ""
    array: bool = False

    def header(self) -> list[str]:
        """Lines of the YAML header."""
        lines = ["-", f"  name: {self.name}"]
        if self.array:
            lines += ["  datatype: string", f"  subtype: '{self.datatype}[null]'"]
        else:
            lines.append(f"  datatype: {self.datatype}")
        if self.unit:
            quoted = self.unit.replace("'", "''")
            lines.append(f"  unit: '{quoted}'" if "'" in self.unit else f"  unit: {self.unit}")
        if self.description:
            lines.append(f"  description: {self.description}")
        if self.ucd:
            lines += ["  meta:", f"    ucd: {self.ucd}"]
        return lines


def write_ecsv(path: Path, columns: list[EcsvColumn], table: pa.Table) -> None:
    """Write a table as the Gaia archive does.

    Parameters
    ----------
    path : Path
        New file ``*.csv.gz``. The gzip header holds neither name nor time.
    columns : list of EcsvColumn
        Header, in the order of the table's columns.
    table : pyarrow.Table
        Scalars, or lists where a column is an array. Nulls are written as ``null``.
    """
    head = ["%ECSV 1.0", "---", "delimiter: ','", "datatype:"]
    for column in columns:
        head.extend(column.header())
    head += ["meta:", "  synthetic: true", "  origin: splus-hypercube mock"]
    text = "".join(f"# {line}\n" for line in head)
    text += ",".join(column.name for column in columns) + "\n"
    with (
        path.open("xb") as raw,
        gzip.GzipFile(filename="", mode="wb", compresslevel=_LEVEL, fileobj=raw, mtime=0) as out,
    ):
        out.write(text.encode())
        for batch in table.to_batches(max_chunksize=_ROWS_PER_BLOCK):
            cells = [_cells(batch.column(name)) for name in batch.schema.names]
            lines = pc.binary_join_element_wise(*cells, ",")
            out.write(("\n".join(lines.to_pylist()) + "\n").encode())


def _cells(values: pa.Array) -> pa.Array:
    """Each value as text."""
    if pa.types.is_list(values.type):
        flat = pc.cast(values.flatten(), pa.string())
        # The offsets of a slice start where the slice does.
        lists = pa.ListArray.from_arrays(pc.subtract(values.offsets, values.offsets[0]), flat)
        joined = pc.binary_join(lists, ",")
        text = pc.binary_join_element_wise('"[', joined, ']"', "")
    elif pa.types.is_boolean(values.type):
        text = pc.if_else(values, "True", "False")
    else:
        text = pc.cast(values, pa.string())
    return pc.fill_null(text, "null")
