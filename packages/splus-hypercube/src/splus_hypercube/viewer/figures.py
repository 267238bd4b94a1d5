"""The figures of one source, each alone, as SVG for the page."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping

import matplotlib as mpl
from matplotlib.figure import Figure

from splus_hypercube.view.light_curve import draw_light_curve, light_curves
from splus_hypercube.view.photometry import draw_photometry, splus_magnitudes, vista_magnitudes
from splus_hypercube.view.source import Source
from splus_hypercube.view.spectrum import desi_arms, draw_coefficients, draw_spectrum
from splus_hypercube.view.theme import Theme, drawing

__all__ = ["FIGURES", "figure_svg", "kinds_of"]

_WIDTH_IN = 8.6
_CURVE_IN = 1.35


def kinds_of(source: Source) -> list[str]:
    """The kinds of figure for which a source has data, in the order of the page."""
    present = {
        "photometry": bool(splus_magnitudes(source)[1] or vista_magnitudes(source)),
        "light_curve": bool(light_curves(source)),
        "spectrum": bool(desi_arms(source)),
        "xp": any(len(source.array(f"gaiaxp_{arm}_coefficients")) for arm in ("bp", "rp")),
    }
    return [kind for kind, there in present.items() if there]


def figure_svg(source: Source, kind: str, theme: Theme) -> bytes:
    """Draw a figure.

    Parameters
    ----------
    source : Source
    kind : str
        One of `FIGURES` for which `kinds_of` says that there are data.
    theme : Theme

    Returns
    -------
    bytes
        SVG with text as text; the same source gives the same bytes.
    """
    with drawing(theme), mpl.rc_context({"svg.hashsalt": kind}):
        figure = FIGURES[kind](source, theme)
        buffer = io.BytesIO()
        figure.savefig(buffer, format="svg", bbox_inches="tight", metadata={"Date": None})
    return buffer.getvalue()


def _photometry(source: Source, theme: Theme) -> Figure:
    figure = Figure(figsize=(_WIDTH_IN, 3.0))
    draw_photometry(figure.add_subplot(), source, theme)
    return figure


def _light_curve(source: Source, theme: Theme) -> Figure:
    """One panel per band, the bluest on top, on one axis of time."""
    curves = light_curves(source)
    figure = Figure(figsize=(_WIDTH_IN, _CURVE_IN * len(curves) + 0.5))
    panels = figure.subplots(len(curves), 1, sharex=True, squeeze=False)[:, 0]
    for panel, curve in zip(panels, curves, strict=True):
        draw_light_curve(panel, curve, theme)
        panel.margins(x=0.02)
    panels[-1].set_xlabel("Heliocentric modified Julian date (d)")
    return figure


def _spectrum(source: Source, theme: Theme) -> Figure:
    figure = Figure(figsize=(_WIDTH_IN, 3.0))
    draw_spectrum(figure.add_subplot(), source, theme)
    return figure


def _xp(source: Source, theme: Theme) -> Figure:
    arms = [arm for arm in ("bp", "rp") if len(source.array(f"gaiaxp_{arm}_coefficients"))]
    figure = Figure(figsize=(_WIDTH_IN, 2.2))
    panels = figure.subplots(1, len(arms), squeeze=False)[0]
    for panel, arm in zip(panels, arms, strict=True):
        draw_coefficients(panel, source, arm, theme)
    figure.subplots_adjust(wspace=0.3)
    return figure


FIGURES: Mapping[str, Callable[[Source, Theme], Figure]] = {
    "photometry": _photometry,
    "light_curve": _light_curve,
    "spectrum": _spectrum,
    "xp": _xp,
}
"""What draws each kind of figure."""
