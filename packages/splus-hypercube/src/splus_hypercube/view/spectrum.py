"""DESI spectra with their lines, and the coefficients of Gaia XP spectra."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from splus_hypercube.surveys.desi import ARMS
from splus_hypercube.view.labels import SIGMA, label_above, measured
from splus_hypercube.view.source import Source
from splus_hypercube.view.spectral_lines import lines_of
from splus_hypercube.view.theme import Theme

__all__ = ["Arm", "desi_arms", "draw_coefficients", "draw_spectrum", "smoothed"]

Float = NDArray[np.float64]

_SMOOTHING_SIGMA_PX = 3.0


@dataclass(frozen=True)
class Arm:
    """One arm of a spectrum.

    Attributes
    ----------
    name : str
        b, r or z.
    wavelength : ndarray of float64, shape (n,)
        Vacuum, observed, angstrom.
    flux : ndarray of float64, shape (n,)
        1e-17 erg/s/cm2/angstrom.
    ivar : ndarray of float64, shape (n,)
        Inverse variance of the flux; 0 where masked.
    """

    name: str
    wavelength: Float
    flux: Float
    ivar: Float


def desi_arms(source: Source) -> list[Arm]:
    """The arms of a source's DESI spectrum that hold any valid pixel."""
    arms = []
    for name in ARMS:
        values = [source.array(f"desi_{kind}_{name}") for kind in ("wave", "flux", "ivar")]
        if len(values[0]) and np.any(values[2] > 0.0):
            arms.append(Arm(name, *values))
    return arms


def smoothed(flux: Float, ivar: Float, sigma_px: float) -> Float:
    """Smooth a spectrum with a Gaussian, each pixel weighted by its inverse variance.

    Parameters
    ----------
    flux, ivar : ndarray of float64, shape (n,)
        Pixels that are not finite or have no weight are left out.
    sigma_px : float
        Dispersion of the Gaussian, pixels.

    Returns
    -------
    ndarray of float64, shape (n,)
        NaN where no pixel within three dispersions has weight.
    """
    reach = int(np.ceil(3.0 * sigma_px))
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma_px) ** 2)
    valid = np.isfinite(flux) & np.isfinite(ivar) & (ivar > 0.0)
    weight = np.where(valid, ivar, 0.0)
    size = len(flux)
    # Cut from the "full" convolution: "same" has the length of the kernel where that is longer.
    total = np.convolve(weight, kernel)[reach : reach + size]
    summed = np.convolve(weight * np.where(valid, flux, 0.0), kernel)[reach : reach + size]
    reached = np.convolve(valid.astype(np.float64), np.ones(2 * reach + 1))[reach : reach + size]
    known = (reached > 0.5) & (total > 0.0)
    return np.where(known, summed / np.where(known, total, 1.0), np.nan)


def draw_spectrum(axes: Axes, source: Source, theme: Theme) -> bool:
    """Draw a source's DESI spectrum, raw and smoothed, with lines at its redshift.

    Parameters
    ----------
    axes : matplotlib.axes.Axes
    source : Source
    theme : Theme

    Returns
    -------
    bool
        False, and nothing drawn, if there is no valid pixel.
    """
    arms = desi_arms(source)
    if not arms:
        return False
    colours = {"b": theme.blue, "r": theme.vermilion, "z": theme.purple}
    tops, bottoms = [], []
    for arm in arms:
        raw = np.where(arm.ivar > 0.0, arm.flux, np.nan)
        smooth = smoothed(arm.flux, arm.ivar, _SMOOTHING_SIGMA_PX)
        colour = colours[arm.name]
        axes.plot(arm.wavelength, raw, color=colour, linewidth=0.4, alpha=0.35)
        axes.plot(arm.wavelength, smooth, color=colour, linewidth=1.0, label=f"arm {arm.name}")
        low, high = _range_worth_showing(smooth, arm.ivar)
        tops.append(high)
        bottoms.append(low)
    span = max(tops) - min(min(bottoms), 0.0)
    axes.set_ylim(min(min(bottoms), 0.0) - 0.06 * span, max(tops) + 0.08 * span)
    axes.set_xlim(min(arm.wavelength[0] for arm in arms), max(arm.wavelength[-1] for arm in arms))
    axes.set_xlabel("Observed wavelength in vacuum (Å)")
    axes.set_ylabel("Flux density\n(10$^{-17}$ erg s$^{-1}$ cm$^{-2}$ Å$^{-1}$)")
    axes.legend(
        loc="upper left",
        bbox_to_anchor=(1.0, 1.0),
        borderaxespad=0.4,
        title=f"thin: pixels\nthick: smoothed,\n{SIGMA} = {_SMOOTHING_SIGMA_PX:g} pixels",
        title_fontsize=7.5,
        alignment="left",
    )
    marked = _mark_lines(axes, source, theme)
    axes.set_title(f"DESI spectrum {_identity(source)}{marked}", loc="left", pad=44.0)
    return True


