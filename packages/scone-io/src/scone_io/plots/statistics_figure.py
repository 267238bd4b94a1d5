"""A sample of events in six panels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from astro_common.figures import INK, MUTED, drawing, mark_synthetic, saved
from scone_io.example.event import Event
from scone_io.grid import GridSpec
from scone_io.heatmap import SPECTRUM_DAYS, light_curve, spectrum
from scone_io.labels import BINARY, label_name
from scone_io.plots.event_figure import draw_map
from scone_io.plots.theme import (
    ERROR_MAP,
    FLUX_MAP,
    class_colour,
    day_label,
    mark_reference,
)

__all__ = ["Statistics", "statistics_figure"]

_SIZE_IN = (14.0, 8.2)

Floats = npt.NDArray[np.floating]


@dataclass
class _Mean:
    """Mean and spread of arrays that come one by one (Welford 1962, Technometrics 4, 419)."""

    count: int = 0
    mean: Floats = field(default_factory=lambda: np.zeros(()))
    squares: Floats = field(default_factory=lambda: np.zeros(()))

    def add(self, values: Floats) -> None:
        self.count += 1
        step = values - self.mean
        self.mean = self.mean + step / self.count
        self.squares = self.squares + step * (values - self.mean)

    def spread(self) -> Floats:
        return np.sqrt(self.squares / max(1, self.count))


class Statistics:
    """Sums over a sample of events; each event counts alike, whatever its flux.

    Parameters
    ----------
    grid : GridSpec

    Attributes
    ----------
    num_events : int
    num_without_flux : int
        Events whose largest flux is not positive and finite; they are not in the means.
    """

    def __init__(self, grid: GridSpec) -> None:
        self.grid = grid
        self.num_events = 0
        self.num_without_flux = 0
        self.redshifts: dict[int, list[float]] = {}
        self.classes: dict[int, int] = {}
        self.maps = _Mean()
        self.curves: dict[int, _Mean] = {}
        self.spectra: dict[int, _Mean] = {}

    def add(self, event: Event) -> None:
        """Add an event."""
        self.num_events += 1
        label = event.label
        self.classes[label] = self.classes.get(label, 0) + 1
        if event.z is not None and 0.0 <= event.z < np.inf:
            self.redshifts.setdefault(label, []).append(event.z)
        flux = np.asarray(event.flux, dtype=np.float64)
        largest = float(flux.max())
        # A value that is NaN makes the largest NaN, which is not positive either.
        if not 0.0 < largest < np.inf or not np.all(np.isfinite(flux)):
            self.num_without_flux += 1
            return
        scaled = flux / largest
        self.maps.add(scaled)
        for kept, values in (
            (self.curves, light_curve(scaled)),
            (self.spectra, spectrum(scaled, self.grid)),
        ):
            top = float(values.max())
            if top > 0.0:
                kept.setdefault(label, _Mean()).add(values / top)


def statistics_figure(
    statistics: Statistics,
    *,
    names: Mapping[int, str] = BINARY,
    source: str = "",
    kind: str = "png",
) -> bytes:
    """Draw what a sample of events has in common.

    Parameters
    ----------
    statistics : Statistics
    names : mapping of int to str
        Class by label.
    source : str
        What the sample is of, for the caption.
    kind : str
        ``png`` or ``pdf``.

    Returns
    -------
    bytes
        The same sample gives the same bytes.
    """
    grid = statistics.grid
    with drawing():
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
        if statistics.maps.count:
            mean, spread = statistics.maps.mean, statistics.maps.spread()
            draw_map(panels[0, 0], mean, grid, FLUX_MAP, "Mean heatmap", "flux / largest flux")
            draw_map(
                panels[0, 1], spread, grid, ERROR_MAP, "Spread of heatmaps", "standard deviation"
            )
        else:
            for axes in panels[0, :2]:
                _nothing(axes, "no event with positive flux")
        _draw_classes(panels[0, 2], statistics, names)
        _draw_redshifts(panels[1, 0], statistics, names)
        _draw_curves(panels[1, 1], statistics, names)
        _draw_spectra(panels[1, 2], statistics, names)
        figure.text(0.02, 0.945, f"{statistics.num_events} events", fontsize=15.0, color=INK)
        left_out = statistics.num_without_flux
        more = f"; {left_out} without positive finite flux are not in the means" if left_out else ""
        figure.text(0.02, 0.91, source + more, color=MUTED)
        if grid.notes.get("synthetic"):
            mark_synthetic(figure)
        return saved(figure, kind)


def _nothing(axes: Axes, text: str) -> None:
    axes.axis("off")
    axes.text(0.5, 0.5, text, ha="center", color=MUTED, transform=axes.transAxes)


def _draw_classes(axes: Axes, statistics: Statistics, names: Mapping[int, str]) -> None:
    labels = sorted(statistics.classes)
    counts = [statistics.classes[label] for label in labels]
    bars = axes.bar(
        [label_name(label, names) for label in labels],
        counts,
        color=[class_colour(label) for label in labels],
        width=0.6,
    )
    total = max(1, statistics.num_events)
    axes.bar_label(bars, [f"{count} ({count / total:.0%})" for count in counts], padding=2)
    axes.margins(y=0.14)
    axes.set_title("Classes")
    axes.set_ylabel("events")
    if labels == [0]:
        axes.set_xlabel("every label is 0: real data, class unknown?")


def _draw_redshifts(axes: Axes, statistics: Statistics, names: Mapping[int, str]) -> None:
    labels = sorted(statistics.redshifts)
    known = [np.array(statistics.redshifts[label]) for label in labels]
    count = sum(map(len, known))
    if not count:
        _nothing(axes, "no redshifts")
        return
    axes.hist(
        known,
        bins=30,
        stacked=True,
        color=[class_colour(label) for label in labels],
        label=[label_name(label, names) for label in labels],
    )
    mean = float(np.concatenate(known).mean())
    axes.axvline(mean, color=INK, linestyle="--", linewidth=1.0, label=f"mean {mean:.3f}")
    without = statistics.num_events - count
    axes.set_title("Redshifts" + (f" ({without} without)" if without else ""))
    axes.set_xlabel("redshift")
    axes.set_ylabel("events")
    axes.legend()


def _draw_lines(axes: Axes, x: Floats, kept: Mapping[int, _Mean], names: Mapping[int, str]) -> None:
    for label in sorted(kept):
        mean, spread = kept[label].mean, kept[label].spread()
        colour = class_colour(label)
        axes.fill_between(x, mean - spread, mean + spread, color=colour, alpha=0.2, linewidth=0.0)
        axes.plot(
            x,
            mean,
            color=colour,
            linewidth=1.6,
            # Classes differ in more than colour.
            linestyle="-" if label == 1 else "--",
            label=label_name(label, names),
        )
    axes.axhline(0.0, color=MUTED, linewidth=0.6)
    axes.grid(visible=True)
    if kept:
        axes.legend()


def _draw_curves(axes: Axes, statistics: Statistics, names: Mapping[int, str]) -> None:
    grid = statistics.grid
    _draw_lines(axes, grid.times, statistics.curves, names)
    mark_reference(axes, grid)
    axes.set_xlim(grid.edges[:2])
    axes.set_title("Mean light curve by class")
    axes.set_xlabel(day_label(grid))
    axes.set_ylabel("sum over wavelength / its largest")


def _draw_spectra(axes: Axes, statistics: Statistics, names: Mapping[int, str]) -> None:
    grid = statistics.grid
    _draw_lines(axes, grid.wavelengths, statistics.spectra, names)
    axes.set_xlim(grid.edges[2:])
    first, last = SPECTRUM_DAYS
    title = f"Mean spectrum by class, {first:+.0f} to {last:+.0f} d"
    axes.set_title(title.replace("-", "\N{MINUS SIGN}"))
    axes.set_xlabel("observed wavelength (\N{ANGSTROM SIGN})")
    axes.set_ylabel("flux / largest flux")
