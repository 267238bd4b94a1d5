"""The style of the figures of all packages, and how to save them reproducibly.

This module needs matplotlib, which the extra ``figures`` brings.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

import matplotlib as mpl
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

__all__ = [
    "BLUE",
    "GREEN",
    "HAIRLINE",
    "INK",
    "MUTED",
    "ORANGE",
    "PURPLE",
    "SKY",
    "VERMILION",
    "drawing",
    "mark_synthetic",
    "saved",
]

INK: Final = "#1A1A1A"
MUTED: Final = "#5A5A5A"
HAIRLINE: Final = "#D9D9D9"
# Okabe & Ito 2008, Color Universal Design: readers of any colour vision can tell them apart.
BLUE: Final = "#0072B2"
VERMILION: Final = "#D55E00"
GREEN: Final = "#009E73"
PURPLE: Final = "#CC79A7"
ORANGE: Final = "#E69F00"
SKY: Final = "#56B4E9"

_SETTINGS: Final[dict[Any, Any]] = {
    "font.family": ["DejaVu Sans"],
    "font.size": 9.0,
    "text.color": INK,
    "axes.edgecolor": MUTED,
    "axes.labelcolor": INK,
    "axes.titlecolor": INK,
    "axes.titlesize": 10.0,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.linewidth": 0.7,
    "axes.axisbelow": True,
    "grid.color": HAIRLINE,
    "grid.linewidth": 0.5,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "legend.frameon": False,
    "legend.fontsize": 8.5,
    # Text stays text, in a PDF and in an SVG, and the names inside an SVG do not change.
    "pdf.fonttype": 42,
    "svg.fonttype": "none",
    "svg.hashsalt": "astro-common",
}
# Without these, matplotlib writes the date and its own version into the file.
_METADATA: Final[Mapping[str, dict[str, None]]] = {
    "png": {"Software": None},
    "pdf": {"CreationDate": None, "Producer": None, "Creator": None},
    "svg": {"Date": None, "Creator": None},
}


@contextmanager
def drawing(settings: Mapping[str, Any] | None = None) -> Iterator[None]:
    """Draw with our own settings, independent of the user's matplotlibrc.

    Parameters
    ----------
    settings : mapping, optional
        Further settings of matplotlib, which take precedence over ours.
    """
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(_SETTINGS | dict(settings or {}))
        yield


def saved(figure: Figure, kind: str = "png", *, dots_per_inch: float = 150.0) -> bytes:
    """Write a figure to bytes; the same figure always gives the same bytes.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
    kind : str
        ``png``, ``pdf`` or ``svg``.
    dots_per_inch : float
        Resolution of PNG, and of what the other kinds hold as pixels.

    Returns
    -------
    bytes
        The content of the file.

    Raises
    ------
    ValueError
        If the kind is not one of these.
    """
    if kind not in _METADATA:
        raise ValueError(f"cannot write a figure as {kind!r}; the kinds are {', '.join(_METADATA)}")
    FigureCanvasAgg(figure)
    buffer = io.BytesIO()
    figure.savefig(buffer, format=kind, dpi=dots_per_inch, metadata=_METADATA[kind])
    return buffer.getvalue()


def mark_synthetic(figure: Figure) -> None:
    """Write in the upper right corner of a figure that its data are synthetic."""
    figure.text(
        0.995,
        0.99,
        "SYNTHETIC DATA",
        ha="right",
        va="top",
        fontsize=9.0,
        fontweight="bold",
        color="#FFFFFF",
        bbox={"facecolor": "#B34700", "edgecolor": "none", "pad": 3.0},
    )
