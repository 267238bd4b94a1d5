"""How figures look: colours that colour-blind readers can tell apart (Okabe & Ito 2008)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from astro_common.atomic import atomic_path

__all__ = ["CLASS_COLOURS", "COLOURS", "figure", "save_figure"]

COLOURS: Final = {
    "blue": "#0072B2",
    "orange": "#D55E00",
    "green": "#009E73",
    "pink": "#CC79A7",
    "sky": "#56B4E9",
    "yellow": "#E69F00",
    "black": "#222222",
    "grey": "#8A8A8A",
}
_CYCLE: Final = ("blue", "orange", "green", "pink", "sky", "yellow", "black", "grey")
CLASS_COLOURS: Final = tuple(COLOURS[name] for name in _CYCLE)

_STYLE: Final = {
    "font.size": 10.0,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.labelsize": 10.0,
    "axes.titlesize": 10.5,
    "axes.titlelocation": "left",
    "legend.frameon": False,
    "legend.fontsize": 8.5,
    "xtick.labelsize": 9.0,
    "ytick.labelsize": 9.0,
    "svg.hashsalt": "sdss-spectra",
    "svg.fonttype": "none",
    "figure.dpi": 110.0,
}


@contextmanager
def figure(
    width: float, height: float, rows: int = 1, columns: int = 1, **options: Any
) -> Iterator[Any]:
    """Make a figure and its axes, and free it at the end; sizes are inches."""
    import matplotlib as mpl
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with mpl.rc_context(_STYLE):  # type: ignore[arg-type]
        made = Figure(figsize=(width, height), layout="constrained")
        FigureCanvasAgg(made)
        axes = made.subplots(rows, columns, **options)
        yield made, axes
        made.clear()


def save_figure(made: Any, path: Path, *, overwrite: bool, synthetic: bool = False) -> None:
    """Write a figure as PNG, SVG or PDF, without a time stamp; synthetic data say so on it."""
    if synthetic:
        made.text(
            0.995, 0.005, "synthetic data", ha="right", va="bottom", color=COLOURS["grey"], size=8
        )
    kind = path.suffix.lower().lstrip(".")
    metadata = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}.get(kind, {})
    with atomic_path(path, overwrite=overwrite) as partial, partial.open("wb") as file:
        made.savefig(file, format=kind, metadata=metadata, dpi=150)
