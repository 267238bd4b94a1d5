"""World coordinates of images, from headers that may be damaged."""

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
    """The celestial axes of an image's world coordinate system.

    Parameters
    ----------
    header : astropy.io.fits.Header
    path : path-like
        The file, for messages.

    Returns
    -------
    astropy.wcs.WCS
        Of two axes.

    Raises
    ------
    InputError
        If the header has no celestial axes, or says what no image can have.
    """
    # wcslib believes any number of axes: with a large one the process dies.
    for key in ("NAXIS", *(f"WCSAXES{name}" for name in _ALTERNATIVES)):
        axes = header.get(key, 0)
        if isinstance(axes, bool) or not isinstance(axes, int) or not 0 <= axes <= _MOST_AXES:
            raise InputError(path, f"{key} = {axes!r}", f"a whole number up to {_MOST_AXES}")
    # wcslib passes over a value of another type, as if the keyword were absent.
    for card in header.cards:
        value = card.value
        if _NUMBERS.fullmatch(card.keyword) and not (
            isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
        ):
            raise InputError(path, f"{card.keyword} = {value!r}", "a number")
    try:
        with warnings.catch_warnings():
            # Dates and deprecated keywords that astropy completes do not concern us.
            warnings.simplefilter("ignore", FITSFixedWarning)
            wcs = WCS(header).celestial
            is_celestial = wcs.has_celestial
    except Exception as error:  # wcslib has many error classes; all are about this header
        raise InputError(path, f"a WCS that cannot be used ({error})", "a valid one") from error
    if not is_celestial:
        raise InputError(path, "no celestial WCS", "CTYPE1, CRVAL1 and the like")
    return wcs
