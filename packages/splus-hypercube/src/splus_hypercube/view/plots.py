"""One figure of a source: cutouts, photometry, counterparts, light curves and spectra."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from astro_common.atomic import atomic_path
from splus_hypercube.bands import BANDS
from splus_hypercube.view.cutout_panels import draw_cutouts
from splus_hypercube.view.labels import with_minus_signs
from splus_hypercube.view.light_curve import draw_light_curve, light_curves
from splus_hypercube.view.match_table import draw_match_table
from splus_hypercube.view.matches import source_matches
from splus_hypercube.view.photometry import draw_photometry, splus_magnitudes
from splus_hypercube.view.source import Source
from splus_hypercube.view.spectrum import desi_arms, draw_coefficients, draw_spectrum
from splus_hypercube.view.theme import LIGHT, Theme, drawing

__all__ = ["draw_source", "source_png", "write_source_png"]

_WIDTH_IN = 13.0
_LEFT_IN, _RIGHT_IN = 0.9, 0.25
_DOTS_PER_INCH = 120
_CUTOUTS_PER_ROW = 6
_LIGHT_CURVE_IN = 1.3


@dataclass(frozen=True)
class _Band:
    """A horizontal band of the figure: height, space above, and what fills it."""

    height_in: float
    above_in: float
    fill: Callable[[Figure, float], None]


def write_source_png(source: Source, path: Path, *, overwrite: bool = False) -> None:
    """Draw a source into a PNG file; the same source gives the same bytes.

    Parameters
    ----------
    source : Source
    path : Path
    overwrite : bool
        Replace a file that exists.

    Raises
    ------
    OutputError
        If the file exists or cannot be written.
    """
    with atomic_path(path, overwrite=overwrite) as partial:
        partial.write_bytes(source_png(source))


def source_png(
    source: Source, theme: Theme = LIGHT, *, dots_per_inch: int = _DOTS_PER_INCH
) -> bytes:
    """Draw a source as a PNG image.

    Parameters
    ----------
    source : Source
    theme : Theme
    dots_per_inch : int
        The figure is 13 inches wide.

    Returns
    -------
    bytes
        PNG, without a date or the name of a program.
    """
    with drawing(theme):
        figure = draw_source(source, theme)
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", dpi=dots_per_inch, metadata={"Software": None})
    return buffer.getvalue()


def draw_source(source: Source, theme: Theme = LIGHT) -> Figure:
    """Draw a source.

    Parameters
    ----------
    source : Source
    theme : Theme

    Returns
    -------
    matplotlib.figure.Figure
        13 inches wide and as high as the source's data need; unknown to pyplot.
    """
    with drawing(theme):
        figure = _Layout(source, theme).figure()
        FigureCanvasAgg(figure)
    return figure


class _Layout:
    """Stacks the parts that a source has data for; the figure is as high as they need."""

    def __init__(self, source: Source, theme: Theme) -> None:
        self._source = source
        self._theme = theme
        self._height_in = 0.0

    def figure(self) -> Figure:
        bands = self._bands()
        self._height_in = sum(band.height_in + band.above_in for band in bands) + 0.15
        figure = Figure(figsize=(_WIDTH_IN, self._height_in))
        top = self._height_in
        for band in bands:
            top -= band.above_in
            band.fill(figure, top - band.height_in)
            top -= band.height_in
        return figure

    def _bands(self) -> list[_Band]:
        source = self._source
        bands = [_Band(0.62, 0.12, self._header)]
        if any(image is not None for image in source.cutouts.values()):
            bands.append(_Band(4.62, 0.28, self._cutouts))
        else:
            bands.append(_Band(0.2, 0.1, self._no_cutouts))
        bands.append(_Band(3.1, 0.3, self._photometry_and_matches))
        if curves := light_curves(source):
            bands.append(_Band(_LIGHT_CURVE_IN * len(curves), 0.8, self._light_curves))
        if desi_arms(source):
            bands.append(_Band(2.7, 1.3, self._spectrum))
        if any(len(source.array(f"gaiaxp_{arm}_coefficients")) for arm in ("bp", "rp")):
            bands.append(_Band(1.9, 0.8, self._coefficients))
        bands.append(_Band(0.2, 0.55, self._footer))
        return bands

    def _axes(
        self, figure: Figure, bottom_in: float, height_in: float, left_in: float, width_in: float
    ) -> Axes:
        return figure.add_axes(
            (
                left_in / _WIDTH_IN,
                bottom_in / self._height_in,
                width_in / _WIDTH_IN,
                height_in / self._height_in,
            )
        )

    def _write(self, figure: Figure, x_in: float, y_in: float, text: str, **style: Any) -> None:
        figure.text(x_in / _WIDTH_IN, y_in / self._height_in, text, **style)

    def _header(self, figure: Figure, bottom: float) -> None:
        source = self._source
        self._write(
            figure, 0.25, bottom + 0.38, source.identifier, fontsize=15.0, fontweight="bold"
        )
        self._write(figure, 0.25, bottom + 0.1, self._subtitle(), color=self._theme.muted)
        if source.synthetic:
            self._write(
                figure,
                _WIDTH_IN - 0.3,
                bottom + 0.36,
                "SYNTHETIC DATA",
                ha="right",
                fontsize=13.0,
                fontweight="bold",
                color="#FFFFFF",
                bbox={"facecolor": "#B34700", "edgecolor": "none", "pad": 5.0},
            )

    def _subtitle(self) -> str:
        source = self._source
        parts = [f"S-PLUS field {source.field_name}"]
        ra, dec = source.number("ra"), source.number("dec")
        epoch = source.metadata.get("surveys", {}).get("splus", {}).get("epoch_jyear")
        if ra is not None and dec is not None:
            at = "" if epoch is None else f", epoch J{epoch:.2f}"
            parts.append(with_minus_signs(f"RA {ra:.6f}°, Dec {dec:+.6f}° (ICRS{at})"))
        kind, magnitudes, _missing = splus_magnitudes(source)
        r_mag = next((item.mag for item in magnitudes if item.band == "R"), None)
        if r_mag is not None:
            parts.append(f"R {r_mag:.2f} mag (AB, {kind})")
        return "   ".join(parts)

    def _cutouts(self, figure: Figure, bottom: float) -> None:
        gap = 0.12
        size = (_WIDTH_IN - 2 * _RIGHT_IN - (_CUTOUTS_PER_ROW - 1) * gap) / _CUTOUTS_PER_ROW
        panels = []
        for number in range(len(BANDS)):
            row, column = divmod(number, _CUTOUTS_PER_ROW)
            low = bottom + 4.62 - (row + 1) * size - row * 0.3
            panels.append(self._axes(figure, low, size, _RIGHT_IN + column * (size + gap), size))
        caption = draw_cutouts(panels, self._source, self._theme)
        low = bottom + 4.62 - 2 * size - 0.3 - 0.2
        self._write(figure, _RIGHT_IN, low, caption, fontsize=7.5, color=self._theme.muted)

    def _no_cutouts(self, figure: Figure, bottom: float) -> None:
        text = "This hypercube holds no cutout of this source."
        self._write(figure, _RIGHT_IN, bottom, text, color=self._theme.muted, style="italic")

    def _photometry_and_matches(self, figure: Figure, bottom: float) -> None:
        width = 4.9
        table_left = _LEFT_IN
        panel = self._axes(figure, bottom, 2.35, _LEFT_IN, width)
        if draw_photometry(panel, self._source, self._theme):
            panel.set_title("Photometry", loc="left", pad=44.0)
            table_left += width + 0.5
        else:
            panel.remove()
        table = self._axes(figure, bottom, 2.95, table_left, _WIDTH_IN - table_left - _RIGHT_IN)
        draw_match_table(table, source_matches(self._source), self._theme)

    def _light_curves(self, figure: Figure, bottom: float) -> None:
        """One panel per band, the bluest on top, on one axis of time."""
        curves = light_curves(self._source)
        first: Axes | None = None
        for number, curve in enumerate(reversed(curves)):
            panel = self._axes(
                figure,
                bottom + number * _LIGHT_CURVE_IN,
                _LIGHT_CURVE_IN - 0.08,
                _LEFT_IN,
                _WIDTH_IN - _LEFT_IN - 1.6,
            )
            draw_light_curve(panel, curve, self._theme)
            if first is None:
                first = panel
                panel.set_xlabel("Heliocentric modified Julian date (d)")
                panel.margins(x=0.02)
            else:
                panel.sharex(first)
                panel.tick_params(labelbottom=False)
        objects = len(self._source.get("ztf_objectids") or ())
        merged = f"{objects} objects merged" if objects > 1 else "1 object"
        panel.set_title(f"ZTF light curves ({merged})", loc="left")

    def _spectrum(self, figure: Figure, bottom: float) -> None:
        panel = self._axes(figure, bottom, 2.7, _LEFT_IN, _WIDTH_IN - _LEFT_IN - 1.6)
        draw_spectrum(panel, self._source, self._theme)

    def _coefficients(self, figure: Figure, bottom: float) -> None:
        width = 0.5 * (_WIDTH_IN - _LEFT_IN - _RIGHT_IN - 0.9)
        for number, arm in enumerate(("bp", "rp")):
            left = _LEFT_IN + number * (width + 0.9)
            panel = self._axes(figure, bottom, 1.9, left, width)
            if not draw_coefficients(panel, self._source, arm, self._theme):
                panel.remove()

    def _footer(self, figure: Figure, bottom: float) -> None:
        record = self._source.metadata.get("provenance", {})
        maker = str(record.get("distribution", ""))
        made_by = f"{maker} {record.get('versions', {}).get(maker, '')}".strip()
        text = f"{self._source.path.name}, row {self._source.row}"
        if made_by:
            text += f"; made by {made_by}"
        if self._source.synthetic:
            text += "; synthetic: no real source"
        self._write(figure, _RIGHT_IN, bottom, text, fontsize=7.0, color=self._theme.muted)
