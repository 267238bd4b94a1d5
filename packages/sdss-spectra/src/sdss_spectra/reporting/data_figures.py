"""Figure 2, the steps as they were carried out, and Figure 3, classes and signal-to-noise."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
from matplotlib.patches import FancyBboxPatch

from sdss_spectra.model.bins import class_order
from sdss_spectra.preprocessing.steps import Preprocessing
from sdss_spectra.reporting.theme import COLOURS, figure, save_figure

__all__ = ["draw_balance", "draw_steps"]


def draw_steps(
    settings: Preprocessing, counts: dict[str, int], path: Path, *, overwrite: bool, synthetic: bool
) -> None:
    """Draw the steps with their settings and with how many spectra went through each.

    Parameters
    ----------
    settings : Preprocessing
        What was done.
    counts : dict
        Spectra by the name of the step that was carried out, not skipped, and ``read``.
    path : Path
        The figure.
    """
    grid = settings.grid
    total = counts.get("read", 0)
    texts = {
        "Ingest": f"{total} spectra read\nwavelengths, ivar, masks",
        "Quality control": f"ivar > 0, {len(settings.and_bits)} and_mask bits\n"
        f"{counts.get('quality_control', 0)} of {total}",
        "De-redden": "O'Donnell 1994, where E(B-V)\n"
        f"is known: {counts.get('deredden', 0)} of {total}",
        "Velocity frame": "heliocentric already; to rest:\n"
        f"{counts.get('velocity_frame', 0)} of {total}",
        "Resample": f"{grid.n_pixels} pixels of {grid.loglam_step:g} dex\n"
        f"from {grid.wavelength[0]:.0f} to {grid.wavelength[-1]:.0f} Å",
        "Normalise": f"Legendre of degree {settings.continuum_order}, clipped\n"
        f"{counts.get('continuum_normalise', 0)} of {total}",
        "Features": "lines with equivalent widths;\nln(flux) and its running mean",
        "Train and evaluate": "split by star, intervals\nbootstrapped over stars",
    }
    with figure(11.0, 3.6) as (made, axis):
        axis.set_axis_off()
        axis.set_xlim(0, 4)
        axis.set_ylim(0, 2)
        places = []
        for number, (name, text) in enumerate(texts.items()):
            row, column = divmod(number, 4)
            # The second row runs back, so that arrows are short.
            x = column + 0.5 if row == 0 else 3.5 - column
            y = 1.5 - row
            places.append((x, y))
            axis.add_patch(
                FancyBboxPatch(
                    (x - 0.4, y - 0.3), 0.8, 0.6, boxstyle="round,pad=0.02", fc="#EEF4F8",
                    ec=COLOURS["blue"],
                )
            )  # fmt: skip
            axis.text(x, y + 0.18, f"{number + 1}. {name}", ha="center", va="center", weight="bold")
            axis.text(x, y - 0.08, text, ha="center", va="center", size=8.5, linespacing=1.5)
        for (x0, y0), (x1, y1) in pairwise(places):
            if y0 == y1:
                side = 0.43 if x1 > x0 else -0.43
                start, stop = (x0 + side, y0), (x1 - side, y1)
            else:
                start, stop = (x0, y0 - 0.33), (x1, y1 + 0.33)
            axis.annotate(
                "", stop, start, arrowprops={"arrowstyle": "->", "color": COLOURS["black"]}
            )
        save_figure(made, path, overwrite=overwrite, synthetic=synthetic)


def draw_balance(
    names: Sequence[str],
    signal_to_noise: Sequence[float | None],
    path: Path,
    *,
    overwrite: bool,
    synthetic: bool,
) -> None:
    """Draw the number of spectra of each class, and their signal-to-noise ratios."""
    order = class_order(names)
    counts = Counter(names)
    with figure(10.0, 4.0, 1, 2) as (made, (left, right)):
        values = [counts[name] for name in order]
        bars = left.bar(order, values, color=COLOURS["blue"], width=0.7)
        left.bar_label(bars, padding=2, size=8.5)
        left.set_ylabel("Spectra")
        left.set_xlabel("Class")
        left.set_title(f"{len(names)} labelled spectra")
        if len(order) > 9:
            left.tick_params(axis="x", labelrotation=45)
        data, shown = [], []
        for name in order:
            of = [
                s
                for n, s in zip(names, signal_to_noise, strict=True)
                if n == name and s is not None
            ]
            if of:
                data.append(of)
                shown.append(f"{name}\n({len(of)})")
        if data:
            drawn = right.boxplot(
                data, tick_labels=shown, widths=0.6, patch_artist=True, whis=(5, 95)
            )
            for box in drawn["boxes"]:
                box.set_facecolor("#DCEAF3")
                box.set_edgecolor(COLOURS["blue"])
            for median in drawn["medians"]:
                median.set_color(COLOURS["vermilion"])
            if max(map(max, data)) > 20 * max(np.median(np.concatenate(data)), 1e-3):
                right.set_yscale("symlog")
        else:
            right.text(
                0.5,
                0.5,
                "no spectrum has errors",
                transform=right.transAxes,
                ha="center",
                va="center",
            )
        known = sum(value is not None for value in signal_to_noise)
        right.set_title(f"S/N of {known} spectra with errors")
        right.set_ylabel("Median S/N per pixel")
        right.set_xlabel("Class (spectra with errors)")
        save_figure(made, path, overwrite=overwrite, synthetic=synthetic)
