"""Representative images as people can look at them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq
from matplotlib.figure import Figure

from astro_common.atomic import atomic_path
from astro_common.figures import INK, MUTED, drawing, mark_synthetic, saved
from astro_common.parquet import parquet_errors, read_metadata
from cfht_iqa.representatives import CUTOUT_PX

__all__ = ["draw_representatives", "representative_figure"]

_PER_ROW = 10


def representative_figure(
    exposure: str,
    images: Mapping[str, npt.NDArray[np.float32]],
    counts: Sequence[int] | None = None,
) -> Figure:
    """Show the representative images of some CCDs.

    Parameters
    ----------
    exposure : str
        For the title.
    images : mapping of str to ndarray of float32, shape (25, 25 n_clusters)
        By name of the CCD.
    counts : sequence of int, optional
        Sources on each CCD, for the labels.

    Returns
    -------
    matplotlib.figure.Figure
        Every tile is stretched on its own, by the inverse hyperbolic sine; empty tiles are hatched.
    """
    n_clusters = next(iter(images.values())).shape[1] // CUTOUT_PX
    lines = -(-n_clusters // _PER_ROW)
    figure = Figure(figsize=(9.0, 0.6 + 0.92 * lines * len(images)))
    axes: Any = figure.subplots(len(images) * lines, 1, squeeze=False)[:, 0]
    for number, (name, image) in enumerate(images.items()):
        tiles = image.reshape(CUTOUT_PX, n_clusters, CUTOUT_PX)
        for line in range(lines):
            ax = axes[number * lines + line]
            first = line * _PER_ROW
            shown = tiles[:, first : first + _PER_ROW]
            _draw_line(ax, shown, first)
            if line == 0:
                note = "" if counts is None else f"\n{counts[number]} sources"
                ax.set_ylabel(f"{name}{note}", rotation=0, ha="right", va="center", fontsize=8)
    title = f"{exposure}: one source of each group"
    figure.suptitle(title, x=0.01, ha="left", fontsize=10, fontweight="bold")
    side = f"{CUTOUT_PX} x {CUTOUT_PX} px"
    note = f"{side} each, stretched on its own (asinh); number: group; hatched: none on this CCD"
    figure.text(0.01, 1.0 - 0.42 / figure.get_figheight(), note, fontsize=7.5, color=MUTED)
    figure.subplots_adjust(left=0.1, right=0.995, top=1.0 - 0.55 / figure.get_figheight())
    figure.subplots_adjust(bottom=0.02, hspace=0.12)
    return figure


def _draw_line(ax: Any, tiles: npt.NDArray[np.float32], first: int) -> None:
    strip = np.full((CUTOUT_PX, _PER_ROW * (CUTOUT_PX + 1)), np.nan)
    for place in range(tiles.shape[1]):
        tile = np.nan_to_num(tiles[:, place].astype(np.float64))
        left = place * (CUTOUT_PX + 1)
        peak = tile.max()
        if peak <= 0.0:
            corner = (left - 0.5, -0.5)
            ax.add_patch(_hatched(corner))
        else:
            strip[:, left : left + CUTOUT_PX] = np.arcsinh(10.0 * np.clip(tile / peak, -0.1, 1.0))
        number = str(first + place)
        ax.text(
            left + 1,
            CUTOUT_PX - 2.5,
            number,
            va="top",
            fontsize=6.5,
            color=INK,
            bbox={"facecolor": "#FFFFFF", "edgecolor": "none", "pad": 0.8, "alpha": 0.85},
        )
    ax.imshow(strip, cmap="gray", vmin=-1.0, vmax=3.0, interpolation="nearest", origin="lower")
    ax.set_xticks([])
    ax.set_yticks([])
    for side in ax.spines.values():
        side.set_visible(False)


def _hatched(corner: tuple[float, float]) -> Any:
    from matplotlib.patches import Rectangle

    return Rectangle(
        corner, CUTOUT_PX, CUTOUT_PX, facecolor="#F2F2F2", edgecolor=MUTED, hatch="///", lw=0.3
    )


def draw_representatives(path: Path, folder: Path, *, overwrite: bool = False) -> list[Path]:
    """Draw the representative images of each exposure of a table.

    Parameters
    ----------
    path : Path
        ``representatives.parquet``.
    folder : Path
        Where ``<exposure>.png`` go; made if it is not there.
    overwrite : bool, optional
        Replace figures that exist.

    Returns
    -------
    list of Path
        The figures.

    Raises
    ------
    InputError
        If the table is damaged.
    OutputError
        If a figure exists or cannot be written.
    """
    with parquet_errors(path):
        exposures = pq.read_table(path, columns=["exposure"])["exposure"].unique().to_pylist()
    synthetic = bool(read_metadata(path).get("synthetic"))
    folder.mkdir(parents=True, exist_ok=True)
    drawn = []
    for exposure in exposures:
        with parquet_errors(path):
            table = pq.read_table(path, filters=[("exposure", "==", exposure)])
        images = {
            row["ccd"]: np.array(row["image"], np.float32).reshape(CUTOUT_PX, -1)
            for row in table.to_pylist()
        }
        with drawing():
            figure = representative_figure(exposure, images, table["n_sources"].to_pylist())
            if synthetic:
                mark_synthetic(figure)
            content = saved(figure)
        target = folder / f"{exposure}.png"
        with atomic_path(target, overwrite=overwrite) as partial:
            partial.write_bytes(content)
        drawn.append(target)
    return drawn
