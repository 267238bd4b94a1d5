"""How figures look, and how they are saved: the same content gives the same bytes."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from scone_io.grid import GridSpec

__all__ = [
    "CLASS_COLOURS",
    "ERROR_MAP",
    "FLUX_MAP",
    "INK",
    "MUTED",
    "SNR_MAP",
    "class_colour",
    "day_label",
    "drawing",
    "mark_reference",
    "saved",
    "synthetic_banner",
]

INK, MUTED, HAIRLINE = "#1A1A1A", "#5A5A5A", "#D9D9D9"
# Maps of even lightness, which readers of any colour vision can order.
FLUX_MAP, ERROR_MAP, SNR_MAP = "viridis", "magma", "cividis"
# Okabe & Ito 2008, Color Universal Design; SN Ia is blue, everything else vermilion.
CLASS_COLOURS = {0: "#D55E00", 1: "#0072B2"}
_MORE_COLOURS = ("#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
_DOTS_PER_INCH = 150


def class_colour(label: int) -> str:
    """Colour of a class."""
    return CLASS_COLOURS.get(label, _MORE_COLOURS[label % len(_MORE_COLOURS)])


@contextmanager
def drawing() -> Iterator[None]:
    """Draw with our settings alone, whatever the user's matplotlibrc says."""
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(
            {
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
                # Text in a PDF stays text.
                "pdf.fonttype": 42,
            }
        )
        yield


def saved(figure: Figure, kind: str) -> bytes:
    """A figure as bytes, without any date or name of a program.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
    kind : str
        ``png`` or ``pdf``.
    """
    FigureCanvasAgg(figure)
    buffer = io.BytesIO()
    if kind == "pdf":
        metadata = {"CreationDate": None, "Producer": None, "Creator": None}
    else:
        metadata = {"Software": None}
    figure.savefig(buffer, format=kind, dpi=_DOTS_PER_INCH, metadata=metadata)
    return buffer.getvalue()


def day_label(grid: GridSpec) -> str:
    """Label of a time axis."""
    return f"days from {grid.reference} (observer frame)"


def mark_reference(axes: Axes, grid: GridSpec, colour: str = MUTED) -> None:
    """Draw a dashed line at day 0, if the window holds it."""
    if grid.time_min_days <= 0.0 <= grid.time_max_days:
        axes.axvline(0.0, color=colour, linestyle="--", linewidth=1.0)


def synthetic_banner(figure: Figure, grid: GridSpec) -> None:
    """Say so if the data are synthetic."""
    if grid.notes.get("synthetic"):
        figure.text(
            0.985,
            0.975,
            "SYNTHETIC DATA",
            ha="right",
            va="top",
            fontsize=12.0,
            fontweight="bold",
            color="#FFFFFF",
            bbox={"facecolor": "#B34700", "edgecolor": "none", "pad": 4.0},
        )
