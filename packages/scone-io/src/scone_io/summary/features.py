"""The numbers of the summary, for a batch of events at a time."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from scone_io.example.layout import EventBatch
from scone_io.grid import GridSpec
from scone_io.heatmap import (
    light_curve,
    light_curve_error,
    observed,
    spectrum,
    spectrum_error,
)
from scone_io.labels import label_name
from scone_io.summary.channels import Channels
from scone_io.summary.columns import (
    BLUE_ANGSTROM,
    RED_ANGSTROM,
    curve_schema,
    spectrum_schema,
    summary_schema,
)

__all__ = ["curves_of", "spectra_of", "summary_of"]

Floats = npt.NDArray[np.float64]


def _band(grid: GridSpec, ends: tuple[float, float]) -> npt.NDArray[np.intp]:
    wavelengths = grid.wavelengths
    return np.flatnonzero((wavelengths >= ends[0]) & (wavelengths <= ends[1]))


def summary_of(
    batch: EventBatch,
    grid: GridSpec,
    names: Mapping[int, str],
    *,
    compat: bool = False,
    channels: Channels | None = None,
) -> pa.Table:
    """The summary of a batch.

    Parameters
    ----------
    batch : EventBatch
    grid : GridSpec
        Axes of its heatmaps.
    names : mapping of int to str
        Class by label.
    compat : bool
        Only the forty columns of the existing tool, which calls every label but 1 Non-Ia.
    channels : Channels, optional
        Arrays to work in, for one batch after the other.

    Returns
    -------
    pyarrow.Table
        Columns of `summary_schema`; NaN becomes null.
    """
    channels = channels or Channels()
    flux, error = channels.read(batch)
    columns: dict[str, Any] = {
        "snid": batch.snid,
        "label": batch.label,
        "label_name": [
            ("SNIa" if label == 1 else "Non-Ia") if compat else label_name(label, names)
            for label in batch.label.tolist()
        ],
        "redshift": batch.z,
        "redshift_err": batch.z_err,
    }
    # Values that overflow or are NaN give NaN here, which the table then holds as missing.
    with np.errstate(all="ignore"):
        columns |= _flux_columns(flux, grid)
        curves = light_curve(flux)
        columns |= _curve_columns(curves, grid)
        columns |= _spectrum_columns(flux, grid)
        columns |= _colour_columns(flux, curves, grid)
        columns |= _snr_columns(channels.signal_to_noise(flux, error), flux)
        columns |= _coverage_columns(flux)
        if not compat:
            columns |= _extra_columns(flux, error, curves, grid)
    return _table(columns, summary_schema(compat=compat))


def _table(columns: Mapping[str, Any], schema: pa.Schema) -> pa.Table:
    arrays = [pa.array(columns[field.name], type=field.type, from_pandas=True) for field in schema]
    return pa.Table.from_arrays(arrays, schema=schema)


def _flux_columns(flux: Floats, grid: GridSpec) -> dict[str, Any]:
    flat = flux.reshape(len(flux), -1)
    peak = flat.argmax(axis=1)
    wavelength_index, time_index = np.divmod(peak, grid.num_time_bins)
    return {
        "total_flux": flat.sum(axis=1),
        "max_flux": flat.max(axis=1),
        "mean_flux": flat.mean(axis=1),
        "median_flux": _medians(flat),
        "std_flux": flat.std(axis=1),
        "peak_flux_wavelength_idx": wavelength_index,
        "peak_flux_mjd_idx": time_index,
        "peak_flux_wavelength": grid.wavelengths[wavelength_index],
        "peak_flux_mjd": grid.times[time_index],
    }


def _curve_columns(curves: npt.NDArray[np.floating], grid: GridSpec) -> dict[str, Any]:
    times = grid.times
    rows = np.arange(len(curves))
    peak = curves.argmax(axis=1)
    largest = curves[rows, peak]
    above = curves > 0.5 * largest[:, None]
    first = above.argmax(axis=1)
    last = curves.shape[1] - 1 - above[:, ::-1].argmax(axis=1)
    some = above.any(axis=1)
    # Sums of slices, one event at a time: a difference of running sums would round differently.
    before = [curve[:place].sum() for curve, place in zip(curves, peak.tolist(), strict=True)]
    after = [curve[place:].sum() for curve, place in zip(curves, peak.tolist(), strict=True)]
    return {
        "lc_max": largest,
        "lc_mean": curves.mean(axis=1),
        "lc_peak_mjd_idx": peak,
        "lc_peak_mjd": times[peak],
        "flux_before_peak": np.array(before, dtype=np.float64),
        "flux_after_peak": np.array(after, dtype=np.float64),
        "rise_time_days": np.where(some, times[peak] - times[first], np.nan),
        "decline_time_days": np.where(some, times[last] - times[peak], np.nan),
        "duration_days": np.where(some, times[last] - times[first], np.nan),
    }


def _spectrum_columns(flux: Floats, grid: GridSpec) -> dict[str, Any]:
    spectra = spectrum(flux, grid)
    peak = spectra.argmax(axis=1)
    return {
        "spectrum_max": spectra.max(axis=1),
        "spectrum_mean": spectra.mean(axis=1),
        "spectrum_peak_wavelength_idx": peak,
        "spectrum_peak_wavelength": grid.wavelengths[peak],
    }


def _colour_columns(
    flux: Floats, curves: npt.NDArray[np.floating], grid: GridSpec
) -> dict[str, Any]:
    blue, red = (
        (curves * flux[:, _band(grid, ends)].sum(axis=1)).sum(axis=1)
        for ends in (BLUE_ANGSTROM, RED_ANGSTROM)
    )
    return {
        "blue_flux": blue,
        "red_flux": red,
        "color_ratio": np.where(red > 0.0, blue / red, np.nan),
    }


def _snr_columns(snr: Floats, flux: Floats) -> dict[str, Any]:
    flat = snr.reshape(len(snr), -1)
    chosen = [values[values > 0.0] for values in flat]
    at_peak = flux.reshape(flat.shape).argmax(axis=1)
    return {
        "snr_mean": np.array([part.mean() if part.size else 0.0 for part in chosen]),
        "snr_median": np.array([_median(part) if part.size else 0.0 for part in chosen]),
        "snr_max": flat.max(axis=1),
        "snr_peak": flat[np.arange(len(flat)), at_peak],
    }


def _coverage_columns(flux: Floats) -> dict[str, Any]:
    positive = flux > 0.0
    bins = _counts(positive)
    epochs = _counts(np.logical_or.reduce(positive, axis=1))
    wavelengths = _counts(np.logical_or.reduce(positive, axis=2))
    return {
        "num_nonzero_bins": bins,
        "coverage_fraction": bins / (flux.shape[1] * flux.shape[2]),
        "num_epochs_with_data": epochs,
        "temporal_coverage_fraction": epochs / flux.shape[2],
        "num_wavelengths_with_data": wavelengths,
        "spectral_coverage_fraction": wavelengths / flux.shape[1],
    }


def _extra_columns(
    flux: Floats, error: Floats, curves: npt.NDArray[np.floating], grid: GridSpec
) -> dict[str, Any]:
    blue = flux[:, _band(grid, BLUE_ANGSTROM)].sum(axis=(1, 2))
    red = flux[:, _band(grid, RED_ANGSTROM)].sum(axis=(1, 2))
    rise, decline = half_maximum_days(curves, grid)
    return {
        "blue_band_flux": blue,
        "red_band_flux": red,
        "band_color_ratio": np.where(red > 0.0, blue / red, np.nan),
        "rise_half_max_days": rise,
        "decline_half_max_days": decline,
        "observed_fraction": _counts(observed(error)) / (error.shape[1] * error.shape[2]),
        "num_nan": _num_nan(flux) + _num_nan(error),
    }


def _counts(mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
    """How many are true in each event; a sum of booleans would first make integers of them."""
    return np.array([np.count_nonzero(part) for part in mask], dtype=np.int64)


def _num_nan(values: Floats) -> npt.NDArray[np.int64]:
    """How many are NaN in each event; only where the sum is NaN any can be."""
    counts = np.zeros(len(values), dtype=np.int64)
    suspect = np.flatnonzero(np.isnan(values.reshape(len(values), -1).sum(axis=1)))
    counts[suspect] = _counts(np.isnan(values[suspect]))
    return counts


def _median(values: Floats) -> float:
    """Median of values that may be put into another order; NaN if one is NaN."""
    middle = len(values) // 2
    # Two ranks, even where one would do: NumPy is several times slower with one.
    values.partition((max(middle - 1, 0), middle))
    if np.isnan(values[middle:].max()):
        return math.nan
    if len(values) % 2:
        return float(values[middle])
    return float(0.5 * (values[middle - 1] + values[middle]))


def _medians(flat: Floats) -> Floats:
    """Median of each row (float64, shape (n,)), as `numpy.median`."""
    work = np.empty(flat.shape[1])
    medians = np.empty(len(flat))
    for row, values in enumerate(flat):
        np.copyto(work, values)
        medians[row] = _median(work)
    return medians


def half_maximum_days(curves: npt.NDArray[np.floating], grid: GridSpec) -> tuple[Floats, Floats]:
    """Days from the half-maximum crossings beside a light curve's peak to the peak.

    Parameters
    ----------
    curves : ndarray of float64, shape (n, n_time)
    grid : GridSpec

    Returns
    -------
    rise, decline : ndarray of float64, shape (n,)
        Between the two bins around a crossing the light curve is a straight line. NaN where the
        curve does not fall to half of its maximum on that side, or the maximum is not positive.
    """
    step = grid.time_step_days
    peak = curves.argmax(axis=1)
    half = 0.5 * curves[np.arange(len(curves)), peak]
    rise, decline = np.full((2, len(curves)), np.nan)
    for row, (curve, top, level) in enumerate(zip(curves, peak, half, strict=True)):
        if not level > 0.0:
            continue
        below = np.flatnonzero(curve[:top] <= level)
        if below.size:
            low = below[-1]
            rise[row] = step * (top - low - (level - curve[low]) / (curve[low + 1] - curve[low]))
        below = np.flatnonzero(curve[top:] <= level)
        if below.size:
            low = top + below[0]
            part = (curve[low - 1] - level) / (curve[low - 1] - curve[low])
            decline[row] = step * (low - 1 - top + part)
    return rise, decline


def _interleaved(snid: npt.NDArray[np.int64], *parts: npt.NDArray[np.floating]) -> list[Any]:
    stacked = np.stack(parts, axis=-1).reshape(len(snid), -1)
    return [snid, *np.ascontiguousarray(stacked.T)]


def curves_of(batch: EventBatch, grid: GridSpec) -> pa.Table:
    """Light curves of a batch, in columns of `curve_schema`."""
    flux, error = Channels().read(batch)
    schema = curve_schema(grid.num_time_bins)
    days = np.broadcast_to(grid.times, (len(batch), grid.num_time_bins))
    with np.errstate(all="ignore"):
        arrays = _interleaved(batch.snid, days, light_curve(flux), light_curve_error(error))
    return _table(dict(zip(schema.names, arrays, strict=True)), schema)


def spectra_of(batch: EventBatch, grid: GridSpec) -> pa.Table:
    """Spectra of a batch, in columns of `spectrum_schema`."""
    flux, error = Channels().read(batch)
    schema = spectrum_schema(grid.num_wavelength_bins)
    wavelengths = np.broadcast_to(grid.wavelengths, (len(batch), grid.num_wavelength_bins))
    with np.errstate(all="ignore"):
        arrays = _interleaved(
            batch.snid, wavelengths, spectrum(flux, grid), spectrum_error(error, grid)
        )
    return _table(dict(zip(schema.names, arrays, strict=True)), schema)
