"""Self-describing Parquet files, written row group by row group and put in place when complete.

The footer of a file holds the unit, UCD and description of each column (as Arrow field metadata and
as VOParquet 1.0), what pandas and astropy need to read integers exactly, and any JSON that the
writer is given, such as provenance.
"""

from __future__ import annotations

from astro_common.arrow_fields import described, field_metadata
from astro_common.parquet.columns import ColumnOptions
from astro_common.parquet.reading import check_parquet, parquet_errors, read_metadata
from astro_common.parquet.writer import ParquetWriter

__all__ = [
    "ColumnOptions",
    "ParquetWriter",
    "check_parquet",
    "described",
    "field_metadata",
    "parquet_errors",
    "read_metadata",
]
