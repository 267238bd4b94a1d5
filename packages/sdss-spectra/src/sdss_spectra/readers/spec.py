"""SDSS ``spec`` and ``spec-lite`` files: SDSS-I/II, BOSS, eBOSS and SDSS-V.

HDU 0 holds the keywords of the plate, HDU 1 (COADD) the spectrum, HDU 2 (SPECOBJ or SPALL) what
the pipeline found, HDU 3 (SPZLINE) its line fits. Wavelengths are in vacuum and heliocentric:
``HELIO_RV`` is in them already. See
https://data.sdss.org/datamodel/files/BOSS_SPECTRO_REDUX/RUN2D/spectra/PLATE4/spec.html.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from astro_common.errors import InputError
from sdss_spectra.readers.blocks import Block, header_values, table_rows
from sdss_spectra.spectrum import Cards, Spectrum
from sdss_spectra.wavelength import WavelengthSolution

__all__ = ["is_spec", "read_spec"]

# Of a Gaussian, 2 sqrt(2 ln 2).
FWHM_PER_SIGMA = 2.354820045030949


def is_spec(blocks: list[Block]) -> bool:
    """Whether HDU 1 is the table of a spec file: flux and loglam, lower or upper case."""
    if len(blocks) < 2 or blocks[1].value("XTENSION") != "BINTABLE":
        return False
    header = blocks[1].header.upper()
    return b"'LOGLAM" in header and b"'FLUX" in header and b"'IVAR" in header


# Damaged numbers become NaN or infinite, which later steps count as bad, without a warning.
@np.errstate(invalid="ignore", over="ignore")
def read_spec(path: Path, blocks: list[Block], data: bytes) -> Spectrum:
    """Read one spectrum and merge HDU 0, 1, 2 and 3.

    Parameters
    ----------
    path : Path
        The file.
    blocks : list of Block
        Its first four HDUs, or as many as there are.
    data : bytes
        Its content.

    Raises
    ------
    InputError
        A table of fewer than two pixels, or wavelengths that do not increase.
    """
    rows = table_rows(blocks[1], data)
    if len(rows) < 2:
        raise InputError(path, f"HDU 1: a table of {len(rows)} rows", "a row for each pixel")
    names = rows.dtype.names or ()
    cards = Cards()
    primary = header_values(blocks[0].header)
    cards.add(primary, "HDU 0")
    cards.add(_own(header_values(blocks[1].header)), "HDU 1")
    for block in blocks[2:4]:
        # SPZLINE repeats PLATE, MJD and FIBERID on each of its rows: the first says them.
        if block.value("XTENSION") == "BINTABLE":
            table = table_rows(block, data)
            if len(table):
                cards.add(_cells(table[0], block), f"HDU {block.index}")
    is_sdss_v = "CATALOGID" in cards and ("FIELD" in primary or "SDSS_ID" in cards)
    frame = "air" if primary.get("VACUUM") is False else "vacuum"
    loglam = rows["LOGLAM"].astype(np.float64)
    solution = _solution(path, loglam, frame)
    ivar = rows["IVAR"].astype(np.float64)
    ivar[~(np.isfinite(ivar) & (ivar > 0))] = 0.0
    return Spectrum(
        path=path,
        row=None,
        reader="sdss-v" if is_sdss_v else "spec",
        solution=solution,
        flux=rows["FLUX"].astype(np.float64),
        ivar=ivar,
        and_mask=_mask(rows, "AND_MASK"),
        or_mask=_mask(rows, "OR_MASK"),
        resolution=_resolution(rows, names, loglam),
        cards=cards,
        flux_unit=cards.text("BUNIT", "FLUXUNIT"),
        is_heliocentric=True,
    )


def _solution(path: Path, loglam: npt.NDArray[np.float64], frame: str) -> WavelengthSolution:
    solution = WavelengthSolution(10.0**loglam, "loglam", True, frame)
    if not solution.is_increasing:
        raise InputError(path, "HDU 1: loglam does not increase", "log10 of wavelengths")
    if not 2.0 < loglam[0] < 6.0:
        raise InputError(path, f"HDU 1: loglam from {loglam[0]:g}", "log10 of angstrom")
    return solution


def _mask(rows: npt.NDArray[np.void], name: str) -> npt.NDArray[np.uint32] | None:
    if name not in (rows.dtype.names or ()):
        return None
    return rows[name].astype(np.int64).astype(np.uint32)


def _resolution(
    rows: npt.NDArray[np.void], names: tuple[str, ...], loglam: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64] | None:
    if "WDISP" not in names:
        return None
    # wdisp is the standard deviation of the line spread in pixels of constant log wavelength.
    step = float(loglam[-1] - loglam[0]) / (len(loglam) - 1)
    wdisp = rows["WDISP"].astype(np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        resolution = 1.0 / (FWHM_PER_SIGMA * wdisp * step * np.log(10.0))
    resolution[~(np.isfinite(wdisp) & (wdisp > 0))] = np.nan
    return np.asarray(resolution)


def _own(values: Mapping[str, Any]) -> dict[str, Any]:
    structural = ("XTENSION", "BITPIX", "NAXIS", "PCOUNT", "GCOUNT", "TFIELDS", "EXTNAME")
    return {
        key: value
        for key, value in values.items()
        if not key.startswith(structural) and key[:5] not in ("TTYPE", "TFORM", "TUNIT", "TDIM")
    }


@lru_cache(maxsize=64)
def _offsets(header: bytes) -> dict[str, int]:
    # Unsigned integers are stored as signed ones with an offset (TZERO = 2**63 and its like).
    values = header_values(header)
    found = {}
    for key, zero in values.items():
        if key.startswith("TZERO") and isinstance(zero, (int, float)) and zero:
            name = values.get(f"TTYPE{key[5:]}")
            if isinstance(name, str):
                found[name.strip().upper()] = int(zero)
    return found


def _cells(row: np.void, block: Block) -> dict[str, Any]:
    values: dict[str, Any] = {}
    offsets = _offsets(block.header)
    for name in row.dtype.names or ():
        cell = row[name]
        if isinstance(cell, bytes):
            values[name] = cell.split(b"\0", 1)[0].decode("ascii", "replace").strip()
        elif isinstance(cell, np.ndarray):
            values[name] = cell
        elif isinstance(cell, np.void):
            continue
        elif isinstance(cell, np.int8):
            # A logical is the byte T or F, or 0 where it is missing.
            values[name] = {ord("T"): True, ord("F"): False}.get(int(cell))
        else:
            values[name] = cell.item() + offsets[name] if name in offsets else cell.item()
    return values
