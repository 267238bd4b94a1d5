"""The header of a compressed image as it was before compression."""

from __future__ import annotations

import re
from typing import Final

from astropy.io.fits import Header

__all__ = ["image_header"]

# Keywords of the table and of the compression, not of the image (Standard, section 10.1.1).
_OF_THE_TABLE: Final = re.compile(
    r"(XTENSION|BITPIX|NAXIS\d*|PCOUNT|GCOUNT|TFIELDS|THEAP|CHECKSUM|DATASUM"
    r"|T(TYPE|FORM|UNIT|NULL|SCAL|ZERO|DISP|DIM|COMM)\d+"
    r"|Z(IMAGE|CMPTYPE|BITPIX|NAXIS\d*|TILE\d+|NAME\d+|VAL\d+|QUANTIZ|DITHER0|MASKCMP|BLANK|SCALE"
    r"|ZERO|SIMPLE|TENSION|EXTEND|BLOCKED|PCOUNT|GCOUNT|HECKSUM|DATASUM))\Z"
)


def image_header(header: Header) -> Header:
    """Make the header of the image from that of the table which holds its tiles.

    Parameters
    ----------
    header : astropy.io.fits.Header
        Of the table, with ZBITPIX, ZNAXIS and ZNAXISn, which have been checked.

    Returns
    -------
    astropy.io.fits.Header
        ``BITPIX, NAXIS, NAXISn`` of the image, then all its other keywords (the WCS too).
    """
    image = Header()
    if header.get("ZSIMPLE") is True:
        image["SIMPLE"] = (True, "conforms to FITS standard")
    else:
        image["XTENSION"] = ("IMAGE", "image extension")
    for keyword in ("BITPIX", "NAXIS", *(f"NAXIS{i + 1}" for i in range(header["ZNAXIS"]))):
        image[keyword] = (header[f"Z{keyword}"], header.comments[f"Z{keyword}"])
    if header.get("ZSIMPLE") is not True:
        image["PCOUNT"] = 0
        image["GCOUNT"] = 1
    for card in header.cards:
        if not _OF_THE_TABLE.match(card.keyword):
            image.append(card, end=True)
    if image.get("EXTNAME") == "COMPRESSED_IMAGE":
        del image["EXTNAME"]
    if header["ZBITPIX"] > 0 and "BLANK" not in image and "ZBLANK" in header:
        image["BLANK"] = (header["ZBLANK"], header.comments["ZBLANK"])
    return image
