"""Spectra of no particular survey: one-dimensional images, stacks of them, and tables.

An image takes its wavelengths from keywords, a table from a column. Where the header does not state
the frame, the custom of optical libraries decides: air if wavelengths are linear, vacuum if
logarithmic.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from astro_common.errors import InputError
from astro_common.fits import FitsFile, FitsTable
from sdss_spectra.readers.cells import header_cards, row_cells
from sdss_spectra.spectrum import Cards, Spectrum
from sdss_spectra.wavelength import WavelengthSolution, angstrom_per, from_keywords

__all__ = ["read_generic", "stated_frame"]

_LOG_COLUMNS = ("LOGLAM", "LOG_LAM", "LOGLAMBDA", "LOGWAVE")
_WAVE_COLUMNS = ("WAVELENGTH", "WAVE", "LAMBDA", "LAM", "WL", "WAVELENGTH_A")
_FLUX_COLUMNS = ("FLUX", "FLUX_A", "SPEC", "SPECTRUM", "DATA", "FLUX_LAMBDA")
_SIGMA_COLUMNS = (
    "PROPERR",
    "ERR",
    "ERROR",
    "SIGMA",
    "FLUX_ERR",
    "FLUXERR",
    "E_FLUX",
    "UNCERTAINTY",
)
_IVAR_COLUMNS = ("IVAR", "INVVAR", "INVERSE_VARIANCE")
# A picture of more rows than this is no stack of spectra.
_MAX_STACK = 100_000


def stated_frame(spectrum: Spectrum) -> str | None:
    """Frame that a file states, ``vacuum`` or ``air``; None where it is only assumed.

    Formats of surveys state it by their documentation.
    """
    if spectrum.reader in ("image", "image-stack", "table"):
        return _frame_of(spectrum.cards)
    return spectrum.solution.frame


def _frame_of(cards: Mapping[str, Any]) -> str | None:
    """The frame that the header states: ``vacuum``, ``air``, or None."""
    vacuum = cards.get("VACUUM")
    if isinstance(vacuum, (bool, np.bool_)):
        return "vacuum" if vacuum else "air"
    for name in ("AIRORVAC", "WAVEFORM", "VACUUM", "WAVEFRAM"):
        text = str(cards.get(name, "")).strip().lower()
        if text.startswith("vac") or (name == "VACUUM" and text in ("t", "1", "true", "yes")):
            return "vacuum"
        if text.startswith("air") or (name == "VACUUM" and text in ("f", "0", "false", "no")):
            return "air"
    # The FITS Standard has names of coordinates for both.
    coordinate = str(cards.get("CTYPE1", "")).strip().upper().removesuffix("-LOG")
    return {"WAVE": "vacuum", "AWAV": "air"}.get(coordinate)


def read_generic(file: FitsFile) -> Iterator[Spectrum]:
    """Read the spectra of an image or a table.

    Raises
    ------
    InputError
        Nothing in the file is a spectrum.
    """
    for info in file.hdus:
        if info.kind == "table":
            columns = {name.upper(): name for name in file.table(info.index).column_names}
            flux = next((columns[name] for name in _FLUX_COLUMNS if name in columns), None)
            wave = next(
                (columns[name] for name in _LOG_COLUMNS + _WAVE_COLUMNS if name in columns), None
            )
            if flux is not None and wave is not None:
                yield _from_table(file, info.index, wave, flux, columns)
                return
    for info in file.hdus:
        if info.kind == "image":
            yield from _from_image(file, info.index)
            return
    raise InputError(
        file.path,
        "no spectrum",
        "an image with CRVAL1 or COEFF0, or a table of wavelength and flux",
    )


def _from_table(
    file: FitsFile, index: int, wave_name: str, flux_name: str, columns: dict[str, str]
) -> Spectrum:
    sigma_name = next((columns[n] for n in _SIGMA_COLUMNS if n in columns), None)
    ivar_name = next((columns[n] for n in _IVAR_COLUMNS if n in columns), None)
    error_name = ivar_name or sigma_name
    fits_table = file.table(index)
    table = fits_table.read([wave_name, flux_name, *([error_name] if error_name else [])])
    cards = Cards()
    cards.add(header_cards(file.header(0)), "HDU 0")
    cards.add(header_cards(file.header(index)), f"HDU {index}")
    for info in file.hdus[index + 1 :]:
        if info.kind == "table" and 0 < file.table(info.index).num_rows <= 8:
            cards.add(row_cells(file.table(info.index).read(), 0), f"HDU {info.index}")
    values = _column(table, wave_name)
    flux = _column(table, flux_name)
    if wave_name.upper() in _LOG_COLUMNS:
        wavelength, method, is_log10 = 10.0**values, "loglam", True
    else:
        wavelength = values * angstrom_per(_unit(fits_table, wave_name))
        method, is_log10 = "wavelength-column", _is_log_spaced(wavelength)
    ivar = None
    if ivar_name is not None:
        ivar = _column(table, ivar_name)
    elif sigma_name is not None:
        sigma = _column(table, sigma_name)
        with np.errstate(divide="ignore", invalid="ignore"):
            ivar = np.where(sigma > 0, sigma**-2.0, 0.0)
    frame = _frame_of(cards) or ("vacuum" if is_log10 else "air")
    order = _increasing(file, index, wavelength)
    solution = WavelengthSolution(wavelength[order], method, is_log10, frame)
    return Spectrum(
        path=file.path,
        row=None,
        reader="table",
        solution=solution,
        flux=flux[order],
        ivar=None if ivar is None else _usable(ivar[order]),
        cards=cards,
        flux_unit=cards.text("BUNIT", "FLUXUNIT") or _unit(fits_table, flux_name) or None,
    )


def _from_image(file: FitsFile, index: int) -> Iterator[Spectrum]:
    header = header_cards(file.header(index))
    image = file.image(index)
    shape = tuple(size for size in image.shape if size != 1)
    if len(shape) not in (1, 2) or shape[-1] < 2 or (len(shape) == 2 and shape[0] > _MAX_STACK):
        raise InputError(
            file.path, f"HDU {index}: an image of shape {image.shape}", "one or two axes"
        )
    cards_of_file = {**header_cards(file.header(0)), **header}
    stated = _frame_of(cards_of_file)
    solution = from_keywords(cards_of_file, shape[-1], stated)
    if solution is None:
        raise InputError(
            file.path, f"HDU {index}: no wavelengths", "COEFF0 and COEFF1, or CRVAL1 with a step"
        )
    frame = stated or ("vacuum" if solution.is_log10 else "air")
    wavelength = solution.wavelength
    order = _increasing(file, index, wavelength)
    solution = WavelengthSolution(wavelength[order], solution.method, solution.is_log10, frame)
    # A damaged number becomes NaN, which later steps count as bad, without a warning.
    with np.errstate(invalid="ignore"):
        pixels = np.asarray(image.read(), np.float64).reshape(-1, shape[-1])
    is_stack = len(pixels) > 1
    for row, flux in enumerate(pixels):
        cards = Cards()
        if is_stack and f"NAME{row}" in header:
            cards.add({"SPTYPE": header[f"NAME{row}"]}, f"HDU {index}")
        cards.add(cards_of_file, f"HDU {index}")
        yield Spectrum(
            path=file.path,
            row=row if is_stack else None,
            reader="image-stack" if is_stack else "image",
            solution=solution,
            flux=_without_padding(flux[order]),
            ivar=None,
            cards=cards,
            flux_unit=cards.text("BUNIT", "FLUXUNIT"),
        )


def _unit(table: FitsTable, name: str) -> str:
    """Unit of a column; empty where the file does not say."""
    metadata = table.schema.field(name).metadata or {}
    return str(metadata.get(b"unit", b""), "utf-8", "replace").strip()


def _column(table: Any, name: str) -> npt.NDArray[np.float64]:
    column = table.column(name).combine_chunks()
    if hasattr(column, "flatten") and str(column.type).endswith("]"):
        column = column.flatten()
    values = column.to_numpy(zero_copy_only=False)
    if values.dtype == object:
        values = np.concatenate([np.asarray(row, np.float64) for row in values])
    return np.asarray(values, np.float64)


def _is_log_spaced(wavelength: npt.NDArray[np.float64]) -> bool:
    if len(wavelength) < 3 or not (wavelength > 0).all():
        return False
    log_steps, steps = np.diff(np.log10(wavelength)), np.diff(wavelength)
    return bool(np.ptp(log_steps) / abs(log_steps.mean()) < np.ptp(steps) / abs(steps.mean()))


def _increasing(
    file: FitsFile, index: int, wavelength: npt.NDArray[np.float64]
) -> npt.NDArray[np.intp]:
    if len(wavelength) < 2 or not np.isfinite(wavelength).all() or wavelength.min() <= 0:
        raise InputError(file.path, f"HDU {index}: wavelengths are not positive numbers")
    order = np.arange(len(wavelength))
    if wavelength[0] > wavelength[-1]:
        order = order[::-1]
    if not (np.diff(wavelength[order]) >= 0).all():
        raise InputError(file.path, f"HDU {index}: wavelengths do not increase")
    # float32 log wavelengths of fine grids repeat: of equal ones the first stays.
    keep = np.concatenate([[True], np.diff(wavelength[order]) > 0])
    return np.asarray(order[keep], np.intp)


def _usable(ivar: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return np.where(np.isfinite(ivar) & (ivar > 0), ivar, 0.0)


def _without_padding(flux: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Turn runs of exact zeros at both ends, where a library has no data, into NaN."""
    inside = np.flatnonzero(flux != 0)
    cleaned = flux.copy()
    if len(inside):
        cleaned[: inside[0]] = np.nan
        cleaned[inside[-1] + 1 :] = np.nan
    return cleaned
