"""Figure 1: a spectrum as calibrated by the survey, and normalised, with its lines."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Final

import numpy as np

from sdss_spectra.linelist import LINES
from sdss_spectra.lines import spectrum_lines
from sdss_spectra.reporting.theme import COLOURS, figure, save_figure
from sdss_spectra.spectrum import Spectrum

__all__ = ["draw_spectrum"]

# Lines that are labelled; the others are ticks only.
_LABELLED = (
    "H\u03b1", "H\u03b2", "H\u03b3", "H\u03b4", "Ca II K", "Ca II H", "G band", "Mg b1", "Na D2",
    "Ca II 8542", "TiO 7054", "He I 4471", "He I 5876",
)  # fmt: skip
# Lines that SDSS does not tell apart have one label.
_BLENDS: Final = {
    "Mg b1": "Mg b", "Mg b2": "Mg b", "Mg b4": "Mg b", "Na D1": "Na D", "Na D2": "Na D",
}  # fmt: skip
# Units of flux density as libraries write them, without blanks and slashes.
_CGS: Final = re.compile(r"ergs?s(ec)?(cm\^?2)(ang(strom)?s?|a)")


def unit_label(unit: str | None) -> str:
    """Axis label of a flux in the unit of its file."""
    text = (unit or "").strip()
    if not text:
        return "Flux (unit not given)"
    plain = text.lower().replace(" ", "")
    if plain.startswith(("1e-17erg", "1.0e-17erg")):
        return "Flux ($10^{-17}$ erg s$^{-1}$ cm$^{-2}$ Å$^{-1}$)"
    if _CGS.fullmatch(plain.replace("/", "")):
        return "Flux (erg s$^{-1}$ cm$^{-2}$ Å$^{-1}$)"
    return f"Flux ({text})"


def draw_spectrum(
    spectrum: Spectrum, path: Path, *, title: str | None = None, overwrite: bool = False
) -> list[dict[str, Any]]:
    """Draw a spectrum and mark its lines.

    Parameters
    ----------
    spectrum : Spectrum
        As read.
    path : Path
        ``.png``, ``.svg`` or ``.pdf``.
    title : str, optional
        Above the figure; by default the file and what it says of the object.
    overwrite : bool, optional
        Replace a figure that exists.

    Returns
    -------
    list of dict
        The lines, see `sdss_spectra.lines.find_lines`.
    """
    rows, cleaned, grid = spectrum_lines(spectrum)
    wavelength = grid.wavelength
    flux = np.where(cleaned.mask, np.nan, cleaned.flux)
    with figure(10.0, 6.6, 2, 1, sharex=False) as (made, (top, bottom)):
        raw = spectrum.flux.copy()
        if spectrum.ivar is not None:
            raw = np.where(spectrum.ivar > 0, raw, np.nan)
        top.plot(spectrum.solution.vacuum, raw, color=COLOURS["black"], lw=0.6)
        _limits(top, raw)
        top.set_ylabel(unit_label(spectrum.flux_unit))
        top.set_xlabel("Wavelength as observed, vacuum (Å)")
        top.set_title(title or _title(spectrum))
        bottom.plot(wavelength, flux, color=COLOURS["black"], lw=0.6)
        low, high = _limits(bottom, flux)
        # Room for names and ticks above, for the legend below.
        bottom.set_ylim(low - 0.16 * (high - low), high + 0.22 * (high - low))
        bottom.axhline(1.0, color=COLOURS["grey"], lw=0.6)
        seen = {row["transition"] for row in rows}
        for line in LINES:
            if line.use and wavelength[0] < line.vacuum_A < wavelength[-1]:
                bottom.plot(
                    [line.vacuum_A] * 2, [0.83, 0.86], transform=bottom.get_xaxis_transform(),
                    color=COLOURS["grey"], lw=0.7,
                )  # fmt: skip
        _labels(bottom, wavelength, seen)
        for kind, marker, colour in (("absorption", "v", "blue"), ("emission", "o", "vermilion")):
            found = [row for row in rows if row["kind"] == kind]
            if found:
                x = np.array([row["wavelength_A"] for row in found])
                y = np.interp(x, wavelength, cleaned.flux)
                bottom.plot(
                    x, np.clip(y, low, high), marker, color=COLOURS[colour], ms=4,
                    mfc="none", label=f"{kind} ({len(found)})",
                )  # fmt: skip
        if rows:
            bottom.legend(loc="lower right", ncol=2)
        bottom.set_ylabel("Flux / continuum")
        bottom.set_xlabel("Wavelength at rest, vacuum (Å)")
        for axis in (top, bottom):
            axis.set_xlim(wavelength[0], wavelength[-1])
        save_figure(made, path, overwrite=overwrite, synthetic=spectrum.is_synthetic)
    return rows


def _title(spectrum: Spectrum) -> str:
    kind = " ".join(
        text
        for text in (spectrum.cards.text("CLASS"), spectrum.cards.text("SUBCLASS", "SPTYPE"))
        if text
    )
    signal = spectrum.signal_to_noise()
    parts = [spectrum.name, kind, "" if signal is None else f"S/N {signal:.0f} per pixel"]
    return ", ".join(part for part in parts if part)


def _limits(axis: Any, values: Any) -> tuple[float, float]:
    inside = values[np.isfinite(values)]
    if not len(inside):
        axis.set_ylim(0.0, 1.0)
        return 0.0, 1.0
    low, high = np.percentile(inside, [0.1, 99.8])
    # Fluxes may be of the order of 1e-17 or of 1e5: the margin is relative.
    margin = 0.06 * (high - low) or 0.1 * abs(high) or 1.0
    axis.set_ylim(low - margin, high + margin)
    return float(low - margin), float(high + margin)


def _labels(axis: Any, wavelength: Any, seen: set[Any]) -> None:
    """Names of the chief lines, in two heights where they are close."""
    span = float(wavelength[-1] - wavelength[0])
    last = [-np.inf, -np.inf]
    for line in LINES:
        if line.transition not in _LABELLED or not wavelength[0] < line.vacuum_A < wavelength[-1]:
            continue
        level = 0 if line.vacuum_A - last[0] > 0.055 * span else 1
        if line.vacuum_A - last[level] <= 0.055 * span:
            continue
        last[level] = line.vacuum_A
        name = _BLENDS.get(line.transition, line.transition)
        found = any(_BLENDS.get(transition, transition) == name for transition in seen)
        axis.text(
            line.vacuum_A, 0.88 + 0.06 * level, name, transform=axis.get_xaxis_transform(),
            ha="center", va="bottom", size=7.5,
            color=COLOURS["black"] if found else COLOURS["grey"],
        )  # fmt: skip
