"""FITS tables to Arrow and images to NumPy, with every size checked before it is trusted."""

from __future__ import annotations

from astro_common.fits.files import FitsFile, open_fits, read_header, read_image, read_table
from astro_common.fits.headers import HduInfo
from astro_common.fits.images import FitsImage
from astro_common.fits.tables import FitsTable

__all__ = [
    "FitsFile",
    "FitsImage",
    "FitsTable",
    "HduInfo",
    "open_fits",
    "read_header",
    "read_image",
    "read_table",
]
