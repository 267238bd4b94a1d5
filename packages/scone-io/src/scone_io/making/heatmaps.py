"""One light curve into one heatmap."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from scone_io.extinction import dereddened, scone_extinction
from scone_io.gaussian_process import GaussianProcess, GaussianProcessError, starting_kernel
from scone_io.grid import GridSpec
from scone_io.light_curves import LightCurve, peak_estimate, trigger_mjd

__all__ = ["PAD_BAND", "HeatmapError", "Recipe", "make_heatmap"]

Floats = npt.NDArray[np.float64]

# SCONE adds a point of no flux long before and long after the observations, in this band.
PAD_BAND = "r"
_PAD_DAYS = 100.0
_PAD_ERROR = 0.1
_MIN_OBSERVATIONS = 2


class HeatmapError(ValueError):
    """An event of which no heatmap can be made."""


@dataclass(frozen=True)
class Recipe:
    """How heatmaps are made.

    Attributes
    ----------
    grid : GridSpec
    wavelengths : mapping of str to float
        Mean wavelength (angstrom) by band; other bands are left out.
    optimize : bool
        Search for the most likely kernel; otherwise take the starting one.
    extinction : str
        ``physical`` (flux and error times ``10^(0.4 A)``), ``scone`` (A added to the flux) or
        ``none``.
    days_after_trigger : float or None
        Leave out observations later than this.
    flux_scale : float
        Brings the flux to the grid's zero point.
    """

    grid: GridSpec
    wavelengths: Mapping[str, float]
    optimize: bool = True
    extinction: str = "physical"
    days_after_trigger: float | None = None
    flux_scale: float = 1.0


def make_heatmap(curve: LightCurve, recipe: Recipe) -> Floats:
    """Make the heatmap of a supernova.

    Parameters
    ----------
    curve : LightCurve
    recipe : Recipe

    Returns
    -------
    ndarray of float64, shape (n_wavelength, n_time, 2)
        Mean and standard deviation of the Gaussian process, FLUXCAL.

    Raises
    ------
    HeatmapError
        If there are too few observations, no day to refer to, or no Gaussian process.
    """
    sound = usable(curve, recipe)
    used = early_enough(sound, recipe)
    start = reference_mjd(sound, recipe.grid)
    try:
        mean, variance = _process(used, recipe, start + recipe.grid.times)
    except GaussianProcessError as error:
        raise HeatmapError(str(error)) from error
    image = np.stack([mean, np.sqrt(variance)], axis=-1)
    if recipe.extinction == "none":
        return image
    # Where the reddening is unknown nothing is corrected, as SNANA's own -9 asks for.
    mwebv = 0.0 if curve.mwebv is None else curve.mwebv
    correct = scone_extinction if recipe.extinction == "scone" else dereddened
    return correct(image, recipe.grid.wavelengths, mwebv)


def usable(curve: LightCurve, recipe: Recipe) -> LightCurve:
    """The observations that may be used: in known bands, finite and with an uncertainty."""
    known = np.isin(curve.band, list(recipe.wavelengths))
    # SNANA marks an observation that is not to be used by an uncertainty that is not positive.
    sound = np.isfinite(curve.flux) & np.isfinite(curve.mjd) & (curve.flux_err > 0.0)
    chosen = curve.select(known & sound & np.isfinite(curve.flux_err))
    if len(chosen) < _MIN_OBSERVATIONS:
        bands = ", ".join(sorted(set(curve.band.tolist()))[:10])
        raise HeatmapError(
            f"{len(chosen)} usable observations of {len(curve)} (bands {bands or 'none'})"
        )
    return chosen


def early_enough(curve: LightCurve, recipe: Recipe) -> LightCurve:
    """The observations up to so many days after the trigger; all unless the recipe says so."""
    if recipe.days_after_trigger is None:
        return curve
    chosen = curve.select(curve.mjd <= _trigger(curve) + recipe.days_after_trigger)
    if len(chosen) < _MIN_OBSERVATIONS:
        raise HeatmapError(f"{len(chosen)} of {len(curve)} usable observations are early enough")
    return chosen


def _trigger(curve: LightCurve) -> float:
    trigger = trigger_mjd(curve)
    if trigger is None:
        raise HeatmapError("no trigger: fewer than two detections more than a day apart")
    return trigger


def reference_mjd(curve: LightCurve, grid: GridSpec) -> float:
    """The day from which the grid counts: peak or trigger.

    Raises
    ------
    HeatmapError
        If it cannot be told.
    """
    if grid.reference == "trigger":
        return _trigger(curve)
    peak = curve.peak_mjd if curve.peak_mjd is not None else peak_estimate(curve)
    if peak is None:
        raise HeatmapError("no PEAKMJD, and no observation to estimate it from")
    return peak


def _process(used: LightCurve, recipe: Recipe, mjd: Floats) -> tuple[Floats, Floats]:
    pad = recipe.wavelengths[PAD_BAND]
    wavelengths = np.array([recipe.wavelengths[band] for band in used.band.tolist()])
    flux = used.flux * recipe.flux_scale
    error = used.flux_err * recipe.flux_scale
    ends = used.mjd.min() - _PAD_DAYS, used.mjd.max() + _PAD_DAYS
    kernel = starting_kernel(flux, error)
    if not kernel.amplitude > 0.0:
        raise GaussianProcessError("every flux is zero")
    process = GaussianProcess(
        np.concatenate([used.mjd, ends]),
        np.concatenate([wavelengths, [pad, pad]]),
        np.concatenate([flux, [0.0, 0.0]]),
        np.concatenate([error, [_PAD_ERROR, _PAD_ERROR]]),
    )
    if recipe.optimize:
        kernel = process.optimised(kernel)
    return process.predict(kernel, mjd, recipe.grid.wavelengths)
