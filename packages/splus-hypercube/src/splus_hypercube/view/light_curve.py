"""ZTF light curves."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from splus_hypercube.view.source import Source
from splus_hypercube.view.theme import Theme

__all__ = ["LightCurve", "draw_light_curves", "light_curves"]

Float = NDArray[np.float64]


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
    """The light curves of a source, of the bands that have any epoch."""
    curves = []
    for band in ("g", "r", "i"):
        values = [source.array(f"ztf_{name}_{band}") for name in ("hmjd", "mag", "magerr")]
        if len(values[0]):
            curves.append(LightCurve(band, *values))
    return curves


def draw_light_curves(axes: Axes, source: Source, theme: Theme) -> bool:
    """Draw the light curves of a source in all ZTF bands.

    Parameters
    ----------
    axes : matplotlib.axes.Axes
    source : Source
    theme : Theme

    Returns
    -------
    bool
        False, and nothing drawn, if there is no epoch at all.
    """
    curves = light_curves(source)
    if not curves:
        return False
    styles = {
        "g": ("o", theme.green),
        "r": ("s", theme.vermilion),
        "i": ("^", theme.purple),
    }
    for curve in curves:
        marker, colour = styles[curve.band]
        axes.errorbar(
            curve.hmjd,
            curve.mag,
            yerr=curve.magerr,
            fmt=marker,
            color=colour,
            markersize=3.0,
            elinewidth=0.6,
            alpha=0.85,
            label=f"ZTF {curve.band}, {len(curve.mag)} epochs",
        )
    objects = len(source.get("ztf_objectids") or ())
    merged = f"{objects} objects merged" if objects > 1 else "1 object"
    axes.set_title(f"ZTF light curve ({merged})", loc="left")
    axes.set_xlabel("Heliocentric modified Julian date (d)")
    axes.set_ylabel("Magnitude (AB)")
    axes.ticklabel_format(axis="x", useOffset=False, style="plain")
    axes.invert_yaxis()
    axes.margins(x=0.02)
    axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), borderaxespad=0.4)
    return True
