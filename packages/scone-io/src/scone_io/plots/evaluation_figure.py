"""How good predictions are, in three panels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from astro_common.figures import INK, MUTED, drawing, saved
from scone_io.plots.theme import CLASS_COLOURS

__all__ = ["evaluation_figure"]


def evaluation_figure(result: Mapping[str, Any], *, source: str = "", kind: str = "png") -> bytes:
    """Draw confusion matrix, receiver operating characteristic and calibration.

    Parameters
    ----------
    result : mapping
        Of `scone_io.evaluation.evaluate`.
    source : str
        For the caption.
    kind : str
        ``png`` or ``pdf``.

    Returns
    -------
    bytes
    """
    with drawing():
        figure = Figure(figsize=(14.0, 4.8))
        panels = figure.subplots(
            1,
            3,
            gridspec_kw={"left": 0.06, "right": 0.98, "top": 0.8, "bottom": 0.13, "wspace": 0.28},
        )
        _draw_confusion(panels[0], result["confusion_matrix"])
        _draw_roc(panels[1], result)
        _draw_calibration(panels[2], result["calibration"])
        low, high = result["accuracy_interval_95"]
        figure.text(
            0.02,
            0.92,
            f"Accuracy {result['accuracy']:.1%} (95 %: {low:.1%} to {high:.1%}), "
            f"{result['num_matched']} events",
            fontsize=14.0,
            color=INK,
        )
        figure.text(0.02, 0.875, source, color=MUTED)
        return saved(figure, kind)


def _draw_confusion(axes: Axes, counts: list[list[int]]) -> None:
    matrix = np.array(counts, dtype=np.float64)
    shares = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1.0)
    axes.imshow(shares, cmap="Blues", vmin=0.0, vmax=1.0)
    for row in range(2):
        for column in range(2):
            dark = shares[row, column] > 0.5
            axes.text(
                column,
                row,
                f"{counts[row][column]}\n{shares[row, column]:.1%}",
                ha="center",
                va="center",
                color="#FFFFFF" if dark else INK,
                fontsize=12.0,
            )
    names = ["not Ia", "SN Ia"]
    axes.set_xticks([0, 1], names)
    axes.set_yticks([0, 1], names)
    axes.set_xlabel("predicted, at 0.5")
    axes.set_ylabel("label")
    axes.set_title("Confusion matrix")


def _draw_roc(axes: Axes, result: Mapping[str, Any]) -> None:
    points = np.array(result["roc"], dtype=np.float64)
    axes.plot([0.0, 1.0], [0.0, 1.0], color=MUTED, linestyle="--", linewidth=0.8, label="chance")
    area = result["roc_auc"]
    if area is not None:
        axes.plot(points[:, 0], points[:, 1], color=CLASS_COLOURS[1], label=f"area {area:.4f}")
    axes.set_xlabel("share of the others called SN Ia")
    axes.set_ylabel("share of SN Ia found")
    axes.set_title("Receiver operating characteristic")
    axes.grid(visible=True)
    axes.legend(loc="lower right")


def _draw_calibration(axes: Axes, rows: list[dict[str, Any]]) -> None:
    some = [row for row in rows if row["events"]]
    mean = np.array([row["mean_probability"] for row in some])
    share = np.array([row["fraction_ia"] for row in some])
    count = np.array([row["events"] for row in some])
    axes.plot([0.0, 1.0], [0.0, 1.0], color=MUTED, linestyle="--", linewidth=0.8, label="perfect")
    error = np.sqrt(np.maximum(share * (1.0 - share), 0.25 / count) / count)
    axes.errorbar(
        mean, share, error, color=CLASS_COLOURS[0], marker="o", markersize=4.0, capsize=2.0
    )
    for x, y, number in zip(mean, share, count, strict=True):
        axes.annotate(str(number), (x, y), (4, -10), textcoords="offset points", fontsize=7.5)
    axes.set_xlim(-0.03, 1.03)
    axes.set_ylim(-0.05, 1.08)
    axes.set_xlabel("predicted probability")
    axes.set_ylabel("share of SN Ia")
    axes.set_title("Calibration (numbers: events)")
    axes.grid(visible=True)
    axes.legend(loc="upper left")
