"""One row per event: what a heatmap says in numbers."""

from __future__ import annotations

from scone_io.summary.columns import COLUMNS, COMPAT_COLUMNS, EXTRA_COLUMNS, summary_schema
from scone_io.summary.extraction import Extraction, Totals, extract, summary_table
from scone_io.summary.features import half_maximum_days, summary_of

__all__ = [
    "COLUMNS",
    "COMPAT_COLUMNS",
    "EXTRA_COLUMNS",
    "Extraction",
    "Totals",
    "extract",
    "half_maximum_days",
    "summary_of",
    "summary_schema",
    "summary_table",
]
