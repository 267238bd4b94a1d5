"""How figures look, and how they are saved: the same content gives the same bytes."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import matplotlib as mpl
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

__all__ = ["INK", "MUTED", "SEQUENTIAL_MAP", "drawing", "saved", "synthetic_banner"]

INK, MUTED, HAIRLINE = "#1A1A1A", "#5A5A5A", "#D9D9D9"
# Of even lightness, which readers of any colour vision can order.
SEQUENTIAL_MAP: Final = "cividis"
_DOTS_PER_INCH: Final = 120


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
                "xtick.color": MUTED,
                "ytick.color": MUTED,
                "xtick.labelcolor": INK,
                "ytick.labelcolor": INK,
                "legend.frameon": False,
            }
        )
        yield


def saved(figure: Figure) -> bytes:
    """A figure as PNG, without any date or name of a program (bytes)."""
    FigureCanvasAgg(figure)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=_DOTS_PER_INCH, metadata={"Software": None})
    return buffer.getvalue()


def synthetic_banner(figure: Figure) -> None:
    """Say on a figure that its data are synthetic."""
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
