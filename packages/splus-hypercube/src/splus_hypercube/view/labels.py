"""Text in figures: numbers with their errors, and labels that do not run into each other."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import ArrayLike, NDArray

from splus_hypercube.view.theme import Theme

__all__ = ["SIGMA", "label_above", "measured", "spread", "with_minus_signs"]

SIGMA = "\N{GREEK SMALL LETTER SIGMA}"


def with_minus_signs(text: str) -> str:
    """Typeset the hyphens of numbers as minus signs."""
    return text.replace("-", "\N{MINUS SIGN}")


def measured(value: float, error: float | None, least_digits: int) -> str:
    """Write a value with its error, to the second significant digit of the error.

    Parameters
    ----------
    value : float
    error : float or None
        None or 0 if it is not known.
    least_digits : int
        Smallest number of digits after the decimal point; there are 9 at most.
    """
    digits = least_digits
    if error is not None and 0.0 < error < np.inf:
        digits = min(max(1 - int(np.floor(np.log10(error))), least_digits), 9)
        return with_minus_signs(f"{value:.{digits}f}") + f" ± {error:.{digits}f}"
    return with_minus_signs(f"{value:.{digits}f}")


def spread(positions: ArrayLike, gap: float) -> NDArray[np.float64]:
    """Move positions as little as possible until neighbours are at least a gap apart.

    Parameters
    ----------
    positions : array_like of float64, shape (n,)
        Ascending.
    gap : float

    Returns
    -------
    ndarray of float64, shape (n,)
        The least-squares solution: isotonic regression of the positions less their gaps (Barlow et
        al. 1972, Statistical Inference under Order Restrictions, section 1.2).
    """
    wanted = np.asarray(positions, dtype=np.float64)
    steps = gap * np.arange(len(wanted))
    means: list[float] = []
    counts: list[int] = []
    for value in (wanted - steps).tolist():
        mean, count = value, 1
        while means and means[-1] > mean:
            earlier = counts.pop()
            mean = (means.pop() * earlier + mean * count) / (earlier + count)
            count += earlier
        means.append(mean)
        counts.append(count)
    return np.repeat(means, counts) + steps if means else wanted


def label_above(
    axes: Axes,
    positions: Sequence[float],
    texts: Sequence[str],
    theme: Theme,
    *,
    gap: float,
    colours: Sequence[str] | None = None,
) -> None:
    """Write upright labels above the plot, each joined to its place on the x axis.

    Parameters
    ----------
    axes : matplotlib.axes.Axes
        Its limits and scale are final.
    positions : sequence of float
        Data coordinates, ascending.
    texts : sequence of str
    theme : Theme
    gap : float
        Least distance between labels, as a fraction of the width of the axes.
    colours : sequence of str, optional
        Colour of each label; the theme's ink by default.
    """
    to_axes = axes.transData + axes.transAxes.inverted()
    places = to_axes.transform([(x, axes.get_ylim()[0]) for x in positions])[:, 0]
    for number, (place, moved, text) in enumerate(
        zip(places, spread(places, gap), texts, strict=True)
    ):
        axes.plot(
            [place, moved],
            [1.0, 1.03],
            transform=axes.transAxes,
            color=theme.muted,
            linewidth=0.6,
            clip_on=False,
        )
        axes.text(
            moved,
            1.035,
            text,
            transform=axes.transAxes,
            rotation=90,
            ha="center",
            va="bottom",
            fontsize=7.0,
            color=colours[number] if colours else theme.ink,
        )
