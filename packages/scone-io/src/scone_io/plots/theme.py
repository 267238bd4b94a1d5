"""Colours of classes and channels, and the time axis that all figures share."""

from __future__ import annotations

from matplotlib.axes import Axes

from astro_common.figures import BLUE, GREEN, INK, MUTED, ORANGE, PURPLE, SKY, VERMILION
from scone_io.grid import GridSpec

__all__ = [
    "CLASS_COLOURS",
    "ERROR_MAP",
    "FLUX_MAP",
    "SNR_MAP",
    "class_colour",
    "day_label",
    "mark_reference",
]

# Maps of even lightness, which readers of any colour vision can order.
FLUX_MAP, ERROR_MAP, SNR_MAP = "viridis", "magma", "cividis"
# SN Ia is blue, everything else vermilion; further classes follow.
CLASS_COLOURS = {0: VERMILION, 1: BLUE}
_MORE_COLOURS = (GREEN, PURPLE, ORANGE, SKY, INK)


def class_colour(label: int) -> str:
    """Colour of a class."""
    return CLASS_COLOURS.get(label, _MORE_COLOURS[label % len(_MORE_COLOURS)])


def day_label(grid: GridSpec) -> str:
    """Label of a time axis."""
    return f"days from {grid.reference} (observer frame)"


def mark_reference(axes: Axes, grid: GridSpec, colour: str = MUTED) -> None:
    """Draw a dashed line at day 0, if the window holds it."""
    if grid.time_min_days <= 0.0 <= grid.time_max_days:
        axes.axvline(0.0, color=colour, linestyle="--", linewidth=1.0)
