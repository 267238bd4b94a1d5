"""Histograms of match separations beside those expected by chance."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from splus_hypercube.view.statistics import SurveyStatistics
from splus_hypercube.view.theme import Theme, drawing

__all__ = ["separation_svg"]

# Placeholders, replaced by the colours of the page's style sheet.
_PAGE = Theme(
    ground="#fe0001",
    ink="#fe0002",
    muted="#fe0003",
    hairline="#fe0004",
    image_colormap="gray",
    no_data="#fe0005",
    blue="#fe0006",
    vermilion="#fe0007",
)
_VARIABLES = {
    _PAGE.ground: "var(--ground)",
    _PAGE.ink: "var(--ink)",
    _PAGE.muted: "var(--muted)",
    _PAGE.hairline: "var(--hairline)",
    _PAGE.blue: "var(--data)",
    _PAGE.vermilion: "var(--accent)",
}
_COLUMNS = 3
_BINS = 20


def separation_svg(surveys: Sequence[SurveyStatistics], *, synthetic: bool) -> str:
    """Draw one histogram per survey that is matched by position.

    The dashed line is the expected number of chance matches, whose density grows linearly with the
    separation.

    Parameters
    ----------
    surveys : sequence of SurveyStatistics
    synthetic : bool
        Whether to say in the figure that the data are simulated.

    Returns
    -------
    str
        An ``svg`` element that takes its colours from the page (CSS variables ``--ground, --ink,
        --muted, --hairline, --data, --accent``); empty if there is no match to draw.
    """
    shown = [
        (item, item.radius_arcsec)
        for item in surveys
        if len(item.separation_arcsec) and item.radius_arcsec is not None
    ]
    if not shown:
        return ""
    rows = -(-len(shown) // _COLUMNS)
    with drawing(_PAGE), mpl.rc_context({"svg.hashsalt": "separations"}):
        figure = Figure(figsize=(10.0, 0.35 + 2.25 * rows))
        top = 1.0 - 0.45 / figure.get_figheight()
        figure.subplots_adjust(left=0.07, right=0.99, top=top, hspace=0.62, wspace=0.26)
        figure.subplots_adjust(bottom=0.48 / figure.get_figheight())
        for number, (survey, radius) in enumerate(shown, start=1):
            _histogram(figure.add_subplot(rows, _COLUMNS, number), survey, radius)
        if synthetic:
            figure.text(0.99, 0.995, "SYNTHETIC DATA", ha="right", va="top", color=_PAGE.vermilion)
        buffer = io.StringIO()
        figure.savefig(
            buffer,
            format="svg",
            transparent=True,
            metadata={"Date": None, "Creator": None, "Format": None, "Type": None},
        )
    return _for_page(buffer.getvalue(), [item.title for item, _radius in shown])


def _histogram(axes: Axes, survey: SurveyStatistics, radius: float) -> None:
    edges = np.linspace(0.0, radius, _BINS + 1)
    counts, _ = np.histogram(survey.separation_arcsec, edges)
    axes.stairs(counts, edges, fill=True, color=_PAGE.blue, alpha=0.75)
    if survey.chance_matches is not None:
        # Uniform on the disc: 2 r dr / R^2 of all chance matches fall between r and r + dr.
        expected = survey.chance_matches * 2.0 * edges / radius**2 * (edges[1] - edges[0])
        axes.plot(edges, expected, color=_PAGE.vermilion, linewidth=1.4, linestyle=(0, (4, 2)))
    median = survey.median_separation_arcsec
    if median is not None:
        axes.axvline(median, color=_PAGE.ink, linewidth=0.9)
    axes.yaxis.set_major_locator(MaxNLocator(nbins=5, integer=True))
    axes.set_xlim(0.0, radius)
    axes.set_ylim(0.0, 1.08 * float(counts.max(initial=1)))
    axes.set_title(f"{survey.title} ({survey.matches})")
    axes.set_xlabel("Separation (arcsec)")
    axes.set_ylabel("Sources per bin")


def _for_page(svg: str, titles: Sequence[str]) -> str:
    """The bare element, with the page's colours and a description for those who cannot see it."""
    element = svg[svg.index("<svg") :].strip()
    for colour, variable in _VARIABLES.items():
        element = element.replace(colour, variable)
    # The page decides the size, and its fonts are the page's.
    element = re.sub(r' (?:width|height)="[\d.]+pt"', "", element, count=2)
    element = element.replace("'DejaVu Sans'", "var(--sans)")
    label = f"Histograms of match separations for {', '.join(titles)}"
    return element.replace("<svg ", f'<svg role="img" aria-label="{label}" ', 1)
