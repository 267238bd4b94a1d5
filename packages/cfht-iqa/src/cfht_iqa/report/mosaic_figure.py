"""The focal plane of an exposure: each CCD where it sits, framed in the colour of its verdict."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle

from astro_common.figures import MUTED
from cfht_iqa.classes import CLASS_COLOURS, CLASS_MEANINGS
from cfht_iqa.focal_plane import ccd_number, ccd_place, rows_of

__all__ = ["mosaic_figure"]

_GREY = "#BDBDBD"


def mosaic_figure(
    ccds: Sequence[Mapping[str, Any]], thumbnails: Mapping[str, npt.NDArray[np.float32]]
) -> Figure:
    """Draw a focal plane.

    Parameters
    ----------
    ccds : sequence of mapping
        ``ccd, verdict, state`` of each.
    thumbnails : mapping of str to ndarray of float32, shape (n_y, n_x)
        Small images by CCD.

    Returns
    -------
    matplotlib.figure.Figure
        All CCDs have one stretch, so that a step from one to the next is one in the sky or in the
        detectors. The upper two rows are turned as they are mounted.
    """
    numbers = [ccd_number(str(item["ccd"]), place) for place, item in enumerate(ccds)]
    total = _mosaic_size(numbers)
    rows = rows_of(total)
    width, tall = max(rows), len(rows)
    shape = next(iter(thumbnails.values())).shape
    aspect = min(2.4, max(0.6, shape[0] / shape[1]))
    figure = Figure(figsize=(0.62 * width + 0.4 if width > 4 else 1.3 * width + 0.4, 1.0))
    unit = (figure.get_figwidth() - 0.4) / width
    figure.set_figheight(tall * unit * aspect + 0.6)
    ax = figure.add_axes((0.0, 0.0, 1.0, 1.0))
    low, high = _levels(thumbnails)
    for item, number in zip(ccds, numbers, strict=True):
        place = ccd_place(number, total)
        x, y = place.column * 1.0, (tall - 1 - place.row) * aspect
        image = thumbnails[str(item["ccd"])]
        image = image[::-1, ::-1] if place.is_rotated else image
        box = (x + 0.08, x + 0.92, y + 0.08, y + aspect - 0.08)
        ax.imshow(
            image, cmap="gray", vmin=low, vmax=high, extent=box, origin="lower", aspect="auto"
        )
        colour = CLASS_COLOURS.get(str(item["verdict"]), _GREY)
        hatch = "////" if item["state"] != "alive" else None
        ax.add_patch(
            Rectangle(
                (x + 0.04, y + 0.04),
                0.92,
                aspect - 0.08,
                fill=False,
                edgecolor=colour,
                linewidth=2.6,
                hatch=hatch,
            )
        )
        ax.text(
            x + 0.5,
            y + 0.12,
            str(item["ccd"]),
            ha="center",
            va="bottom",
            fontsize=5.5 if width > 4 else 8,
            color="#FFFFFF",
            bbox={"facecolor": "#000000", "alpha": 0.55, "edgecolor": "none", "pad": 0.6},
        )
    ax.set_xlim(-0.1, width + 0.1)
    ax.set_ylim(-0.1 - 0.4 / unit, tall * aspect + 0.1)
    ax.set_axis_off()
    _legend(ax, ccds)
    return figure


def _mosaic_size(numbers: Sequence[int]) -> int:
    """36 or 40 for the whole camera; a smaller mosaic is drawn without gaps."""
    most = max(numbers) + 1
    if len(numbers) > 30 or most > 11:
        return 36 if most <= 36 else max(most, 40)
    return most


def _levels(thumbnails: Mapping[str, npt.NDArray[np.float32]]) -> tuple[float, float]:
    values = np.concatenate([image[::3, ::3].ravel() for image in thumbnails.values()])
    values = values[np.isfinite(values)]
    if not values.size:
        return 0.0, 1.0
    low, middle, high = np.percentile(values, (2.0, 50.0, 97.0))
    # A flat sky shall look flat: its noise is not stretched over the whole scale.
    half = max(high - low, 0.06 * abs(middle), 1e-6) / 2.0
    return float((low + high) / 2.0 - half), float((low + high) / 2.0 + 1.4 * half)


def _legend(ax: Any, ccds: Sequence[Mapping[str, Any]]) -> None:
    present = [name for name in CLASS_COLOURS if any(item["verdict"] == name for item in ccds)]
    patches = [
        Patch(
            facecolor="none",
            edgecolor=CLASS_COLOURS[name],
            linewidth=2.0,
            label=f"{name} ({CLASS_MEANINGS[name]})",
        )
        for name in present
    ]
    if any(item["verdict"] is None for item in ccds):
        patches.append(Patch(facecolor="none", edgecolor=_GREY, linewidth=2.0, label="no verdict"))
    if any(item["state"] != "alive" for item in ccds):
        patches.append(Patch(facecolor="none", edgecolor=MUTED, hatch="////", label="dead or half"))
    ax.legend(
        handles=patches, loc="lower center", ncols=2, fontsize=7, frameon=False, borderpad=0.0
    )
