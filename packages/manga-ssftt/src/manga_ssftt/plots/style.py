"""What all figures share: colours, class names and the mark of synthetic data."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import matplotlib as mpl
from matplotlib.colors import BoundaryNorm, ListedColormap
from matplotlib.figure import Figure

__all__ = [
    "ABSENT_COLOUR",
    "BPT_COLOURS",
    "BPT_NAMES",
    "LINE_COLOURS",
    "bpt_colour_map",
    "drawing",
    "mark_synthetic",
]

BPT_NAMES: Final = ("invalid", "SF", "composite", "AGN/Seyfert", "LINER", "ambiguous")
# Okabe & Ito's palette; grey for what has no class.
BPT_COLOURS: Final = ("#e8e8e8", "#0072b2", "#009e73", "#d55e00", "#cc79a7", "#f0e442")
LINE_COLOURS: Final = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
ABSENT_COLOUR: Final = "#e8e8e8"


def bpt_colour_map() -> tuple[ListedColormap, BoundaryNorm]:
    """One colour for each BPT class 0 to 5, and the bounds between them."""
    bounds = [number - 0.5 for number in range(len(BPT_COLOURS) + 1)]
    return ListedColormap(BPT_COLOURS), BoundaryNorm(bounds, len(BPT_COLOURS))


def mark_synthetic(figure: Figure) -> None:
    """Say in a figure that its data are simulated."""
    figure.text(
        0.995, 0.005, "synthetic data", ha="right", va="bottom", fontsize=7, color="#555555"
    )


@contextmanager
def drawing() -> Iterator[None]:
    """Draw with matplotlib's own settings, whatever the user's matplotlibrc says."""
    with mpl.rc_context():
        mpl.rcdefaults()
        yield
