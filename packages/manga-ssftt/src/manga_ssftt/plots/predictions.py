"""Truth against prediction, and learning curves."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from astropy.io import fits
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from astro_common.atomic import atomic_path
from astro_common.errors import InputError
from astro_common.figures import drawing, mark_synthetic, saved
from manga_ssftt.patches import has_label
from manga_ssftt.plots.label_maps import abundance_limits, draw_map
from manga_ssftt.plots.style import ABSENT_COLOUR, LINE_COLOURS, label_spaxels

__all__ = ["draw_history", "draw_prediction"]


@drawing()
def draw_prediction(source: Path, path: Path) -> None:
    """Draw label, prediction and their difference of a file of the verb predict.

    Parameters
    ----------
    source : Path
        FITS.
    path : Path
        PNG; replaced if it exists.

    Raises
    ------
    InputError
        If the file is missing, damaged, or no prediction.
    OutputError
        If the figure cannot be written.
    """
    if not source.is_file():
        raise InputError(source, "no such file", "a map that the verb predict writes")
    try:
        with fits.open(source) as hdus:
            header = hdus[0].header
            task, plateifu = str(header["TASK"]), str(header["PLATEIFU"])
            synthetic = bool(header.get("SYNTHETI", False))
            truth, predicted = np.array(hdus["LABEL"].data), np.array(hdus["PRED"].data)
            log_oh = np.array(hdus["LOGOH"].data) if "LOGOH" in hdus else None
    except (OSError, KeyError, IndexError) as error:
        raise InputError(source, f"no prediction ({error})", "what predict writes") from error
    truth, predicted = _native(truth), _native(predicted)
    kind = "logOH" if task == "logOH" else "BPT"
    known = has_label(truth)
    shown = np.where(known, predicted, np.nan if kind == "logOH" else 0)
    n_panels = 3 if log_oh is None else 4
    figure = Figure(figsize=(4.8 * n_panels, 4.4), layout="constrained")
    left, middle, right, *last = figure.subplots(1, n_panels)
    if log_oh is not None:
        draw_map(last[0], _native(log_oh), "logOH")
        last[0].set_title("predicted oxygen abundance")
    limits = abundance_limits(truth, shown) if kind == "logOH" else None
    draw_map(left, truth, kind, limits=limits)
    left.set_title("measured label")
    draw_map(middle, shown, kind, limits=limits)
    middle.set_title("prediction")
    if kind == "logOH":
        difference = shown - truth
        span = max(float(np.nanquantile(np.abs(difference), 0.98)), 1e-3) if known.any() else 0.1
        image = right.imshow(difference, origin="lower", cmap="PuOr", vmin=-span, vmax=span)
        figure.colorbar(image, ax=right, label="prediction - label  [dex]", shrink=0.85)
        mae = float(np.nanmean(np.abs(difference))) if known.any() else float("nan")
        right.set_title(f"MAE {mae:.4f} dex")
    else:
        correct = np.where(known, np.where(shown == truth, 1.0, 2.0), 0.0)
        colours = [ABSENT_COLOUR, LINE_COLOURS[0], LINE_COLOURS[1]]
        image = right.imshow(
            correct, origin="lower", cmap=ListedColormap(colours), vmin=-0.5, vmax=2.5
        )
        bar = figure.colorbar(image, ax=right, ticks=(0, 1, 2), shrink=0.85)
        bar.ax.set_yticklabels(["no label", "correct", "wrong"])
        share = float(np.mean(shown[known] == truth[known])) if known.any() else float("nan")
        right.set_title(f"{100 * share:.1f} % correct")
    right.set_facecolor(ABSENT_COLOUR)
    label_spaxels(right)
    figure.suptitle(f"{plateifu}  {task}")
    if synthetic:
        mark_synthetic(figure)
    with atomic_path(path, overwrite=True) as partial:
        partial.write_bytes(saved(figure, dots_per_inch=110))


def _native(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    return values.astype(values.dtype.newbyteorder("="))


@drawing()
def draw_history(source: Path, path: Path) -> None:
    """Draw the learning curves of a ``history.json`` of the verb train.

    Raises
    ------
    InputError
        If the file is missing, damaged, or no history.
    OutputError
        If the figure cannot be written.
    """
    try:
        rows: list[dict[str, float]] = json.loads(source.read_bytes())
        epochs = [row["epoch"] + 1 for row in rows]
        curves = {
            name: [float(row.get(name, np.nan)) for row in rows]
            for name in ("train_loss", "val_loss", "val_accuracy", "val_mae_dex", "learning_rate")
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(source, f"no learning curves ({error})", "a history.json") from error
    if not epochs:
        raise InputError(source, "no epoch", "at least one")
    with_abundance = bool(np.any(np.isfinite(curves["val_mae_dex"])))
    figure = Figure(figsize=(13.0, 3.8), layout="constrained")
    left, middle, right = figure.subplots(1, 3)
    marker = "o" if len(epochs) < 25 else None
    left.plot(epochs, curves["train_loss"], color=LINE_COLOURS[0], marker=marker, label="training")
    left.plot(
        epochs,
        curves["val_loss"],
        color=LINE_COLOURS[1],
        ls="--",
        marker=marker,
        label="validation",
    )
    left.set_ylabel("loss")
    left.legend(frameon=False)
    key = "val_mae_dex" if with_abundance else "val_accuracy"
    middle.plot(epochs, curves[key], color=LINE_COLOURS[1], marker=marker)
    middle.set_ylabel("validation MAE [dex]" if with_abundance else "validation accuracy")
    right.plot(epochs, curves["learning_rate"], color=LINE_COLOURS[2], marker=marker)
    right.set_ylabel("learning rate")
    for axes in (left, middle, right):
        axes.set_xlabel("epoch")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(alpha=0.3)
    figure.suptitle("learning curves")
    if any(row.get("synthetic") for row in rows):
        mark_synthetic(figure)
    with atomic_path(path, overwrite=True) as partial:
        partial.write_bytes(saved(figure, dots_per_inch=110))
