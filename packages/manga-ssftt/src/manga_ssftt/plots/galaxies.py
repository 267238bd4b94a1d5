"""A processed galaxy at a glance: image, labels and a spectrum."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from astro_common.atomic import atomic_path
from astro_common.figures import drawing, mark_synthetic, saved
from manga_ssftt.galaxy_file import GalaxyFile
from manga_ssftt.plots.label_maps import draw_map
from manga_ssftt.plots.style import LINE_COLOURS, label_map_axes

__all__ = ["draw_galaxy"]

_LINES = (
    ("H-beta", 4862.7),
    ("[OIII]", 5008.2),
    ("NaD", 5893.6),
    ("[OI]", 6302.0),
    ("H-alpha", 6564.6),
    ("[SII]", 6725.0),
)


@drawing()
def draw_galaxy(source: Path, path: Path) -> None:
    """Draw the mean flux, both label maps and the spectrum of the brightest spaxel.

    Raises
    ------
    InputError
        If the file is missing or damaged.
    OutputError
        If the figure cannot be written.
    """
    with GalaxyFile(source) as file:
        cube, bad, wave = file.read("cube"), file.read("mask"), file.read("wave")
        ivar, classes, log_oh = file.read("ivar"), file.label("BPT"), file.label("logOH")
        plateifu, redshift, synthetic = file.plateifu, file.redshift, file.synthetic
    count = (~bad).sum(axis=2)
    total = np.sum(cube, axis=2, where=~bad)
    image = np.divide(total, count, out=np.full(count.shape, np.nan), where=count > 0)
    figure = Figure(figsize=(13.5, 7.6), layout="constrained")
    grid = figure.add_gridspec(2, 3)
    axes = figure.add_subplot(grid[0, 0])
    shown = axes.imshow(image, origin="lower", cmap="cividis")
    figure.colorbar(shown, ax=axes, shrink=0.85, label="mean flux density\n[1e-17 erg/s/cm²/Å]")
    axes.set_title("mean over wavelength")
    label_map_axes(axes)
    maps = ((classes, "BPT", "BPT class"), (log_oh, "logOH", "oxygen abundance"))
    for place, (values, task, title) in enumerate(maps, start=1):
        axes = figure.add_subplot(grid[0, place])
        draw_map(axes, values, task)
        axes.set_title(title)
    axes = figure.add_subplot(grid[1, :])
    if np.isfinite(image).any():
        y, x = np.unravel_index(np.nanargmax(image), image.shape)
        flux = np.where(bad[y, x], np.nan, cube[y, x])
        unknown = np.full(len(wave), np.nan)
        error = np.divide(1.0, np.sqrt(ivar[y, x]), out=unknown, where=ivar[y, x] > 0)
        axes.fill_between(wave, flux - error, flux + error, color=LINE_COLOURS[5], lw=0, alpha=0.6)
        axes.plot(wave, flux, color=LINE_COLOURS[0], lw=0.7)
        axes.set_title(f"brightest spaxel, x = {x}, y = {y}")
        for name, line in _LINES:
            if wave[0] < line < wave[-1]:
                axes.axvline(line, color="#999999", lw=0.5, ls=":")
                across = axes.get_xaxis_transform()
                axes.text(
                    line, 0.98, f" {name}", rotation=90, va="top", fontsize=8, transform=across
                )
    axes.margins(y=0.3)  # room for the names of the lines
    axes.set_xlim(wave[0], wave[-1])
    axes.set_xlabel("rest-frame vacuum wavelength [Å]")
    axes.set_ylabel("flux density [1e-17 erg/s/cm²/Å]")
    figure.suptitle(f"{plateifu}  z = {redshift:.4f}")
    if synthetic:
        mark_synthetic(figure)
    with atomic_path(path, overwrite=True) as partial:
        partial.write_bytes(saved(figure, dots_per_inch=110))
