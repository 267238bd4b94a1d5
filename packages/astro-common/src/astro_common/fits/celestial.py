"""Celestial world coordinates of images, from headers that may be damaged."""

from __future__ import annotations

import math
import os
import re
import warnings
from typing import Final

from astropy.io.fits import Header
from astropy.wcs import WCS, FITSFixedWarning

from astro_common.errors import InputError

__all__ = ["celestial_wcs"]

# Keywords such as CDi_j have room for two digits (Greisen & Calabretta 2002, A&A 395, 1061, 2.1).
_MOST_AXES: Final = 99
_ALTERNATIVES: Final = ("", *"ABCDEFGHIJKLMNOPQRSTUVWXYZ")
_NUMBERS: Final = re.compile(r"(CRVAL|CRPIX|CDELT|CROTA)\d+|(CD|PC)\d+_\d+")


def celestial_wcs(header: Header, path: str | os.PathLike[str]) -> WCS:
    """Read the celestial axes of an image's world coordinate system.

    Parameters
    ----------
    header : astropy.io.fits.Header
        Of the image.
    path : path-like
        The file, for errors.

    Returns
    -------
    astropy.wcs.WCS
        With two axes, longitude and latitude.

    Raises
    ------
    InputError
        If the header has no celestial axes, or a keyword of the WCS is not valid.
    """
    # wcslib trusts any number of axes; a large one ends the process.
    for key in ("NAXIS", *(f"WCSAXES{name}" for name in _ALTERNATIVES)):
        axes = header.get(key, 0)
        if isinstance(axes, bool) or not isinstance(axes, int) or not 0 <= axes <= _MOST_AXES:
            raise InputError(path, f"{key} = {axes!r}", f"a whole number up to {_MOST_AXES}")
    # wcslib ignores a value of the wrong type, as if the keyword were absent.
    for card in header.cards:
        value = card.value
        if _NUMBERS.fullmatch(card.keyword) and not (
            isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
        ):
            raise InputError(path, f"{card.keyword} = {value!r}", "a number")
    try:
        with warnings.catch_warnings():
            # About dates and deprecated keywords, which do not matter here.
            warnings.simplefilter("ignore", FITSFixedWarning)
            wcs = WCS(header).celestial
            is_celestial = wcs.has_celestial
    except Exception as error:  # one of many classes, always about this header
        raise InputError(path, f"a WCS that cannot be used ({error})", "a valid one") from error
    if not is_celestial:
        raise InputError(path, "no celestial WCS", "CTYPE1, CRVAL1 and related keywords")
    return wcs
