"""Figures of the report: sources before and after the round trip."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from astro_common.figures import BLUE, INK, MUTED, ORANGE, SKY, VERMILION, drawing, saved

__all__ = ["comparison_figure", "image_figure", "scalar_figure", "spectrum_figure"]

_QUANTIZER_COLOURS = {"kmeans": BLUE, "residual": SKY, "fsq": ORANGE, "lfq": VERMILION}
_DOTS_PER_INCH = 110
_MAX_BANDS = 6
_TITLE_SIZE = 8


@drawing()
def scalar_figure(
    columns: dict[str, tuple[NDArray[Any], NDArray[Any]]], units: dict[str, str], title: str
) -> bytes:
    """Error of the round trip against the value, a panel for each column (PNG)."""
    figure = _figure(2.3 * -(-len(columns) // 3) + 0.4)
    axes = figure.subplots(-(-len(columns) // 3), 3, squeeze=False)
    for axis in axes.ravel()[len(columns) :]:
        axis.axis("off")
    for axis, (name, (before, after)) in zip(axes.ravel(), columns.items(), strict=False):
        low, high = np.percentile(before, [0.0, 98.0]) if len(before) else (0.0, 1.0)
        error = after - before
        axis.plot(before, error, ".", color=BLUE, markersize=2, alpha=0.6, rasterized=True)
        axis.axhline(0.0, color=INK, linewidth=0.5)
        if high > low:
            axis.set_xlim(low, high)
        reach = float(np.percentile(np.abs(error), 99.0)) if len(error) else 1.0
        if reach > 0.0:
            axis.set_ylim(-1.3 * reach, 1.3 * reach)
        unit = f" ({units[name]})" if units.get(name) else ""
        axis.set_title(name, fontsize=_TITLE_SIZE)
        axis.set_xlabel(f"value{unit}")
        axis.set_ylabel(f"decoded - value{unit}")
        axis.ticklabel_format(axis="y", scilimits=(-3, 4))
    return _png(figure, title)


@drawing()
def spectrum_figure(
    unit: str, axis_label: str, examples: Sequence[tuple[Any, ...]], title: str
) -> bytes:
    """Spectra before and after, and their difference in errors (PNG)."""
    figure = _figure(2.0 * len(examples) + 0.4)
    axes = figure.subplots(len(examples), 2, squeeze=False, width_ratios=(2.2, 1.0))
    for (left, right), (values, weight, decoded, x, source) in zip(axes, examples, strict=True):
        valid = weight > 0.0
        place = np.arange(len(values)) if x is None else x
        curve = axis_label.startswith("time")
        style: dict[str, Any] = {"linestyle": "", "marker": "."} if curve else {}
        wide = {"markersize": 7} if curve else {"linewidth": 2.2}
        fine = {"markersize": 3} if curve else {"linewidth": 0.6}
        left.plot(place[valid], values[valid], color=MUTED, label="measured", **style, **wide)
        left.plot(place[valid], decoded[valid], color=VERMILION, label="decoded", **style, **fine)
        left.set_title(source, fontsize=_TITLE_SIZE)
        left.set_ylabel(unit)
        low, high = np.percentile(values[valid], [0.2, 99.8])
        margin = 0.15 * (high - low) or 1.0
        left.set_ylim(low - margin, high + margin)
        if curve:
            left.invert_yaxis()  # brighter is up
        pull = ((decoded - values) * weight)[valid]
        reach = max(float(np.percentile(np.abs(pull), 99.0)), 1e-3)
        right.hist(pull, bins=41, range=(-reach, reach), color=BLUE)
        right.set_title(f"added chi-square / pixel: {np.mean(pull**2):.2g}", fontsize=_TITLE_SIZE)
        right.set_yticks([])
        right.locator_params(axis="x", nbins=4)
    axes[0][0].legend(loc="best", fontsize=7)
    axes[-1][0].set_xlabel("pixel" if examples[0][3] is None else axis_label)
    axes[-1][1].set_xlabel("(decoded - measured) / error")
    return _png(figure, title)


@drawing()
def image_figure(
    images: NDArray[Any],
    decoded: NDArray[Any],
    bands: Sequence[str],
    noise: NDArray[Any],
    title: str,
) -> bytes:
    """Cutouts before and after, and their difference in units of the noise (PNG)."""
    chosen = np.linspace(0, len(bands) - 1, min(_MAX_BANDS, len(bands))).round().astype(int)
    figure = _figure(4.3)
    axes = figure.subplots(3, len(chosen), squeeze=False)
    for column, band in enumerate(chosen):
        before, after = images[band] / noise[band], decoded[band] / noise[band]
        finite = np.arcsinh(before[np.isfinite(before)])
        high = float(np.percentile(finite, 99.9)) if finite.size else 1.0
        shown = (np.arcsinh(before), np.arcsinh(after), np.clip(after - before, -5.0, 5.0))
        limits = ((-2.0, max(high, 3.0)), (-2.0, max(high, 3.0)), (-5.0, 5.0))
        for row, (picture, limit) in enumerate(zip(shown, limits, strict=True)):
            axis = axes[row][column]
            colours = "RdBu_r" if row == 2 else "gray_r"
            axis.imshow(picture, origin="lower", cmap=colours, vmin=limit[0], vmax=limit[1])
            axis.set_xticks([])
            axis.set_yticks([])
            axis.grid(visible=False)
            if column == 0:
                axis.set_ylabel(("measured", "decoded", "difference")[row])
        name = bands[band].removeprefix("splus_cut_")
        axes[0][column].set_title(name, fontsize=_TITLE_SIZE)
    return _png(figure, f"{title} (arsinh of flux / noise; differences within 5 times the noise)")


_LOG_TICKS = [digit * 10.0**power for power in range(-6, 3) for digit in (1, 2, 5)]


@drawing()
def comparison_figure(rows: Sequence[dict[str, Any]], title: str) -> bytes:
    """Distortion and perplexity of each quantiser (PNG)."""
    blocks = list(dict.fromkeys(row["block"] for row in rows))
    figure = _figure(2.8)
    left, right = figure.subplots(1, 2)
    width = 0.8 / len(_QUANTIZER_COLOURS)
    for number, (name, colour) in enumerate(_QUANTIZER_COLOURS.items()):
        own = {row["block"]: row for row in rows if row["quantizer"] == name}
        place = np.arange(len(blocks)) + (number - 1.5) * width
        for axis, key in ((left, "rmse_normalised"), (right, "perplexity")):
            axis.bar(place, [own[b][key] for b in blocks], width, color=colour, label=name)
    for axis, label in ((left, "RMSE, normalised"), (right, "perplexity")):
        axis.set_xticks(np.arange(len(blocks)), blocks)
        axis.set_ylabel(label)
    left.set_yscale("log")
    # Labels between the powers of ten would run into each other.
    left.yaxis.set_minor_formatter(lambda _value, _place: "")
    low, high = left.get_ylim()
    ticks = [tick for tick in _LOG_TICKS if low <= tick <= high]
    left.set_yticks(ticks, [f"{tick:g}" for tick in ticks])
    right.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return _png(figure, title)


def _figure(height: float) -> Figure:
    return Figure(figsize=(9.0, height), layout="constrained")


def _png(figure: Figure, title: str) -> bytes:
    figure.suptitle(title, fontsize=9, color=INK)
    for axis in figure.axes:
        axis.tick_params(labelsize=7)
        axis.xaxis.label.set_fontsize(8)
        axis.yaxis.label.set_fontsize(8)
    return saved(figure, dots_per_inch=_DOTS_PER_INCH)
