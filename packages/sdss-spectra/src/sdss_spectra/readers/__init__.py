"""Readers of spectra, one file each; a file's content, not its name, decides which one reads it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from astro_common.errors import InputError
from astro_common.fits import open_fits
from sdss_spectra.readers.apogee import is_apogee, read_apogee
from sdss_spectra.readers.blocks import read_bytes, scan
from sdss_spectra.readers.generic import read_generic
from sdss_spectra.readers.mastar import is_mastar, read_mastar
from sdss_spectra.readers.spec import is_spec, read_spec
from sdss_spectra.readers.spspec import is_spspec, read_spspec
from sdss_spectra.spectrum import Spectrum

__all__ = ["read_spectra", "read_spectrum"]

# A spec file of many exposures is below 10 MB; what is larger goes to the readers that stream.
SMALL_BYTES = 64 << 20


def read_spectra(path: str | os.PathLike[str]) -> Iterator[Spectrum]:
    """Read the spectra of a file.

    Parameters
    ----------
    path : path-like
        A spec, spec-lite, spSpec, SDSS-V, MaStar, APOGEE or generic FITS file, plain or gzip.

    Yields
    ------
    Spectrum
        One, or each row of a file of many.

    Raises
    ------
    InputError
        The file is damaged, not FITS, or no spectrum.
    """
    path = Path(path)
    try:
        yield from _spectra(path)
    except (ValueError, TypeError, KeyError, IndexError, OverflowError) as error:
        # Damage that no check has foreseen is the file's fault, and is reported like any other.
        found = f"cannot be read ({type(error).__name__}: {error})"
        raise InputError(path, found, "a spectrum") from error


def _spectra(path: Path) -> Iterator[Spectrum]:
    try:
        size = path.stat().st_size
    except OSError as error:
        raise InputError(path, f"cannot be read ({error.strerror})", "a FITS file") from error
    if not path.is_file():
        raise InputError(path, "not a file", "a FITS file")
    data = read_bytes(path) if size <= SMALL_BYTES else None
    if data is not None:
        blocks = scan(path, data, 4)
        if is_spec(blocks):
            yield read_spec(path, blocks, data)
            return
        del blocks
    del data
    with open_fits(path) as file:
        if is_spspec(file):
            yield read_spspec(file)
        elif is_mastar(file):
            yield from read_mastar(file)
        elif is_apogee(file):
            yield read_apogee(file)
        else:
            yield from read_generic(file)


def read_spectrum(path: str | os.PathLike[str], row: int | None = None) -> Spectrum:
    """Read one spectrum.

    Parameters
    ----------
    path : path-like
        The file.
    row : int, optional
        Which spectrum, in a file of many; the first by default.

    Raises
    ------
    InputError
        As `read_spectra`; or the file has no such row.
    """
    for number, spectrum in enumerate(read_spectra(path)):
        if row is None or number == row:
            return spectrum
    raise InputError(path, "no spectrum" if row is None else f"no row {row}", "a spectrum")
