"""How figures look: colours that colour-blind readers can tell apart, on light and dark ground."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from astro_common import figures

__all__ = ["DARK", "LIGHT", "Theme", "drawing"]


@dataclass(frozen=True, slots=True)
class Theme:
    """Colours of a figure.

    The hues are those of Okabe & Ito 2008, Color Universal Design.

    Attributes
    ----------
    ground, ink, muted, hairline : str
        Background, text, secondary text, grid lines.
    image_colormap : str
        Matplotlib colour map of the cutouts; the sky has nearly the colour of the ground.
    no_data : str
        Colour of pixels without data.
    blue, vermilion, green, purple, orange, sky : str
        Hues for data.
    """

    ground: str
    ink: str
    muted: str
    hairline: str
    image_colormap: str
    no_data: str
    blue: str = figures.BLUE
    vermilion: str = figures.VERMILION
    green: str = figures.GREEN
    purple: str = figures.PURPLE
    orange: str = figures.ORANGE
    sky: str = figures.SKY


LIGHT = Theme("#FFFFFF", "#1A1A1A", "#5A5A5A", "#D9D9D9", "gray_r", "#F2E3D5")
DARK = Theme(
    "#16181C",
    "#E8E8E8",
    "#A5A8AE",
    "#3A3E45",
    "gray",
    "#4A3B2E",
    blue=figures.SKY,
    sky=figures.BLUE,
)


@contextmanager
def drawing(theme: Theme) -> Iterator[None]:
    """Draw in the colours of a theme.

    Parameters
    ----------
    theme : Theme
    """
    settings = {
        "font.size": 8.5,
        "text.color": theme.ink,
        "figure.facecolor": theme.ground,
        "savefig.facecolor": theme.ground,
        "axes.facecolor": theme.ground,
        "axes.edgecolor": theme.muted,
        "axes.labelcolor": theme.ink,
        "axes.titlecolor": theme.ink,
        "axes.titlesize": 9.5,
        "axes.labelsize": 8.5,
        "axes.grid": True,
        "grid.color": theme.hairline,
        "xtick.color": theme.muted,
        "ytick.color": theme.muted,
        "xtick.labelcolor": theme.ink,
        "ytick.labelcolor": theme.ink,
        "xtick.direction": "in",
        "ytick.direction": "in",
        "legend.fontsize": 8.0,
        "hatch.linewidth": 0.5,
        "hatch.color": theme.muted,
    }
    with figures.drawing(settings):
        yield
