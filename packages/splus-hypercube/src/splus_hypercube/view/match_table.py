"""The table of a source's counterparts, drawn in a figure."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes

from splus_hypercube.view.matches import Match
from splus_hypercube.view.theme import Theme

__all__ = ["draw_match_table"]

# Left edge or, for numbers, right edge of each column as a fraction of the width.
_COLUMNS = (
    ("Survey", 0.0, "left"),
    ("Identifier", 0.115, "left"),
    ("Sep. (″)", 0.42, "right"),
    ("Candidates", 0.545, "right"),
    ("Values", 0.565, "left"),
)


def draw_match_table(axes: Axes, matches: Sequence[Match], theme: Theme) -> None:
    """Draw one line per survey, also where there is no counterpart.

    Parameters
    ----------
    axes : matplotlib.axes.Axes
    matches : sequence of Match
    theme : Theme
    """
    axes.set_axis_off()
    axes.set_xlim(0.0, 1.0)
    axes.set_ylim(len(matches) + 1.0, 0.0)
    axes.set_title("Counterparts", loc="left")
    for text, x, side in _COLUMNS:
        axes.text(x, 0.5, text, ha=side, va="center", color=theme.muted)
    axes.axhline(1.0, color=theme.muted, linewidth=0.8)
    for number, match in enumerate(matches):
        y = number + 1.5
        colour = theme.ink if match.found else theme.muted
        weight = "bold" if match.found else "normal"
        axes.text(0.0, y, match.title, va="center", color=colour, fontweight=weight)
        if not match.found:
            axes.text(0.115, y, match.summary, va="center", color=colour, style="italic")
            continue
        separation, candidates = match.separation_arcsec, match.n_candidates
        cells = (
            match.identifier or "none given",
            "by id" if separation is None else f"{separation:.3f}",
            "" if candidates is None else str(candidates),
            match.summary,
        )
        for (_title, x, side), text in zip(_COLUMNS[1:], cells, strict=True):
            axes.text(x, y, text, ha=side, va="center", color=colour)
    for number in range(1, len(matches)):
        axes.axhline(number + 1.0, color=theme.hairline, linewidth=0.5)
