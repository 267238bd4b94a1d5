"""Figure 4, how well a model performs; Figure 5, how well on other releases; learning curves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.ticker import MaxNLocator

from sdss_spectra.reporting.theme import CLASS_COLOURS, COLOURS, figure, save_figure

__all__ = ["draw_history", "draw_performance", "draw_shift"]


def draw_performance(
    result: Mapping[str, Any], path: Path, *, overwrite: bool, synthetic: bool
) -> None:
    """Draw confusion, one-vs-rest ROC and precision-recall, accuracy by S/N and coverage.

    Parameters
    ----------
    result : mapping
        See `sdss_spectra.evaluation.evaluate_predictions`.
    path : Path
        The figure.
    """
    with figure(12.0, 7.6, 2, 3) as (made, axes):
        _confusion(axes[0, 0], result)
        _curves(axes[0, 1], axes[0, 2], result)
        _scatter(axes[1, 0], result["accuracy_by_snr"], "Median S/N per pixel", log=True)
        _scatter(axes[1, 1], result["accuracy_by_coverage"], "Fraction of the grid covered")
        _reliability(axes[1, 2], result)
        save_figure(made, path, overwrite=overwrite, synthetic=synthetic)


def _confusion(axis: Any, result: Mapping[str, Any]) -> None:
    table = result["confusion"]
    counts = np.array(table["counts"], float)
    total = counts.sum(axis=1, keepdims=True)
    share = np.divide(counts, total, out=np.zeros_like(counts), where=total > 0)
    axis.imshow(share, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    size = 9 if len(table["predicted"]) <= 8 else 7
    for row, column in np.ndindex(*counts.shape):
        if counts[row, column]:
            axis.text(
                column, row, int(counts[row, column]), ha="center", va="center", size=size,
                color="white" if share[row, column] > 0.55 else COLOURS["black"],
            )  # fmt: skip
    turned = 45 if len(table["predicted"]) > 8 else 0
    axis.set_xticks(range(len(table["predicted"])), table["predicted"], size=size, rotation=turned)
    axis.set_yticks(range(len(table["true"])), table["true"], size=size)
    axis.set_xlabel("Predicted class")
    axis.set_ylabel("True class")
    interval = result["accuracy_interval_95"]
    spread = "" if interval is None else f" (95 %: {interval[0]:.2f} to {interval[1]:.2f})"
    axis.set_title(
        f"Accuracy {result['accuracy']:.3f}{spread}, {result['spectra']} spectra", size=9
    )


def _curves(left: Any, right: Any, result: Mapping[str, Any]) -> None:
    for number, (name, curve) in enumerate(result["curves"].items()):
        style = {
            "color": CLASS_COLOURS[number % len(CLASS_COLOURS)],
            "lw": 1.3,
            "ls": "-" if number < len(CLASS_COLOURS) else "--",
        }
        left.plot(
            curve["false_positive_rate"], curve["true_positive_rate"],
            label=f"{name}  {curve['roc_auc']:.3f}  {curve['average_precision']:.3f}", **style,
        )  # fmt: skip
        right.plot(curve["recall"], curve["precision"], **style)
    left.plot([0, 1], [0, 1], color=COLOURS["grey"], lw=0.8, ls=":")
    left.set_xlabel("False positive rate")
    left.set_ylabel("True positive rate")
    left.set_title("ROC, one class against the rest")
    right.set_xlabel("Recall")
    right.set_ylabel("Precision")
    right.set_title("Precision and recall")
    right.set_ylim(0, 1.03)
    if result["curves"]:
        # Precision and recall may pass anywhere: one legend serves both, where ROC curves do not.
        left.legend(
            loc="lower right", title="class, area, average precision", frameon=True,
            framealpha=0.92, edgecolor="none", title_fontsize=8,
        )  # fmt: skip


def _scatter(
    axis: Any, rows: Sequence[Mapping[str, Any]], label: str, *, log: bool = False
) -> None:
    axis.set_xlabel(label)
    axis.set_ylabel("Accuracy")
    axis.set_ylim(0, 1.18)
    shown = [row for row in rows if not log or row["median"] > 0]
    if not shown:
        axis.text(0.5, 0.5, "no such values", transform=axis.transAxes, ha="center", va="center")
        return
    x = np.array([row["median"] for row in shown])
    y = np.array([row["accuracy"] for row in shown])
    error = np.array([row["standard_error"] for row in shown])
    axis.errorbar(
        x, y, np.stack([np.minimum(error, y), np.minimum(error, 1 - y)]), fmt="o-", ms=5,
        color=COLOURS["blue"], capsize=3, lw=1,
    )  # fmt: skip
    is_log = log and x.max() > 10 * x.min()
    places = np.log10(x) if is_log else x
    close = 0.08 * float(np.ptp(places))
    for number, row in enumerate(shown):
        # Numbers of neighbours that are close stand one above the other.
        raised = number % 2 == 1 and bool((np.diff(places) < close).any())
        axis.annotate(
            f"{row['spectra']}", (x[number], 1.12 if raised else 1.06), ha="center", size=8,
            color=COLOURS["grey"],
        )  # fmt: skip
    if is_log:
        axis.set_xscale("log")
    else:
        margin = 0.1 * (x.max() - x.min()) or 0.05
        axis.set_xlim(x.min() - margin, x.max() + margin)
    axis.set_title("numbers: spectra in each bin", size=8.5, color=COLOURS["grey"])


def _reliability(axis: Any, result: Mapping[str, Any]) -> None:
    rows = result["reliability"]
    axis.plot([0, 1], [0, 1], color=COLOURS["grey"], lw=0.8, ls=":")
    axis.plot(
        [row["confidence"] for row in rows], [row["accuracy"] for row in rows], "o-",
        color=COLOURS["blue"], lw=1, ms=5,
    )  # fmt: skip
    axis.set_xlim(0, 1.03)
    axis.set_ylim(0, 1.05)
    axis.set_xlabel("Confidence")
    axis.set_ylabel("Accuracy")
    axis.set_title(f"Calibration error {result['expected_calibration_error']:.3f}")


def draw_shift(
    results: Mapping[str, Mapping[str, Any]], path: Path, *, overwrite: bool, synthetic: bool
) -> None:
    """Draw accuracy and macro-F1 by data release, with intervals over stars.

    Parameters
    ----------
    results : mapping
        Evaluations by name of the release.
    path : Path
        The figure.
    """
    with figure(7.5, 4.0) as (made, axis):
        names = list(results)
        for shift, key, label, colour in (
            (-0.08, "accuracy", "accuracy", "blue"),
            (0.08, "macro_f1", "macro-F1", "vermilion"),
        ):
            y = np.array([results[name][key] for name in names])
            bounds = [
                results[name][f"{key}_interval_95"] or (v, v)
                for name, v in zip(names, y, strict=True)
            ]
            error = np.array([[v - b[0], b[1] - v] for v, b in zip(y, bounds, strict=True)]).T
            axis.errorbar(
                np.arange(len(names)) + shift, y, np.maximum(error, 0), fmt="o", capsize=4,
                color=COLOURS[colour], label=label,
            )  # fmt: skip
        axis.set_xticks(
            range(len(names)),
            [f"{n}\n{results[n]['spectra']} spectra, {results[n]['stars']} stars" for n in names],
        )
        axis.set_xlim(-0.5, len(names) - 0.5)
        axis.set_ylim(0, 1.05)
        axis.set_ylabel("Score, with 95 % interval over stars")
        axis.set_title("Stars that the model was not trained on")
        axis.legend(loc="lower left")
        save_figure(made, path, overwrite=overwrite, synthetic=synthetic)


def draw_history(
    rows: Sequence[Mapping[str, Any]], path: Path, *, overwrite: bool, synthetic: bool
) -> None:
    """Draw accuracy and loss of training and validation, side by side; a line for each member."""
    with figure(10.0, 4.0, 1, 2) as (made, axes):
        for axis, key, label in zip(axes, ("accuracy", "loss"), ("Accuracy", "Loss"), strict=True):
            for member in sorted({row["member"] for row in rows}):
                of = [row for row in rows if row["member"] == member]
                epochs = [row["epoch"] for row in of]
                marker = "o" if len(of) == 1 else None
                axis.plot(
                    epochs, [row[key] for row in of], color=COLOURS["blue"], lw=1.2, marker=marker,
                    label="training (augmented)" if member == 0 else None,
                )  # fmt: skip
                checked = [row[f"val_{key}"] for row in of]
                if checked[0] is not None:
                    axis.plot(
                        epochs, checked, color=COLOURS["vermilion"], lw=1.2, ls="--", marker=marker,
                        label="validation" if member == 0 else None,
                    )  # fmt: skip
            axis.set_xlabel("Epoch")
            axis.set_xlim(0.5, max(row["epoch"] for row in rows) + 0.5)
            axis.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
            axis.set_ylabel(label)
            axis.set_title(f"{label} of the network alone")
            axis.legend()
        save_figure(made, path, overwrite=overwrite, synthetic=synthetic)
