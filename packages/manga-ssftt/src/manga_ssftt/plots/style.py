"""What the figures share: colours of classes and lines, and names of classes."""

from __future__ import annotations

from typing import Final

from matplotlib.axes import Axes
from matplotlib.colors import BoundaryNorm, ListedColormap
from matplotlib.ticker import MaxNLocator

from astro_common.figures import BLUE, GREEN, ORANGE, PURPLE, SKY, VERMILION

__all__ = [
    "ABSENT_COLOUR",
    "BPT_COLOURS",
    "BPT_NAMES",
    "LINE_COLOURS",
    "bpt_colour_map",
    "label_map_axes",
]

BPT_NAMES: Final = ("invalid", "SF", "composite", "AGN/Seyfert", "LINER", "ambiguous")
ABSENT_COLOUR: Final = "#e8e8e8"
BPT_COLOURS: Final = (ABSENT_COLOUR, BLUE, GREEN, VERMILION, PURPLE, "#f0e442")
LINE_COLOURS: Final = (BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY)


def bpt_colour_map() -> tuple[ListedColormap, BoundaryNorm]:
    """One colour for each BPT class 0 to 5, and the bounds between them."""
    bounds = [number - 0.5 for number in range(len(BPT_COLOURS) + 1)]
    return ListedColormap(BPT_COLOURS), BoundaryNorm(bounds, len(BPT_COLOURS))


def label_map_axes(axes: Axes) -> None:
    """Name the axes of a map, and count its spaxels in whole numbers."""
    axes.set_xlabel("x [spaxel]")
    axes.set_ylabel("y [spaxel]")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(MaxNLocator(6, integer=True))
