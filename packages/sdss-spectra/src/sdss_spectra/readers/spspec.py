"""``spSpec`` files of SDSS data releases 1 to 7: five rows of one primary image.

Row 0 is the flux, 1 the continuum-subtracted flux, 2 the noise (sigma; 0 where the pixel is bad),
3 the mask; wavelengths are 10**(COEFF0 + COEFF1*i) in vacuum, although the header calls them
LINEAR. See http://classic.sdss.org/dr7/dm/flatFiles/spSpec.php.
"""

from __future__ import annotations

import numpy as np

from astro_common.errors import InputError
from astro_common.fits import FitsFile
from sdss_spectra.readers.cells import header_cards
from sdss_spectra.spectrum import Cards, Spectrum
from sdss_spectra.wavelength import from_keywords

__all__ = ["is_spspec", "read_spspec"]


def is_spspec(file: FitsFile) -> bool:
    """Whether the primary image has 4 or 5 rows and SDSS's keywords."""
    if file.hdus[0].kind != "image":
        return False
    header = file.header(0)
    return (
        header.get("NAXIS") == 2
        and header.get("NAXIS1", 0) > 1
        and header.get("NAXIS2") in (4, 5)
        and "COEFF0" in header
        and any(name in header for name in ("FIBERID", "PLATEID", "SPEC_ID"))
    )


# Damaged numbers become NaN or infinite, which later steps count as bad, without a warning.
@np.errstate(invalid="ignore", over="ignore")
def read_spspec(file: FitsFile) -> Spectrum:
    """Read the spectrum.

    Raises
    ------
    InputError
        Keywords that give no wavelengths.
    """
    header = file.header(0)
    cards = Cards()
    cards.add(header_cards(header), "HDU 0")
    rows = np.asarray(file.image(0).read(), np.float64)
    frame = "air" if header.get("VACUUM") is False else "vacuum"
    solution = from_keywords(cards, rows.shape[1], frame)
    if solution is None:
        raise InputError(file.path, "HDU 0: no COEFF0 and COEFF1", "wavelengths of an spSpec file")
    if not solution.is_increasing:
        found = "HDU 0: COEFF0 and COEFF1 give no positive wavelengths that increase"
        raise InputError(file.path, found, "wavelengths of an spSpec file")
    sigma = rows[2]
    good = np.isfinite(sigma) & (sigma > 0)
    ivar = np.zeros(rows.shape[1])
    ivar[good] = sigma[good] ** -2.0
    mask = np.nan_to_num(rows[3]).astype(np.int64).astype(np.uint32)
    return Spectrum(
        path=file.path,
        row=None,
        reader="spspec",
        solution=solution,
        flux=rows[0].copy(),
        ivar=ivar,
        and_mask=mask,
        cards=cards,
        flux_unit=cards.text("BUNIT", "FLUXUNIT"),
        is_heliocentric=True,
    )
