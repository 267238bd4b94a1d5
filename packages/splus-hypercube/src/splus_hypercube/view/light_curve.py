"""ZTF light curves."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from splus_hypercube.view.source import Source
from splus_hypercube.view.theme import Theme

__all__ = ["LightCurve", "draw_light_curve", "light_curves"]

Float = NDArray[np.float64]

_LEAST_RANGE_MAG = 0.2
_LARGEST_ERROR_SHOWN_MAG = 0.5


@dataclass(frozen=True)
class LightCurve:
    """The epochs of one band.

    Attributes
    ----------
    band : str
        g, r or i.
    hmjd : ndarray of float64, shape (n,)
        Heliocentric modified Julian date, days, ascending.
    mag, magerr : ndarray of float64, shape (n,)
        AB magnitude and its error.
    """

    band: str
    hmjd: Float
    mag: Float
    magerr: Float


def light_curves(source: Source) -> list[LightCurve]:
    """The light curves of a source in the bands that have any epoch."""
    curves = []
    for band in ("g", "r", "i"):
        values = [source.array(f"ztf_{name}_{band}") for name in ("hmjd", "mag", "magerr")]
        if len(values[0]):
            curves.append(LightCurve(band, *values))
    return curves


def draw_light_curve(axes: Axes, curve: LightCurve, theme: Theme) -> None:
    """Draw the light curve of one band.

    Parameters
    ----------
    axes : matplotlib.axes.Axes
    curve : LightCurve
    theme : Theme
    """
    marker, colour = {
        "g": ("o", theme.green),
        "r": ("s", theme.vermilion),
        "i": ("^", theme.purple),
    }[curve.band]
    axes.errorbar(
        curve.hmjd,
        curve.mag,
        yerr=curve.magerr,
        fmt=marker,
        color=colour,
        markersize=3.0,
        elinewidth=0.6,
        label=f"{len(curve.mag)} epochs" if len(curve.mag) > 1 else "1 epoch",
    )
    # One bad epoch must not flatten all others, and noise must not fill a constant star's panel.
    reach = np.minimum(curve.magerr, _LARGEST_ERROR_SHOWN_MAG)
    faint, bright = float((curve.mag + reach).max()), float((curve.mag - reach).min())
    missing = max(_LEAST_RANGE_MAG - (faint - bright), 0.0)
    margin = 0.5 * missing + 0.08 * (faint - bright + missing)
    axes.set_ylim(faint + margin, bright - margin)
    axes.set_ylabel(f"ZTF {curve.band}\n(AB mag)")
    axes.ticklabel_format(useOffset=False, style="plain")
    axes.yaxis.set_major_locator(MaxNLocator(nbins=5))
    axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), borderaxespad=0.4)