def _range_worth_showing(smooth: Float, ivar: Float) -> tuple[float, float]:
    """Lowest and highest smoothed flux where the spectrum is not much noisier than usual."""
    typical = np.median(ivar[ivar > 0.0])
    good = np.isfinite(smooth) & (ivar > 0.1 * typical)
    values = smooth[good] if good.any() else smooth[np.isfinite(smooth)]
    return float(values.min()), float(values.max())


def _identity(source: Source) -> str:
    parts = [f"TARGETID {source.get('desi_TARGETID')}"]
    if kind := str(source.get("desi_SPECTYPE") or "").strip():
        parts.append(kind)
    redshift, error = source.number("desi_Z"), source.number("desi_ZERR")
    if redshift is not None:
        parts.append(f"z = {measured(redshift, error, 5)}")
    warning = source.number("desi_ZWARN")
    if warning:
        parts.append(f"ZWARN {int(warning)}: redshift not certain")
    return ", ".join(parts)


def _mark_lines(axes: Axes, source: Source, theme: Theme) -> str:
    """Mark the lines within the plot; return what the title says about them."""
    redshift = source.number("desi_Z")
    if redshift is None:
        return "; no redshift, no lines marked"
    low, high = axes.get_xlim()
    shown = [
        (line.wavelength_angstrom * (1.0 + redshift), line.name)
        for line in lines_of(source.get("desi_SPECTYPE"))
        if low < line.wavelength_angstrom * (1.0 + redshift) < high
    ]
    if not shown:
        return "; no common line in range"
    for wavelength, _name in shown:
        axes.axvline(
            wavelength, color=theme.muted, linewidth=0.6, linestyle=(0, (3, 3)), zorder=0.8
        )
    label_above(axes, [place for place, _ in shown], [name for _, name in shown], theme, gap=0.0135)
    return ""


def draw_coefficients(axes: Axes, source: Source, arm: str, theme: Theme) -> bool:
    """Draw the coefficients of one arm of a Gaia XP spectrum.

    Parameters
    ----------
    axes : matplotlib.axes.Axes
    source : Source
    arm : str
        ``bp`` or ``rp``.
    theme : Theme

    Returns
    -------
    bool
        False, and nothing drawn, if there are none.

    Notes
    -----
    The continuous XP spectra are published as coefficients of basis functions (De Angeli et al.
    2023, A&A 674, A2, section 3.4); without these functions they are not a flux.
    """
    values = source.array(f"gaiaxp_{arm}_coefficients")
    if not len(values):
        return False
    errors = source.array(f"gaiaxp_{arm}_coefficient_errors")
    number = np.arange(1, len(values) + 1)
    colour = theme.blue if arm == "bp" else theme.vermilion
    has_errors = len(errors) == len(values)
    axes.errorbar(
        number,
        values,
        yerr=errors if has_errors else None,
        fmt="o",
        color=colour,
        markersize=2.8,
        elinewidth=0.8,
    )
    axes.axhline(0.0, color=theme.muted, linewidth=0.6)
    _set_coefficient_scale(axes, values, errors if has_errors else np.ones(1))
    relevant = source.number(f"gaiaxp_{arm}_n_relevant_bases")
    if relevant is not None and relevant < len(values):
        axes.axvline(relevant + 0.5, color=theme.muted, linewidth=0.9, linestyle=(0, (4, 2)))
        left_half = relevant < 0.6 * len(values)
        axes.text(
            relevant + (0.9 if left_half else 0.1),
            0.97,
            f"{int(relevant)} relevant",
            transform=axes.get_xaxis_transform(),
            va="top",
            ha="left" if left_half else "right",
            color=theme.muted,
            fontsize=7.5,
        )
    axes.set_title(
        f"Gaia XP {arm.upper()}: coefficients of basis functions, not a flux", loc="left"
    )
    axes.set_xlim(0.0, len(values) + 1.0)
    axes.set_xlabel("Number of the basis function")
    axes.set_ylabel("Coefficient (as published)")
    return True


def _set_coefficient_scale(axes: Axes, values: Float, errors: Float) -> None:
    """Set a scale that is logarithmic both ways from zero, and linear within the errors."""
    finite = values[np.isfinite(values)]
    largest = float(np.abs(finite).max(initial=1e-30))
    typical = float(np.median(errors[np.isfinite(errors)])) if np.isfinite(errors).any() else 0.0
    # A power of ten, so that no tick falls beside the linear part's own.
    threshold = 10.0 ** np.ceil(np.log10(max(typical, 1e-5 * largest)))
    axes.set_yscale("symlog", linthresh=threshold, linscale=0.6)
    low, high = float(finite.min(initial=0.0)), float(finite.max(initial=0.0))
    axes.set_ylim(2.5 * min(low, -threshold), 2.5 * max(high, threshold))
