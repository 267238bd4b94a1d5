"""Figures of an evaluation: confusion matrix and occlusion."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from astro_common.atomic import atomic_path
from astro_common.figures import drawing, mark_synthetic, saved
from manga_ssftt.plots.style import BPT_NAMES, LINE_COLOURS

__all__ = ["class_names", "draw_confusion", "draw_occlusion"]


def class_names(figures: Mapping[str, Any]) -> list[str]:
    """Names of the classes of an evaluation: BPT classes, or ranges of 12 + log(O/H)."""
    if figures["task"] != "logOH":
        return [BPT_NAMES[number] for number in figures["class_ids"]]
    edges = [f"{edge:.2f}" for edge in figures["edges"]]
    inner = [f"{low}-{high}" for low, high in pairwise(edges)]
    return [f"< {edges[0]}", *inner, f"> {edges[-1]}"]


@drawing()
def draw_confusion(path: Path, figures: Mapping[str, Any]) -> None:
    """Draw the confusion matrix, each row as shares of the true class.

    Raises
    ------
    OutputError
        If the file cannot be written.
    """
    counts = np.asarray(figures["confusion_matrix"], dtype=np.float64)
    total = counts.sum(axis=1, keepdims=True)
    shares = np.divide(counts, total, out=np.zeros_like(counts), where=total > 0)
    names = class_names(figures)
    side = 2.6 + 0.75 * len(names)
    figure = Figure(figsize=(side + 0.8, side), layout="constrained")
    axes = figure.add_subplot()
    image = axes.imshow(shares, cmap="cividis", vmin=0, vmax=1)
    for row in range(len(names)):
        for column in range(len(names)):
            colour = "black" if shares[row, column] > 0.6 else "white"
            text = f"{shares[row, column]:.2f}\n{int(counts[row, column])}"
            axes.text(column, row, text, ha="center", va="center", color=colour, fontsize=8)
    axes.set_xticks(range(len(names)), names, rotation=35, ha="right")
    axes.set_yticks(range(len(names)), names)
    axes.set_xlabel("predicted class")
    axes.set_ylabel("true class")
    axes.set_title(f"OA {figures['oa']:.3f}, {figures['n']} spaxels")
    figure.colorbar(image, ax=axes, label="share of the true class", shrink=0.8)
    if figures.get("synthetic"):
        mark_synthetic(figure)
    with atomic_path(path, overwrite=True) as partial:
        partial.write_bytes(saved(figure, dots_per_inch=120))


@drawing()
def draw_occlusion(path: Path, figures: Mapping[str, Any]) -> None:
    """Draw what the removal of each window costs.

    Raises
    ------
    OutputError
        If the file cannot be written.
    """
    rows = figures["occlusion"]
    is_abundance = "mae_increase_dex" in rows[0]
    key = "mae_increase_dex" if is_abundance else "accuracy_drop"
    label = "increase of the MAE [dex]" if is_abundance else "loss of accuracy"
    even = [row for row in rows if row["name"][0].isdigit()]
    lines = [row for row in rows if not row["name"][0].isdigit()]
    figure = Figure(figsize=(8.5, 6.5), layout="constrained")
    top, bottom = figure.subplots(2, 1, height_ratios=(1, 1.2))
    edges = [row["low"] for row in even] + [even[-1]["high"]]
    top.stairs([row[key] for row in even], edges, fill=True, color=LINE_COLOURS[0])
    top.set_xlabel("rest-frame vacuum wavelength [angstrom]")
    top.set_ylabel(label)
    top.set_title("flux of a window replaced by a straight line")
    top.axhline(0, color="#555555", lw=0.6)
    places = np.arange(len(lines))
    bottom.barh(places, [row[key] for row in lines], color=LINE_COLOURS[1])
    bottom.set_yticks(places, [row["name"] for row in lines])
    bottom.invert_yaxis()
    bottom.axvline(0, color="#555555", lw=0.6)
    bottom.set_xlabel(label)
    if figures.get("synthetic"):
        mark_synthetic(figure)
    with atomic_path(path, overwrite=True) as partial:
        partial.write_bytes(saved(figure, dots_per_inch=120))
