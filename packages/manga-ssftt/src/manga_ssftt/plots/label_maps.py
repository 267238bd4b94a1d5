"""One map of a galaxy: BPT classes or oxygen abundance."""

from __future__ import annotations

from typing import Any

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from astro_common.figures import mark_synthetic
from manga_ssftt.plots.style import ABSENT_COLOUR, BPT_NAMES, bpt_colour_map, label_map_axes

__all__ = ["abundance_limits", "draw_map", "label_figure"]

_ABUNDANCE_LABEL = "12 + log(O/H)  [dex]"


def abundance_limits(*maps: npt.NDArray[Any]) -> tuple[float, float]:
    """Colour limits that hold the middle 96 per cent of the abundances of some maps."""
    values = np.concatenate([np.ravel(one[np.isfinite(one)]) for one in maps])
    if len(values) == 0:
        return 8.0, 9.0
    low, high = np.quantile(values, (0.02, 0.98))
    margin = max(0.02 - (high - low) / 2, 0.0)  # a map of one value still has a scale
    return float(low - margin), float(high + margin)


def draw_map(
    axes: Axes,
    values: npt.NDArray[Any],
    task: str,
    *,
    limits: tuple[float, float] | None = None,
    colour_bar: bool = True,
) -> None:
    """Draw a map with its colour bar.

    Parameters
    ----------
    axes : matplotlib.axes.Axes
    values : ndarray, shape (n_y, n_x)
        BPT classes, or abundances with NaN where absent.
    task : {"BPT", "logOH"}
    limits : (float, float), optional
        Of the colours of abundances.
    colour_bar : bool, optional
    """
    figure = axes.get_figure()
    assert figure is not None  # noqa: S101 - axes always belong to a figure
    if task == "BPT":
        colours, bounds = bpt_colour_map()
        image = axes.imshow(
            values, origin="lower", cmap=colours, norm=bounds, interpolation="nearest"
        )
        if colour_bar:
            bar = figure.colorbar(image, ax=axes, ticks=range(len(BPT_NAMES)), shrink=0.85)
            bar.ax.set_yticklabels(BPT_NAMES)
    else:
        low, high = abundance_limits(values) if limits is None else limits
        scale = mpl.colormaps["viridis"].with_extremes(bad=ABSENT_COLOUR)
        image = axes.imshow(
            np.ma.masked_invalid(values),
            origin="lower",
            cmap=scale,
            vmin=low,
            vmax=high,
            interpolation="nearest",
        )
        if colour_bar:
            figure.colorbar(image, ax=axes, label=_ABUNDANCE_LABEL, shrink=0.85, extend="both")
    label_map_axes(axes)


def label_figure(
    values: npt.NDArray[Any], task: str, plateifu: str, *, synthetic: bool = False
) -> Figure:
    """Figure of a label map.

    Parameters
    ----------
    values : ndarray, shape (n_y, n_x)
    task : {"BPT", "logOH"}
    plateifu : str
    synthetic : bool, optional
        Say so in the figure.

    Returns
    -------
    matplotlib.figure.Figure
    """
    figure = Figure(figsize=(5.2, 4.2), layout="constrained")
    axes = figure.add_subplot()
    draw_map(axes, values, task)
    axes.set_title(f"{plateifu}  {'BPT class' if task == 'BPT' else 'oxygen abundance'}")
    if synthetic:
        mark_synthetic(figure)
    return figure
