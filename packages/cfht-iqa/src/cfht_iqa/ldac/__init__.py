"""Source catalogues of SExtractor in its file formats: FITS_LDAC, FITS_1.0 and ASCII_HEAD."""

from __future__ import annotations

from cfht_iqa.ldac.reading import SourceTable, catalogue_name, read_tables
from cfht_iqa.ldac.writing import FORMATS, CcdTable, write_tables

__all__ = [
    "FORMATS",
    "CcdTable",
    "SourceTable",
    "catalogue_name",
    "read_tables",
    "write_tables",
]
