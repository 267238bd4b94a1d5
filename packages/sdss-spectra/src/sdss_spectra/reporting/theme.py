"""How the figures look: panels without a box, and a cycle of colours for classes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from matplotlib.figure import Figure

from astro_common.atomic import atomic_path
from astro_common.figures import (
    BLUE,
    GREEN,
    INK,
    ORANGE,
    PURPLE,
    SKY,
    VERMILION,
    drawing,
    mark_synthetic,
    saved,
)

__all__ = ["CLASS_COLOURS", "COLOURS", "figure", "save_figure"]

COLOURS: Final = {
    "blue": BLUE,
    "vermilion": VERMILION,
    "green": GREEN,
    "purple": PURPLE,
    "sky": SKY,
    "orange": ORANGE,
    "black": INK,
    "grey": "#8A8A8A",
}
CLASS_COLOURS: Final = tuple(COLOURS.values())

_SETTINGS: Final = {
    "font.size": 10.0,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 10.5,
    "axes.titleweight": "normal",
    "xtick.labelsize": 9.0,
    "ytick.labelsize": 9.0,
}


@contextmanager
def figure(
    width: float, height: float, rows: int = 1, columns: int = 1, **options: Any
) -> Iterator[Any]:
    """Make a figure and its axes, and free it at the end; sizes are inches."""
    with drawing(_SETTINGS):
        made = Figure(figsize=(width, height), layout="constrained")
        axes = made.subplots(rows, columns, **options)
        yield made, axes
        made.clear()


def save_figure(made: Figure, path: Path, *, overwrite: bool, synthetic: bool = False) -> None:
    """Write a figure as PNG, SVG or PDF, without a time stamp; synthetic data say so on it."""
    if synthetic:
        mark_synthetic(made)
    content = saved(made, path.suffix.lower().lstrip("."))
    with atomic_path(path, overwrite=overwrite) as partial:
        partial.write_bytes(content)
