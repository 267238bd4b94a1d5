"""Tables of the Gaia archive, ECSV or plain CSV, with exact identifiers and array cells."""

from __future__ import annotations

from astro_common.ecsv.reader import EcsvReader, open_ecsv, read_ecsv

__all__ = ["EcsvReader", "open_ecsv", "read_ecsv"]
