"""Figures: learning curves, predictions against the truth, spectra, embeddings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from astro_common.atomic import atomic_path
from astro_common.figures import (
    BLUE,
    GREEN,
    HAIRLINE,
    INK,
    MUTED,
    ORANGE,
    VERMILION,
    drawing,
    mark_synthetic,
    saved,
)

__all__ = [
    "Drawn",
    "attribution_bars",
    "calibration",
    "comparison_bars",
    "embedding_map",
    "generated_spectra",
    "learning_curve",
    "predictions",
    "save",
]

# Units that VOUnit does not know stand in quotes.
QUOTE = "'"
_DOTS_PER_INCH = 130


def new_figure(width_in: float, height_in: float, synthetic: bool) -> Figure:
    """A figure that says so if its data are simulated."""
    figure = Figure(figsize=(width_in, height_in), layout="constrained")
    if synthetic:
        mark_synthetic(figure)
    return figure


def save(content: bytes, path: Path) -> None:
    """Write a figure, in the place of an older one."""
    with atomic_path(path, overwrite=True) as partial:
        partial.write_bytes(content)


def learning_curve(rows: Sequence[Mapping[str, str]], synthetic: bool) -> bytes:
    """Training and validation loss against the step (PNG).

    Parameters
    ----------
    rows : sequence of mapping
        ``step``, ``train_loss``, ``validation_loss``; empty where there is none.
    synthetic : bool
    """
    with drawing():
        figure = new_figure(6.0, 3.6, synthetic)
        axis = figure.subplots()
        for column, colour, label, marker in (
            ("train_loss", BLUE, "training", None),
            ("validation_loss", VERMILION, "validation (average of the weights)", "o"),
        ):
            points = [(float(r["step"]), float(r[column])) for r in rows if r[column]]
            if points:
                steps, losses = zip(*points, strict=True)
                axis.plot(steps, losses, color=colour, marker=marker, markersize=4, label=label)
        axis.set_xlabel("step")
        axis.set_ylabel("loss")
        axis.grid(True, axis="y")
        axis.legend()
        axis.set_title("Learning curve")
        return saved(figure, dots_per_inch=_DOTS_PER_INCH)


@dataclass(frozen=True)
class Drawn:
    """Draws of a spectrum of one source.

    Attributes
    ----------
    source, name : str
    grid : ndarray of float64, shape (length,), or None
        Wavelength in angstrom or pseudo-wavelength.
    values : ndarray of float64, shape (samples, length)
    truth : ndarray of float64, shape (length,)
        NaN if the source has none.
    unit : str
    """

    source: str
    name: str
    grid: NDArray[np.float64] | None
    values: NDArray[np.float64]
    truth: NDArray[np.float64]
    unit: str


def generated_spectra(panels: Sequence[Drawn], synthetic: bool) -> bytes:
    """Draws over the truth, a row for each source, a column for each spectrum (PNG)."""
    sources = list(dict.fromkeys(panel.source for panel in panels))
    names = list(dict.fromkeys(panel.name for panel in panels))
    with drawing():
        figure = new_figure(max(6.0, 3.4 * len(names)), 2.1 * len(sources) + 0.5, synthetic)
        axes = figure.subplots(len(sources), len(names), squeeze=False)
        for panel in panels:
            row, column = sources.index(panel.source), names.index(panel.name)
            axis = axes[row, column]
            length = panel.values.shape[1]
            x = np.arange(length) if panel.grid is None else panel.grid[:length]
            low, middle, high = np.quantile(panel.values, [0.16, 0.5, 0.84], axis=0)
            axis.plot(x, panel.truth, color=MUTED, linewidth=0.8, label="truth")
            axis.fill_between(x, low, high, color=BLUE, alpha=0.25, linewidth=0, label="68 %")
            axis.plot(x, middle, color=BLUE, linewidth=0.9, label="median of the draws")
            shown = np.concatenate([low, high, panel.truth[np.isfinite(panel.truth)]])
            bottom, top = np.percentile(shown, [0.5, 99.5])
            margin = 0.15 * (top - bottom) or 1.0
            axis.set_ylim(bottom - margin, top + margin)
            axis.set_title(f"{panel.source}  {panel.name}" if column == 0 else panel.name)
            if row == len(sources) - 1:
                wave = panel.grid is not None and float(panel.grid[-1]) > 1000.0
                axis.set_xlabel("wavelength (angstrom)" if wave else "pseudo-wavelength")
            if column == 0 or panel.unit != panels[0].unit:
                axis.set_ylabel(panel.unit.replace("Angstrom", "Å"), fontsize=7)
        handles, labels = axes[0, 0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=3)
        return saved(figure, dots_per_inch=_DOTS_PER_INCH)


def embedding_map(
    points: NDArray[np.float64],
    axes_names: tuple[str, str],
    value: NDArray[np.float64] | None,
    label: str | None,
    synthetic: bool,
) -> bytes:
    """Sources in two dimensions, coloured by a column (PNG)."""
    with drawing():
        figure = new_figure(5.6, 4.6, synthetic)
        axis = figure.subplots()
        known = np.zeros(len(points), dtype=bool) if value is None else np.isfinite(value)
        style: dict[str, Any] = {"s": 6, "linewidths": 0}
        none_label = None if value is None else "no value"
        axis.scatter(*points[~known].T, color=HAIRLINE, label=none_label, **style)
        if value is not None and known.any():
            low, high = np.percentile(value[known], [2.0, 98.0])
            drawn = axis.scatter(
                points[known, 0],
                points[known, 1],
                c=value[known],
                cmap="viridis",
                vmin=low,
                vmax=high,
                **style,
            )
            figure.colorbar(drawn, ax=axis, label=label, extend="both")
            axis.legend(markerscale=2)
        axis.set_xlabel(axes_names[0])
        axis.set_ylabel(axes_names[1])
        axis.set_title(f"{len(points)} sources")
        return saved(figure, dots_per_inch=_DOTS_PER_INCH)


def predictions(panels: Sequence[Any], synthetic: bool) -> bytes:
    """Predicted against true values with 68 % intervals, a panel for each comparison (PNG)."""
    columns = min(3, len(panels))
    rows = -(-len(panels) // columns)
    with drawing():
        figure = new_figure(3.3 * columns, 3.0 * rows + 0.3, synthetic)
        axes = figure.subplots(rows, columns, squeeze=False)
        for axis in axes.ravel()[len(panels) :]:
            axis.axis("off")
        for axis, panel in zip(axes.ravel(), panels, strict=False):
            found, truth = panel.prediction, panel.truth
            error = np.stack([found.mean - found.low, found.high - found.mean]).clip(min=0.0)
            axis.errorbar(
                truth, found.mean, error, fmt=".", color=BLUE, ecolor="#9CC4E0",
                markersize=3, elinewidth=0.6,
            )  # fmt: skip
            low, high = np.percentile(np.concatenate([truth, found.mean]), [0.5, 99.5])
            margin = 0.08 * (high - low) or 1.0
            limits = (low - margin, high + margin)
            axis.plot(limits, limits, color=INK, linewidth=0.7)
            axis.set_xlim(*limits)
            axis.set_ylim(*limits)
            unit = f" ({panel.unit.strip(QUOTE)})" if panel.unit else ""
            axis.set_xlabel(f"true{unit}")
            axis.set_ylabel(f"predicted{unit}")
            axis.set_title(f"{panel.target}\nfrom {panel.subset}", fontsize=9)
        return saved(figure, dots_per_inch=_DOTS_PER_INCH)


_BASELINES = {
    "column_mean": ("column mean", HAIRLINE),
    "nearest_neighbours": ("nearest neighbours", ORANGE),
    "gradient_boosting": ("gradient boosting", VERMILION),
    "mlp": ("MLP", GREEN),
}


def comparison_bars(panels: Sequence[Any], synthetic: bool) -> bytes:
    """RMSE of the model and of the baselines, relative to that of the column mean (PNG)."""
    with drawing():
        figure = new_figure(7.2, 0.52 * len(panels) + 1.3, synthetic)
        axis = figure.subplots()
        names = ["model", *(n for n in _BASELINES if any(n in p.baselines for p in panels))]
        height = 0.8 / len(names)
        for place, name in enumerate(names):
            label, colour = ("model", BLUE) if name == "model" else _BASELINES[name]
            values = []
            for panel in panels:
                own = panel.figures if name == "model" else panel.baselines.get(name)
                base = panel.baselines.get("column_mean")
                scale = base.rmse if base else panel.figures.rmse
                values.append(own.rmse / scale if own is not None and scale > 0 else np.nan)
            y = np.arange(len(panels)) + (place - (len(names) - 1) / 2) * height
            axis.barh(y, values, height, color=colour, label=label)
        labels = [f"{p.target} from {p.subset} ({p.figures.n})" for p in panels]
        axis.set_yticks(range(len(panels)), labels)
        axis.set_ylim(len(panels) - 0.4, -0.6)
        axis.set_title("Error (number of sources)")
        axis.set_xlabel("RMSE / RMSE of the column mean (smaller is better)")
        figure.legend(loc="outside lower center", ncols=len(names))
        return saved(figure, dots_per_inch=_DOTS_PER_INCH)


def calibration(panels: Sequence[Any], synthetic: bool) -> bytes:
    """Share of true values inside the 68 % interval, with its 95 % confidence interval (PNG)."""
    with drawing():
        figure = new_figure(7.2, 0.34 * len(panels) + 1.2, synthetic)
        axis = figure.subplots()
        share = np.array([panel.figures.coverage_68 for panel in panels])
        low, high = (
            np.array([getattr(panel.figures, f"coverage_68_{end}") for panel in panels])
            for end in ("low", "high")
        )
        y = np.arange(len(panels))
        axis.axvline(0.68, color=INK, linewidth=0.8)
        axis.errorbar(share, y, xerr=(share - low, high - share), fmt="o", color=BLUE, markersize=4)
        axis.set_yticks(y, [f"{p.target} from {p.subset} ({p.figures.n})" for p in panels])
        axis.set_xlim(0.0, 1.0)
        axis.set_ylim(len(panels) - 0.4, -0.6)
        axis.set_title("Calibration (number of sources)")
        axis.set_xlabel("share inside the predicted 68 % interval, with 95 % confidence")
        return saved(figure, dots_per_inch=_DOTS_PER_INCH)


def attribution_bars(target: str, unit: str, record: Mapping[str, Any], synthetic: bool) -> bytes:
    """RMSE without each group of modalities, and with it alone (PNG)."""
    groups = record["groups"]
    with drawing():
        figure = new_figure(6.4, 0.5 * len(groups) + 1.3, synthetic)
        axis = figure.subplots()
        y = np.arange(len(groups))
        axis.barh(y - 0.2, [g["rmse_without"] for g in groups.values()], 0.4, color=VERMILION,
                  label="without it")  # fmt: skip
        axis.barh(y + 0.2, [g["rmse_alone"] for g in groups.values()], 0.4, color=BLUE,
                  label="from it alone")  # fmt: skip
        axis.axvline(record["rmse"], color=INK, linewidth=0.8, label="from all")
        axis.set_yticks(y, list(groups))
        axis.invert_yaxis()
        axis.set_title("What each group of inputs adds")
        axis.set_xlabel(f"RMSE of {target}" + (f" ({unit})" if unit else ""))
        figure.legend(loc="outside lower center", ncols=3)
        return saved(figure, dots_per_inch=_DOTS_PER_INCH)
