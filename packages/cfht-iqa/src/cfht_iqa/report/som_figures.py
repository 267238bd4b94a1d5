"""Figures of a self-organising map: U-matrix, hits, groups, component planes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from matplotlib import colormaps
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from astro_common.figures import MUTED, mark_synthetic
from cfht_iqa.som.files import TrainedMap
from cfht_iqa.som.topology import node_positions

__all__ = ["component_planes", "describe", "map_overview"]

# Of even lightness, which readers of any colour vision can order.
_SEQUENTIAL_MAP: Final = "cividis"
# Leaves room above the panels for the mark of synthetic data.
_BELOW_MARK: Final = (0.0, 0.0, 1.0, 0.94)
_TITLES: Final = {
    "iso0": "log10 isophotal area / px²",
    "elongation": "log10 elongation",
    "ellipticity": "ellipticity",
    "class_star": "CLASS_STAR",
    "background": "background relative to its CCD",
    "exptime_s": "log10 exposure time / s",
    "flags": "FLAGS",
    "x_image": "x / px",
    "y_image": "y / px",
}


def map_overview(trained: TrainedMap) -> Figure:
    """U-matrix, hits and groups of nodes side by side.

    Parameters
    ----------
    trained : TrainedMap
        With ``hits`` in its record, or without.

    Returns
    -------
    matplotlib.figure.Figure
    """
    som = trained.som
    hits = np.array(trained.record.get("hits") or np.zeros(som.n_nodes), float)
    figure = Figure(
        figsize=(9.6, 3.5), layout=ConstrainedLayoutEngine(h_pad=0.14, rect=_BELOW_MARK)
    )
    left, middle, right = figure.subplots(1, 3)
    _plane(figure, left, trained, som.u_matrix().ravel(), "U-matrix", "mean distance to neighbours")
    share = 100.0 * hits / max(hits.sum(), 1.0)
    _plane(figure, middle, trained, share, "Hits", "share of the sources / %")
    _groups(right, trained)
    _mark(figure, trained)
    return figure


def component_planes(trained: TrainedMap) -> Figure:
    """One panel per feature: its value at each node, in the unit in which the map sees it.

    Parameters
    ----------
    trained : TrainedMap
        The map.

    Returns
    -------
    matplotlib.figure.Figure
    """
    scaling = trained.scaling
    count = len(scaling.features)
    columns = min(4, count)
    rows = -(-count // columns)
    figure = Figure(
        figsize=(2.9 * columns, 3.1 * rows),
        layout=ConstrainedLayoutEngine(h_pad=0.14, rect=_BELOW_MARK),
    )
    axes: Any = figure.subplots(rows, columns, squeeze=False).ravel()
    weights = trained.som.weights_.reshape(trained.som.n_nodes, -1).astype(np.float64)
    for place, ax in enumerate(axes):
        if place >= count:
            ax.set_visible(False)
            continue
        name = scaling.features[place]
        values = weights[:, place] * scaling.spread[place] + scaling.centre[place]
        label = _TITLES.get(name, name) if scaling.scale == "default" else name
        _plane(figure, ax, trained, values, name, label)
    _mark(figure, trained)
    return figure


def _mark(figure: Figure, trained: TrainedMap) -> None:
    if trained.record.get("synthetic"):
        mark_synthetic(figure)


def _cells(trained: TrainedMap) -> list[npt.NDArray[np.float64]]:
    som = trained.som
    places = node_positions(som.height, som.width, som.topology)
    if som.topology == "hexagonal":
        angles = np.radians(np.arange(30, 390, 60))
        outline = np.stack([np.cos(angles), np.sin(angles)], axis=1) / np.sqrt(3.0)
    else:
        outline = np.array([[-0.5, -0.5], [0.5, -0.5], [0.5, 0.5], [-0.5, 0.5]])
    return [outline + place[::-1] for place in places]


def _plane(
    figure: Figure,
    ax: Any,
    trained: TrainedMap,
    values: npt.NDArray[np.float64],
    title: str,
    label: str,
) -> None:
    cells = PolyCollection(_cells(trained), cmap=_SEQUENTIAL_MAP, edgecolor="face", linewidth=0.2)
    cells.set_array(values)
    ax.add_collection(cells)
    _frame(ax, trained, title)
    bar = figure.colorbar(cells, ax=ax, orientation="horizontal", shrink=0.9, pad=0.03)
    bar.set_label(label, fontsize=8)
    bar.ax.tick_params(labelsize=7)


def _groups(ax: Any, trained: TrainedMap) -> None:
    count = trained.n_clusters
    colours = colormaps["tab20"](np.arange(20) % 20)
    flat = trained.node_cluster.ravel()
    cells = PolyCollection(
        _cells(trained), facecolors=colours[flat % 20], edgecolor="white", linewidth=0.4
    )
    ax.add_collection(cells)
    _frame(ax, trained, f"{count} groups of nodes")
    places = node_positions(trained.som.height, trained.som.width, trained.som.topology)
    # Colours alone do not tell twenty groups apart: numbers do.
    for node, (y, x) in enumerate(places):
        size = 6.0 if trained.som.n_nodes > 100 else 8.0
        ax.text(x, y, str(flat[node]), ha="center", va="center", fontsize=size, color="#000000")


def _frame(ax: Any, trained: TrainedMap, title: str) -> None:
    places = node_positions(trained.som.height, trained.som.width, trained.som.topology)
    low, high = places.min(axis=0) - 0.7, places.max(axis=0) + 0.7
    ax.set_xlim(low[1], high[1])
    ax.set_ylim(high[0], low[0])
    ax.set_aspect("equal")
    ax.set_xticks([])
    ax.set_yticks([])
    ax.set_title(title)
    for side in ax.spines.values():
        side.set_color(MUTED)
        side.set_visible(False)


def describe(record: Mapping[str, Any]) -> str:
    """Say in a line how good a map is."""
    parts = []
    for key, text in (
        ("n_samples", "{:,} sources"),
        ("quantisation_error", "quantisation error {:.3f}"),
        ("topographic_error", "topographic error {:.3f}"),
    ):
        if record.get(key) is not None:
            parts.append(text.format(record[key]))
    return ", ".join(parts)
