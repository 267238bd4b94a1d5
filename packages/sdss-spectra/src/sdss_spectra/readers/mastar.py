"""MaStar spectra: tables with one star or visit in a row (``mastar-goodspec``, ``goodvisits``).

Wavelengths are in vacuum and at rest (Yan et al. 2019, ApJ 883, 175); ``DISP`` is the standard
deviation of the line spread in angstrom.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from astro_common.errors import InputError
from astro_common.fits import FitsFile
from sdss_spectra.readers.cells import row_cells
from sdss_spectra.readers.spec import FWHM_PER_SIGMA
from sdss_spectra.spectrum import Cards, Spectrum
from sdss_spectra.wavelength import WavelengthSolution

__all__ = ["is_mastar", "read_mastar"]

_ARRAYS = ("WAVE", "FLUX", "IVAR")
_ROWS_AT_ONCE = 256


def _table_index(file: FitsFile) -> int | None:
    for info in file.hdus[1:]:
        if info.kind == "table":
            names = {name.upper() for name in file.table(info.index).column_names}
            if {*_ARRAYS, "MANGAID"} <= names or {*_ARRAYS, "MANGAID_1"} <= names:
                return info.index
    return None


def is_mastar(file: FitsFile) -> bool:
    """Whether a table has WAVE, FLUX, IVAR and MANGAID."""
    return _table_index(file) is not None


def read_mastar(file: FitsFile) -> Iterator[Spectrum]:
    """Read the spectra, a few hundred rows in memory at a time.

    Raises
    ------
    InputError
        Arrays of different lengths, or wavelengths that do not increase.
    """
    index = _table_index(file)
    if index is None:
        raise InputError(file.path, "no table of spectra", "WAVE, FLUX, IVAR and MANGAID")
    table = file.table(index)
    for start in range(0, table.num_rows, _ROWS_AT_ONCE):
        part = table.read(rows=slice(start, min(start + _ROWS_AT_ONCE, table.num_rows)))
        for number in range(part.num_rows):
            cells = {name.upper(): value for name, value in row_cells(part, number).items()}
            yield _spectrum(file, index, start + number, cells)


def _spectrum(file: FitsFile, index: int, row: int, cells: dict[str, object]) -> Spectrum:
    arrays = {name: np.asarray(cells.pop(name), np.float64) for name in _ARRAYS}
    wave, flux, ivar = (arrays[name] for name in _ARRAYS)
    if not (wave.ndim == 1 and wave.shape == flux.shape == ivar.shape):
        raise InputError(file.path, f"HDU {index}, row {row}: arrays of unlike lengths")
    steps = np.diff(np.log10(wave, out=np.full(wave.shape, np.nan), where=wave > 0))
    is_log10 = len(steps) > 0 and float(np.ptp(steps)) < 1e-7
    solution = WavelengthSolution(wave, "wavelength-column", is_log10, "vacuum")
    if len(wave) < 2 or not solution.is_increasing:
        raise InputError(file.path, f"HDU {index}, row {row}: WAVE does not increase")
    ivar = np.where(np.isfinite(ivar) & (ivar > 0), ivar, 0.0)
    resolution = None
    if "DISP" in cells:
        disp = np.asarray(cells.pop("DISP"), np.float64)
        with np.errstate(divide="ignore", invalid="ignore"):
            resolution = np.where(disp > 0, wave / (FWHM_PER_SIGMA * disp), np.nan)
    mask = cells.pop("MASK", None)
    if mask is not None:
        # MASK of MaStar has bits of its own (MANGA_DRP2PIXMASK): DONOTUSE is bit 10.
        ivar[(np.asarray(mask, np.int64) & (1 << 10)) != 0] = 0.0
    cells.pop("PREDISP", None)
    cards = Cards()
    if "MANGAID" not in cells and "MANGAID_1" in cells:
        cells["MANGAID"] = cells["MANGAID_1"]
    cards.add(cells, f"HDU {index}")
    return Spectrum(
        path=file.path,
        row=row,
        reader="mastar",
        solution=solution,
        flux=flux,
        ivar=ivar,
        resolution=resolution,
        cards=cards,
        flux_unit="1E-17 erg/s/cm^2/Ang",
        is_rest_frame=True,
        is_heliocentric=True,
    )
