"""A predicted map beside the measured one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure

from astro_common.atomic import atomic_path
from astro_common.errors import InputError
from astro_common.figures import drawing, mark_synthetic, saved
from astro_common.fits import open_fits
from manga_ssftt.patches import has_label
from manga_ssftt.plots.label_maps import abundance_limits, draw_map
from manga_ssftt.plots.style import ABSENT_COLOUR, LINE_COLOURS, label_map_axes

__all__ = ["draw_prediction"]


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
    with open_fits(source) as file:
        header = file.header(0)
        if "TASK" not in header:
            raise InputError(source, "no keyword TASK", "a map that the verb predict writes")
        task, plateifu = str(header["TASK"]), str(header.get("PLATEIFU", ""))
        synthetic = bool(header.get("SYNTHETI", False))
        truth, predicted = (file.image(name).read() for name in ("LABEL", "PRED"))
        log_oh = file.image("LOGOH").read() if file.has("LOGOH") else None
    if any(one.ndim != 2 or one.shape != truth.shape for one in (truth, predicted)):
        raise InputError(
            source, f"maps of shapes {truth.shape} and {predicted.shape}", "one shape, (n_y, n_x)"
        )
    kind = "logOH" if task == "logOH" else "BPT"
    known = has_label(truth)
    shown = np.where(known, predicted, np.nan if kind == "logOH" else 0)
    n_panels = 3 if log_oh is None else 4
    figure = Figure(figsize=(4.8 * n_panels, 4.4), layout="constrained")
    left, middle, right, *last = figure.subplots(1, n_panels)
    if log_oh is not None:
        draw_map(last[0], log_oh, "logOH")
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
    label_map_axes(right)
    figure.suptitle(f"{plateifu}  {task}")
    if synthetic:
        mark_synthetic(figure)
    with atomic_path(path, overwrite=True) as partial:
        partial.write_bytes(saved(figure, dots_per_inch=110))
