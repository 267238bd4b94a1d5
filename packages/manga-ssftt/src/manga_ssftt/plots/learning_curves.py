"""Learning curves of a training run."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any, Final

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from astro_common.atomic import atomic_path
from astro_common.errors import InputError
from astro_common.figures import drawing, mark_synthetic, saved
from manga_ssftt.plots.style import LINE_COLOURS

__all__ = ["draw_history"]

_CURVES: Final = ("train_loss", "val_loss", "val_accuracy", "val_mae_dex", "learning_rate")


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
        rows: list[dict[str, Any]] = json.loads(source.read_bytes())
        epochs = [int(row["epoch"]) + 1 for row in rows]
        curves = {name: [_number(row.get(name)) for row in rows] for name in _CURVES}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
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


def _number(value: float | None) -> float:
    # JSON has no NaN: a loss that was none is null.
    return math.nan if value is None else float(value)
