"""One event in five panels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from astro_common.figures import INK, MUTED, drawing, mark_synthetic, saved
from scone_io.example.event import Event
from scone_io.grid import GridSpec
from scone_io.heatmap import (
    SPECTRUM_DAYS,
    light_curve,
    light_curve_error,
    observed,
    spectrum,
    spectrum_error,
)
from scone_io.labels import BINARY, label_name
from scone_io.plots.theme import (
    ERROR_MAP,
    FLUX_MAP,
    SNR_MAP,
    class_colour,
    day_label,
    mark_reference,
)

__all__ = ["draw_map", "event_figure"]

_MAX_SNR = 50.0
_SIZE_IN = (14.0, 8.2)

Floats = npt.NDArray[np.floating]


def event_figure(
    event: Event,
    grid: GridSpec,
    *,
    names: Mapping[int, str] = BINARY,
    source: str = "",
    kind: str = "png",
) -> bytes:
    """Draw an event.

    Parameters
    ----------
    event : Event
    grid : GridSpec
    names : mapping of int to str
        Class by label.
    source : str
        Where the event comes from, for the caption.
    kind : str
        ``png`` or ``pdf``.

    Returns
    -------
    bytes
        The same event gives the same bytes.
    """
    flux = np.asarray(event.flux, dtype=np.float64)
    error = np.asarray(event.flux_err, dtype=np.float64)
    with drawing(), np.errstate(all="ignore"):
        figure = Figure(figsize=_SIZE_IN)
        panels = figure.subplots(
            2,
            3,
            gridspec_kw={
                "left": 0.06,
                "right": 0.965,
                "top": 0.86,
                "bottom": 0.09,
                "wspace": 0.3,
                "hspace": 0.34,
            },
        )
        largest = float(np.fmax.reduce(flux, axis=None))
        scaled = flux / largest if largest > 0.0 else flux
        label = "flux / largest flux" if largest > 0.0 else f"flux ({grid.flux_unit})"
        draw_map(panels[0, 0], scaled, grid, FLUX_MAP, "Flux", label)
        draw_map(panels[0, 1], error, grid, ERROR_MAP, "Uncertainty", f"sigma ({grid.flux_unit})")
        snr = np.divide(flux, error, out=np.zeros_like(flux), where=error > 0.0)
        draw_map(
            panels[0, 2],
            np.clip(snr, 0.0, None),
            grid,
            SNR_MAP,
            "Signal to noise",
            f"flux / sigma (scale ends at {_MAX_SNR:.0f})",
            limits=(0.0, _MAX_SNR),
        )
        _draw_curve(panels[1, 0], event, flux, error, grid)
        _draw_spectrum(panels[1, 1], event, flux, error, grid)
        _describe(panels[1, 2], flux, error, grid, largest)
        _title(figure, event, names, source)
        if grid.notes.get("synthetic"):
            mark_synthetic(figure)
        return saved(figure, kind)


def draw_map(
    axes: Axes,
    values: Floats,
    grid: GridSpec,
    colours: str,
    title: str,
    label: str,
    *,
    limits: tuple[float | None, float | None] = (None, None),
    reference: str = "#FFFFFF",
) -> Any:
    """Draw values by day and wavelength; pixels reach half a bin beyond the bins' centres.

    Parameters
    ----------
    axes : matplotlib.axes.Axes
    values : ndarray of float64, shape (n_wavelength, n_time)
    grid : GridSpec
    colours : str
        Colour map.
    title, label : str
        Of the panel and of its colour bar.
    limits : (float, float)
        Of the colours; None takes the values' own.
    reference : str
        Colour of the line at day 0.
    """
    image = axes.imshow(
        values,
        origin="lower",
        aspect="auto",
        extent=grid.edges,
        cmap=colours,
        vmin=limits[0],
        vmax=limits[1],
        interpolation="nearest",
    )
    mark_reference(axes, grid, reference)
    axes.set_title(title)
    axes.set_xlabel(day_label(grid))
    axes.set_ylabel("observed wavelength (\N{ANGSTROM SIGN})")
    bar = axes.figure.colorbar(image, ax=axes, pad=0.02)
    bar.set_label(label)
    bar.outline.set_linewidth(0.5)
    return image


def _draw_curve(axes: Axes, event: Event, flux: Floats, error: Floats, grid: GridSpec) -> None:
    curve, spread = light_curve(flux), light_curve_error(error)
    colour = class_colour(event.label)
    axes.fill_between(
        grid.times, curve - spread, curve + spread, color=colour, alpha=0.25, linewidth=0.0
    )
    axes.plot(grid.times, curve, color=colour, linewidth=1.6)
    axes.axhline(0.0, color=MUTED, linewidth=0.6)
    mark_reference(axes, grid)
    axes.grid(visible=True)
    axes.set_xlim(grid.edges[:2])
    axes.set_title("Light curve")
    axes.set_xlabel(day_label(grid))
    axes.set_ylabel(f"sum over wavelength ({grid.flux_unit})")


def _draw_spectrum(axes: Axes, event: Event, flux: Floats, error: Floats, grid: GridSpec) -> None:
    values, spread = spectrum(flux, grid), spectrum_error(error, grid)
    colour = class_colour(event.label)
    wavelengths = grid.wavelengths
    axes.fill_between(
        wavelengths, values - spread, values + spread, color=colour, alpha=0.25, linewidth=0.0
    )
    axes.plot(wavelengths, values, color=colour, linewidth=1.6, marker=".", markersize=4.0)
    axes.axhline(0.0, color=MUTED, linewidth=0.6)
    axes.grid(visible=True)
    axes.set_xlim(grid.edges[2:])
    first, last = SPECTRUM_DAYS
    title = f"Mean spectrum, {first:+.0f} to {last:+.0f} d"
    axes.set_title(title.replace("-", "\N{MINUS SIGN}"))
    axes.set_xlabel("observed wavelength (\N{ANGSTROM SIGN})")
    axes.set_ylabel(f"flux ({grid.flux_unit})")


def _describe(axes: Axes, flux: Floats, error: Floats, grid: GridSpec, largest: float) -> None:
    axes.axis("off")
    curve = light_curve(flux)
    peak = grid.times[int(np.argmax(np.nan_to_num(curve, nan=-np.inf)))]
    magnitude = grid.zero_point_mag - 2.5 * np.log10(largest) if largest > 0.0 else np.nan
    missing = int(np.isnan(flux).sum() + np.isnan(error).sum())
    entries = [
        ("largest flux", f"{largest:.4g} {grid.flux_unit}"),
        ("as a magnitude", "none" if np.isnan(magnitude) else f"{magnitude:.2f} mag"),
        ("light curve peaks at", f"{peak:+.1f} d"),
        ("bins near observations", f"{float(observed(error).mean()):.0%}"),
        ("values that are NaN", str(missing)),
        ("window", f"{grid.time_min_days:g} to {grid.time_max_days:g} d of {grid.reference}"),
    ]
    for place, (name, value) in enumerate(entries):
        height = 0.93 - 0.105 * place
        axes.text(0.0, height, name, color=MUTED, transform=axes.transAxes)
        axes.text(0.47, height, value.replace("-", "\N{MINUS SIGN}"), transform=axes.transAxes)
    axes.text(
        0.0,
        0.2,
        "A Gaussian process fills every bin. Shaded bands are its\n"
        "uncertainty, added up as if bins were independent;\n"
        "they are not, so the true bands are wider.",
        color=MUTED,
        fontsize=8.0,
        va="top",
        transform=axes.transAxes,
    )


def _title(figure: Figure, event: Event, names: Mapping[int, str], source: str) -> None:
    figure.text(0.02, 0.945, f"SNID {event.snid}", fontsize=15.0, fontweight="bold", color=INK)
    if event.z is None or not 0.0 <= event.z < np.inf:
        redshift = "redshift unknown"
    else:
        redshift = f"z = {event.z:.4f}"
        if event.z_err is not None and event.z_err >= 0.0:
            redshift += f" \N{PLUS-MINUS SIGN} {event.z_err:.4f}"
    text = f"{label_name(event.label, names)} (label {event.label})   {redshift}   {source}"
    figure.text(0.02, 0.91, text, color=MUTED)
