"""APOGEE ``apStar`` and ``aspcapStar``: combined spectra of 1.51 to 1.70 micron.

HDU 1 is the flux, HDU 2 its error, of apStar HDU 3 the mask; rows of an apStar image are
combinations and visits, of which the first is the best. Wavelengths are in vacuum, log10 by
CRVAL1 and CDELT1 (CRPIX1 = 1), and at rest. See
https://data.sdss.org/datamodel/files/APOGEE_REDUX/APRED_VERS/stars/TELESCOPE/FIELD/apStar.html.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from astro_common.errors import InputError
from astro_common.fits import FitsFile
from sdss_spectra.readers.cells import header_cards, row_cells
from sdss_spectra.spectrum import Cards, Spectrum
from sdss_spectra.wavelength import from_keywords

__all__ = ["is_apogee", "read_apogee"]

# BADPIX, CRPIX, SATPIX, UNFIXABLE, BADDARK, BADFLAT, BADERR, NOSKY, SIG_SKYLINE (APOGEE_PIXMASK).
_BAD_PIXEL = sum(1 << bit for bit in (0, 1, 2, 3, 4, 5, 6, 7, 12))
# Pixels without data have this error, and more, in the files.
_HUGE_ERROR = 1e9


def is_apogee(file: FitsFile) -> bool:
    """Whether HDU 1 and 2 are images of the same shape on a log grid beyond 1.4 micron."""
    if len(file.hdus) < 3 or file.hdus[1].kind != "image" or file.hdus[2].kind != "image":
        return False
    first, second = file.header(1), file.header(2)
    start = first.get("CRVAL1")
    return (
        isinstance(start, float)
        and 4.14 < start < 4.25
        and first.get("NAXIS1", 0) > 1000
        and first.get("NAXIS1") == second.get("NAXIS1")
    )


def read_apogee(file: FitsFile) -> Spectrum:
    """Read the combined spectrum.

    Raises
    ------
    InputError
        Keywords that give no wavelengths, or none that increase.
    """
    cards = Cards()
    cards.add(header_cards(file.header(0)), "HDU 0")
    cards.add(header_cards(file.header(1)), "HDU 1")
    for info in file.hdus[3:]:
        if info.kind == "table":
            table = file.table(info.index)
            if table.num_rows:
                cards.add(row_cells(table.read(rows=slice(0, 1)), 0), f"HDU {info.index}")
    flux, sigma = _first_row(file, 1), _first_row(file, 2)
    keywords = {**header_cards(file.header(1)), "DC-FLAG": 1}
    solution = from_keywords(keywords, len(flux), "vacuum")
    if solution is None:
        raise InputError(file.path, "HDU 1: no CRVAL1 and CDELT1", "wavelengths of an apStar file")
    if not solution.is_increasing:
        raise InputError(
            file.path, "HDU 1: wavelengths do not increase", "CRVAL1 and CDELT1 of an apStar file"
        )
    good = np.isfinite(sigma) & (sigma > 0) & (sigma < _HUGE_ERROR) & np.isfinite(flux)
    if _has_mask(file, len(flux)):
        good &= (_first_row(file, 3).astype(np.int64) & _BAD_PIXEL) == 0
    ivar = np.zeros(len(flux))
    ivar[good] = sigma[good] ** -2.0
    is_aspcap = cards.get("ASPCAPFLAG") is not None
    return Spectrum(
        path=file.path,
        row=None,
        reader="aspcapstar" if is_aspcap else "apstar",
        solution=solution,
        flux=flux,
        ivar=ivar,
        cards=cards,
        flux_unit=cards.text("BUNIT"),
        is_rest_frame=True,
        is_heliocentric=True,
    )


def _has_mask(file: FitsFile, num_pixels: int) -> bool:
    """Whether HDU 3 is a mask: of an aspcapStar it is the best-fitting spectrum."""
    if len(file.hdus) < 4 or file.hdus[3].kind != "image":
        return False
    header = file.header(3)
    return bool(header.get("NAXIS1") == num_pixels and header.get("BITPIX", -32) > 0)


def _first_row(file: FitsFile, hdu: int) -> npt.NDArray[np.float64]:
    pixels = np.asarray(
        file.image(hdu).read(slice(0, 1)) if _is_stack(file, hdu) else file.image(hdu).read(),
        np.float64,
    )
    return pixels.reshape(-1)


def _is_stack(file: FitsFile, hdu: int) -> bool:
    return int(file.header(hdu).get("NAXIS", 1)) > 1
