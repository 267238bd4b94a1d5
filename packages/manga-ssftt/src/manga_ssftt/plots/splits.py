"""Figures that show whether the parts of a split look alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from astro_common.atomic import atomic_path
from astro_common.figures import drawing, mark_synthetic, saved
from manga_ssftt.catalog import Catalog
from manga_ssftt.galaxy_file import GalaxyFile
from manga_ssftt.layout import Tree
from manga_ssftt.patches import has_label
from manga_ssftt.plots.style import BPT_NAMES, LINE_COLOURS
from manga_ssftt.splits import PARTS, Split

__all__ = ["draw_split"]

_HATCHES = ("", "//", "xx")
_STYLES = ("-", "--", ":")
# Axis labels of the columns that a split balances by default.
_COLUMN_LABELS = {
    "LOG_MASS": "log stellar mass [solar masses]",
    "NSA_ELPETRO_MASS": "stellar mass [solar masses / h²]",
    "SFR_TOT": "star-formation rate [solar masses / yr]",
    "NSA_ELPETRO_BA": "axis ratio b/a",
    "NSA_Z": "redshift",
    "Z": "redshift",
}


@drawing()
def draw_split(
    path: Path,
    split: Mapping[str, Split],
    catalog: Catalog,
    properties: Sequence[str],
    tree: Tree,
    task: str,
) -> str:
    """Draw the distributions of catalogue properties and of labels in each part.

    Parameters
    ----------
    path : Path
        Written as PNG; replaced if it exists.
    split : mapping of str to Split
    catalog : Catalog
    properties : sequence of str
        Columns of the catalogue.
    tree : Tree
        Of whose processed galaxies the labels are counted.
    task : {"BPT", "logOH"}

    Returns
    -------
    str
        The path.
    """
    n_panels = len(properties) + 1
    figure = Figure(figsize=(4.2 * n_panels, 3.6), layout="constrained")
    panels = figure.subplots(1, n_panels, squeeze=False)[0]
    for axes, name in zip(panels, properties, strict=False):
        values = [catalog.numbers(name, list(split[part])) for part in PARTS]
        _distribution(axes, [one[np.isfinite(one)] for one in values])
        meaning = _COLUMN_LABELS.get(name.upper())
        axes.set_xlabel(name if meaning is None else f"{name}: {meaning}")
        axes.set_ylabel("share of galaxies up to here")
    found = [_labels(tree, split[part], task) for part in PARTS]
    labels = [one for one, _ in found]
    _draw_labels(panels[-1], labels, task)
    described = {
        part: f"{part}: {len(split[part])} galaxies, {len(one)} spaxels"
        for part, one in zip(PARTS, labels, strict=True)
    }
    handles, parts = panels[-1].get_legend_handles_labels()
    names = [described[part] for part in parts]
    figure.legend(handles, names, loc="outside upper center", ncols=3, frameon=False)
    if any(synthetic for _, synthetic in found):
        mark_synthetic(figure)
    with atomic_path(path, overwrite=True) as partial:
        partial.write_bytes(saved(figure, dots_per_inch=120))
    return str(path)


def _labels(tree: Tree, part: Split, task: str) -> tuple[npt.NDArray[Any], bool]:
    """Labels of a part, and whether any of its galaxies is simulated."""
    found = [np.empty(0)]
    synthetic = False
    for plateifu, places in part.items():
        path = tree.galaxy(plateifu)
        if not path.exists():
            continue
        with GalaxyFile(path) as file:
            labels = file.label(task)
            synthetic |= file.synthetic
        chosen = labels.ravel() if places is None else labels[places[:, 0], places[:, 1]]
        found.append(chosen[has_label(chosen)])
    return np.concatenate(found), synthetic


def _distribution(axes: Axes, values: Sequence[npt.NDArray[np.float64]]) -> None:
    for number, (part, one) in enumerate(zip(PARTS, values, strict=True)):
        if len(one):
            axes.ecdf(
                one,
                lw=1.8,
                ls=_STYLES[number],
                color=LINE_COLOURS[number],
                label=part,
            )


def _draw_labels(axes: Axes, labels: Sequence[npt.NDArray[Any]], task: str) -> None:
    if task == "logOH":
        axes.set_ylabel("share of spaxels up to here")
        _distribution(axes, labels)
        axes.set_xlabel("12 + log(O/H)  [dex]")
        return
    axes.set_ylabel("share of spaxels")
    width = 0.27
    places = np.arange(1, len(BPT_NAMES))
    for number, (part, one) in enumerate(zip(PARTS, labels, strict=True)):
        counts = np.bincount(one.astype(np.int64), minlength=len(BPT_NAMES))[1:]
        axes.bar(
            places + (number - 1) * width,
            counts / max(counts.sum(), 1),
            width,
            color=LINE_COLOURS[number],
            hatch=_HATCHES[number],
            edgecolor="white",
            label=part,
        )
    axes.set_xticks(places, BPT_NAMES[1:], rotation=25, ha="right")
