"""Lines of a spectrum: found, measured, identified.

A line is an excursion of the normalised spectrum from 1 that is significant against its noise when
a resolution element is averaged. Equivalent widths are integrals of 1 - f over the line; their
errors add the pixel noise to that of the continuum level (Vollmann & Eversberg 2006, AN 327, 862).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter1d, percentile_filter
from scipy.signal import find_peaks

from astro_common.errors import InputError
from sdss_spectra.bitmasks import DEFAULT_BITS
from sdss_spectra.linelist import nearest_line
from sdss_spectra.preprocessing.resample import LogGrid
from sdss_spectra.preprocessing.steps import Cleaned, Preprocessing, clean
from sdss_spectra.spectrum import Spectrum
from sdss_spectra.tables import column
from sdss_spectra.velocity import frame_velocity_kms
from sdss_spectra.wavelength import C_KMS

__all__ = ["COLUMNS", "LineSettings", "find_lines", "spectrum_lines"]

Floats = npt.NDArray[np.float64]

# Wings of the broadest Balmer lines of A dwarfs.
_MAX_HALF_WIDTH_A: Final = 80.0
_CONTINUUM_ORDER: Final = 9
# Emission must stand out from what lies about it: 0.02 dex of the grid of `own_grid`.
_HUMP_PIXELS: Final = 201
_HUMP_PERCENTILE: Final = 85.0

COLUMNS: Final = (
    column("wavelength_A", "float64", "centre, vacuum, in the star's rest frame", "Angstrom"),
    column("kind", "string", "absorption or emission"),
    column("significance", "float64", "depth over noise of a resolution element"),
    column("ew_A", "float64", "equivalent width; negative in emission", "Angstrom"),
    column("ew_err_A", "float64", "its standard error", "Angstrom"),
    column("elem", "string", "species of the nearest line of the list"),
    column("transition", "string", "name of that line"),
    column("lambda_rest_A", "float64", "rest wavelength of that line, vacuum", "Angstrom"),
)


@dataclass(frozen=True)
class LineSettings:
    """When an excursion is a line.

    Attributes
    ----------
    min_significance : float
        Lowest depth over noise.
    min_depth : float
        Lowest depth, of the continuum.
    tolerance_kms : float
        Largest velocity between a line and what it is identified with.
    smooth_pixels : float
        Standard deviation of a resolution element, in pixels of the grid.
    """

    min_significance: float = 5.0
    min_depth: float = 0.02
    tolerance_kms: float = 250.0
    smooth_pixels: float = 1.0


def find_lines(
    wavelength: Floats,
    flux: Floats,
    ivar: Floats,
    mask: npt.NDArray[np.bool_],
    settings: LineSettings | None = None,
) -> list[dict[str, Any]]:
    """Find lines in a normalised spectrum.

    Parameters
    ----------
    wavelength : ndarray of float64, shape (n_pixel,)
        Vacuum, at rest, angstrom.
    flux, ivar : ndarray of float64, shape (n_pixel,)
        Flux in units of the continuum and its inverse variance.
    mask : ndarray of bool, shape (n_pixel,)
        True where there are no data.
    settings : LineSettings, optional
        When an excursion is a line.

    Returns
    -------
    list of dict
        One per line, by wavelength; see `COLUMNS`. What is not identified has None.
    """
    settings = settings or LineSettings()
    good = ~mask & (ivar > 0)
    if np.count_nonzero(good) < 8:
        return []
    # Gaps are bridged by the continuum, so that their edges are no lines.
    depth = np.where(good, 1.0 - flux, 0.0)
    variance = np.where(good, 1.0 / np.where(good, ivar, 1.0), 0.0)
    smooth = gaussian_filter1d(depth, settings.smooth_pixels, mode="nearest")
    kernel_square = 1.0 / (2.0 * np.sqrt(np.pi) * settings.smooth_pixels)
    local = gaussian_filter1d(variance, settings.smooth_pixels, mode="nearest")
    noise = np.sqrt(np.maximum(local, 1e-12) * kernel_square)
    rows = []
    # Between the wide lines of hot stars the flux stands above a stiff continuum: that is no line.
    hump = np.maximum(percentile_filter(-smooth, _HUMP_PERCENTILE, _HUMP_PIXELS), 0.0)
    for kind, sign, excess in (("absorption", 1.0, smooth), ("emission", -1.0, -smooth - hump)):
        scaled = excess / noise
        # Prominence keeps the ripples on a slope of the continuum from being lines.
        peaks, _ = find_peaks(
            scaled, height=settings.min_significance, prominence=settings.min_significance
        )
        peaks = peaks[good[peaks] & (excess[peaks] >= settings.min_depth)]
        if not len(peaks):
            continue
        for peak in peaks:
            inside = _extent(sign * smooth, noise, wavelength, int(peak))
            rows.append(
                _measure(
                    wavelength, depth, variance, good, int(peak), inside,
                    float(scaled[peak]), kind, settings,
                )
            )  # fmt: skip
    return sorted(rows, key=lambda row: (row["wavelength_A"], row["kind"]))


def _extent(depth: Floats, noise: Floats, wavelength: Floats, peak: int) -> slice:
    """Pixels of a line: outwards to a twentieth of its depth, or to a blend with the next line."""
    ends = []
    for step in (-1, 1):
        place = lowest = peak
        while 0 <= place + step < len(depth):
            place += step
            if depth[place] < depth[lowest]:
                lowest = place
            if depth[lowest] < 0.05 * depth[peak]:
                break
            if depth[place] > depth[lowest] + 2.0 * noise[place]:
                break
            if abs(wavelength[place] - wavelength[peak]) > _MAX_HALF_WIDTH_A:
                break
        ends.append(lowest)
    return slice(ends[0], ends[1] + 1)


def _measure(
    wavelength: Floats,
    depth: Floats,
    variance: Floats,
    good: npt.NDArray[np.bool_],
    peak: int,
    inside: slice,
    significance: float,
    kind: str,
    settings: LineSettings,
) -> dict[str, Any]:
    width = np.gradient(wavelength)[inside]
    area = depth[inside] * width
    ew = float(area.sum())
    pixel_variance = float((variance[inside] * width**2).sum())
    # The continuum is known as well as the noise allows over as many pixels beside the line.
    count = max(int(good[inside].sum()), 1)
    level_variance = float(np.median(variance[inside][good[inside]])) / (2 * count)
    ew_err = float(np.sqrt(pixel_variance + level_variance * float(width.sum()) ** 2))
    near = slice(max(0, peak - 3), peak + 4)
    weight = np.maximum(depth[near] * (1.0 if kind == "absorption" else -1.0), 0.0)
    centre = float(wavelength[peak])
    if weight.sum() > 0:
        centre = float((weight * wavelength[near]).sum() / weight.sum())
    line = nearest_line(centre, centre * settings.tolerance_kms / C_KMS)
    return {
        "wavelength_A": centre,
        "kind": kind,
        "significance": significance,
        "ew_A": ew,
        "ew_err_A": ew_err,
        "elem": None if line is None else line.elem,
        "transition": None if line is None else line.transition,
        "lambda_rest_A": None if line is None else line.vacuum_A,
    }


def spectrum_lines(
    spectrum: Spectrum, settings: LineSettings | None = None
) -> tuple[list[dict[str, Any]], Cleaned, LogGrid]:
    """Clean a spectrum on a grid of its own range and find its lines.

    Returns
    -------
    rows : list of dict
        See `find_lines`.
    cleaned : Cleaned
        The normalised spectrum.
    grid : LogGrid
        Its grid.
    """
    grid = own_grid(spectrum)
    # Residuals of bright sky lines, and the misfit of a stiff continuum, look like emission lines.
    settings_of_search = Preprocessing(
        grid=grid, and_bits=(*DEFAULT_BITS, "BRIGHTSKY"), continuum_order=_CONTINUUM_ORDER
    )
    cleaned = clean(spectrum, settings_of_search)
    rows = find_lines(grid.wavelength, cleaned.flux, cleaned.ivar, cleaned.mask, settings)
    return rows, cleaned, grid


def own_grid(spectrum: Spectrum) -> LogGrid:
    """A grid of 1e-4 dex over the range of a spectrum at rest, as SDSS's own pixels are.

    Raises
    ------
    InputError
        The wavelengths lie beyond what a grid may have.
    """
    wavelength = spectrum.solution.vacuum
    velocity, _ = frame_velocity_kms(spectrum)
    shift = np.log10(1.0 + (velocity or 0.0) / C_KMS)
    # A start on whole steps makes grids of different spectra share their pixels.
    start = round(float(np.ceil((np.log10(wavelength[0]) - shift) * 1e4)) * 1e-4, 4)
    stop = float(np.log10(wavelength[-1]) - shift)
    if not (2.0 < start < 5.5 and stop < 6.0):
        found = f"wavelengths from {wavelength[0]:g} to {wavelength[-1]:g} angstrom"
        raise InputError(spectrum.path, found, "between 100 and 316,000 angstrom")
    return replace(LogGrid(), loglam_start=start, n_pixels=max(8, int((stop - start) / 1e-4)))
