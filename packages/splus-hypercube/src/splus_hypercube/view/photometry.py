"""The magnitudes of a source against wavelength."""

from __future__ import annotations

from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from splus_hypercube.bands import BANDS
from splus_hypercube.view.labels import label_above
from splus_hypercube.view.source import Source
from splus_hypercube.view.theme import Theme

__all__ = ["Magnitude", "draw_photometry", "splus_magnitudes", "vista_magnitudes"]

# Kinds of magnitude in S-PLUS catalogues in order of preference; pstotal is that of point sources.
_SPLUS_KINDS = ("pstotal", "auto", "petro", "iso")
# S-PLUS writes 99 where a flux is not positive, other catalogues -99 or -999.
_PLAUSIBLE_MAG = (0.0, 40.0)
_NARROW_ANGSTROM = 500.0

# Name, central wavelength and width (angstrom; Sutherland et al. 2015, A&A 575, A25, table 3), and
# AB minus Vega (Gonzalez-Fernandez et al. 2018, MNRAS 474, 5459, table D1).
_VISTA_BANDS = (
    ("Z", 8770.0, 970.0, 0.502),
    ("Y", 10_200.0, 930.0, 0.600),
    ("J", 12_520.0, 1720.0, 0.916),
    ("H", 16_450.0, 2910.0, 1.366),
    ("Ks", 21_470.0, 3090.0, 1.827),
)
_TICKS_ANGSTROM = (3000, 4000, 5000, 6000, 8000, 10_000, 15_000, 20_000)


@dataclass(frozen=True, slots=True)
class Magnitude:
    """A measured magnitude.

    Attributes
    ----------
    band : str
    wavelength_angstrom, width_angstrom : float
        Central wavelength and full width at half maximum of the band.
    mag : float
        AB.
    error_mag : float or None
        None if the catalogue has none.
    """

    band: str
    wavelength_angstrom: float
    width_angstrom: float
    mag: float
    error_mag: float | None


def splus_magnitudes(source: Source) -> tuple[str, list[Magnitude], list[str]]:
    """The S-PLUS magnitudes of a source.

    Returns
    -------
    kind : str
        Which magnitude: the first kind that the catalogue has in any band, such as ``pstotal``;
        empty if it has none.
    measured : list of Magnitude
        By wavelength.
    not_measured : list of str
        Bands of the catalogue in which this source has no measured value.
    """
    for kind in _SPLUS_KINDS:
        columns = [(band, f"mag_{kind}_{band.catalogue_name}") for band in BANDS]
        columns = [(band, name) for band, name in columns if source.knows(name)]
        if not columns:
            continue
        measured, missing = [], []
        for band, name in sorted(columns, key=lambda item: item[0].wavelength_angstrom):
            mag = _plausible(source.number(name))
            if mag is None:
                missing.append(band.name)
                continue
            error = source.number(f"err_{name}")
            if error is None:
                error = source.number(f"e_{name}")
            measured.append(
                Magnitude(
                    band.name, band.wavelength_angstrom, band.width_angstrom, mag, _error(error)
                )
            )
        return kind, measured, missing
    return "", [], []


def vista_magnitudes(source: Source) -> list[Magnitude]:
    """The VISTA magnitudes of a source, aperture 3, as AB magnitudes."""
    measured = []
    for band, wavelength, width, ab_minus_vega in _VISTA_BANDS:
        name = f"vista_{band.lower()}apermag3"
        mag = _plausible(source.number(name))
        if mag is not None:
            error = _error(source.number(f"{name}err"))
            measured.append(Magnitude(band, wavelength, width, mag + ab_minus_vega, error))
    return measured


def _plausible(mag: float | None) -> float | None:
    low, high = _PLAUSIBLE_MAG
    return mag if mag is not None and low < mag < high else None


def _error(error: float | None) -> float | None:
    return error if error is not None and 0.0 <= error < _PLAUSIBLE_MAG[1] else None


def draw_photometry(axes: Axes, source: Source, theme: Theme) -> bool:
    """Draw the spectral energy distribution of a source.

    Parameters
    ----------
    axes : matplotlib.axes.Axes
    source : Source
    theme : Theme

    Returns
    -------
    bool
        False, and nothing drawn, if there is no magnitude at all.
    """
    kind, splus, missing = splus_magnitudes(source)
    vista = vista_magnitudes(source)
    if not splus and not vista:
        return False
    broad = [m for m in splus if m.width_angstrom > _NARROW_ANGSTROM or m.band == "U"]
    narrow = [m for m in splus if m not in broad]
    for magnitudes, marker, colour, label in (
        (broad, "o", theme.blue, f"S-PLUS broad bands (mag_{kind})"),
        (narrow, "s", theme.vermilion, f"S-PLUS narrow bands (mag_{kind})"),
        (vista, "D", theme.green, "VISTA aperture 3, Vega to AB"),
    ):
        if magnitudes:
            axes.errorbar(
                [m.wavelength_angstrom for m in magnitudes],
                [m.mag for m in magnitudes],
                xerr=[0.5 * m.width_angstrom for m in magnitudes],
                yerr=[m.error_mag or 0.0 for m in magnitudes],
                fmt=marker,
                color=colour,
                markersize=4.5,
                elinewidth=0.9,
                label=label,
            )
    everything = [*splus, *vista]
    _set_limits(axes, everything)
    everything.sort(key=lambda m: m.wavelength_angstrom)
    label_above(
        axes,
        [m.wavelength_angstrom for m in everything],
        [m.band for m in everything],
        theme,
        gap=0.033,
    )
    axes.set_xlabel("Wavelength (Å), horizontal bars: width of the band")
    axes.set_ylabel("Magnitude (AB)")
    axes.legend(loc="best")
    if missing:
        axes.text(
            0.99,
            0.02,
            f"not measured: {' '.join(missing)}",
            transform=axes.transAxes,
            ha="right",
            color=theme.muted,
        )
    return True


def _set_limits(axes: Axes, magnitudes: list[Magnitude]) -> None:
    blue = min(m.wavelength_angstrom - 0.5 * m.width_angstrom for m in magnitudes)
    red = max(m.wavelength_angstrom + 0.5 * m.width_angstrom for m in magnitudes)
    axes.set_xscale("log")
    axes.set_xlim(blue / 1.05, red * 1.05)
    axes.xaxis.set_major_locator(FixedLocator(_TICKS_ANGSTROM))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _place: f"{value:.0f}"))
    # An error of a magnitude or more means "hardly detected"; it must not flatten all others.
    faint = max(m.mag + min(m.error_mag or 0.0, 1.0) for m in magnitudes)
    bright = min(m.mag - min(m.error_mag or 0.0, 1.0) for m in magnitudes)
    margin = max(0.12 * (faint - bright), 0.1)
    axes.set_ylim(faint + margin, bright - margin)
