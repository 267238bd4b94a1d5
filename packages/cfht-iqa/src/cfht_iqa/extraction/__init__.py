"""Sources of a CCD: SExtractor, or ``sep``, behind one function that gives the same columns."""

from __future__ import annotations

from cfht_iqa.extraction.engines import ENGINES, extract_ccd, stellarity_name
from cfht_iqa.extraction.settings import ExtractionSettings

__all__ = ["ENGINES", "ExtractionSettings", "extract_ccd", "stellarity_name"]
