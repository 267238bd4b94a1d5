"""Spectra and light curves as they were measured: read from a table, side by side."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from astro_common.errors import InputError
from astromodal_tokenizers.configuration import XpSettings
from astromodal_tokenizers.hypercube import Ragged, ragged_column
from astromodal_tokenizers.modalities import Modality
from astromodal_tokenizers.normalization import segment_levels
from astromodal_tokenizers.xp import N_COEFFICIENTS, sample_xp, sample_xp_errors

__all__ = ["Measured", "measure", "scale_of"]

Float = NDArray[np.float64]

# Of the errors of a light curve, the percentile that its scale follows.
_CURVE_PER_CENT = 90.0


@dataclass(frozen=True)
class Measured:
    """Spectra of some rows side by side.

    Attributes
    ----------
    values : ndarray of float64, shape (n, length)
        Flux, coefficients or magnitudes; NaN where there is none.
    weight : ndarray of float64, shape (n, length)
        sqrt(ivar), the inverse of the error; 0 where masked or without a finite value.
    time : ndarray of float64, shape (n, length), or None
        Of light curves.
    lengths : ndarray of int64, shape (n,)
        Pixels of each row; the rest is padding.
    claimed : ndarray of bool, shape (n, length), or None
        Pixels that have an ivar above zero, or None if those are the `valid` ones. A pixel whose
        flux is NaN all the same teaches nothing, and yet gets a token in a spectrum that says
        anything at all: it decodes to about the level there.
    """

    values: Float
    weight: Float
    time: Float | None
    lengths: NDArray[np.int64]
    claimed: NDArray[np.bool_] | None = None

    @property
    def valid(self) -> NDArray[np.bool_]:
        """Pixels that say something (ndarray of bool, shape (n, length))."""
        return np.asarray(self.weight > 0.0)

    @property
    def present(self) -> NDArray[np.bool_]:
        """Pixels that get a token (ndarray of bool, shape (n, length))."""
        valid = self.valid
        if self.claimed is None:
            return valid
        return np.asarray(valid | (self.claimed & valid.any(axis=1, keepdims=True)))


def measure(modality: Modality, table: pa.Table, xp: XpSettings, length: int | None) -> Measured:
    """Read the spectra of some rows.

    Parameters
    ----------
    modality : Modality
        Spectrum, light curve or coefficients.
    table : pyarrow.Table
        With the columns of the modality.
    xp : XpSettings
        How coefficients are read.
    length : int or None
        Pixels of every spectrum, or None if they differ.

    Returns
    -------
    Measured

    Raises
    ------
    InputError
        If the lists of a row do not have the same length, or a wrong one.
    """
    if modality.kind == "coefficients":
        return _measure_coefficients(modality, table, xp)
    curve = modality.kind == "light_curve"
    value_column, weight_column = (
        modality.column(role) for role in (("value", "error") if curve else ("flux", "ivar"))
    )
    values, weights = ragged_column(table[value_column]), ragged_column(table[weight_column])
    _check_lengths(weight_column, weights, value_column, values)
    width = max(1, int(values.lengths.max(initial=0))) if length is None else length
    if length is not None:
        wrong = values.lengths[(values.lengths != length) & (values.lengths != 0)]
        if len(wrong):
            raise InputError(
                f"column {value_column}", f"a spectrum of {wrong[0]} pixels", f"{length} in all"
            )
    value, weight = _padded(values, width), _padded(weights, width)
    with np.errstate(divide="ignore", invalid="ignore"):
        weight = 1.0 / weight if curve else np.sqrt(weight)
    time = None
    if curve:
        times = ragged_column(table[modality.column("time")])
        _check_lengths(modality.column("time"), times, value_column, values)
        time = _padded(times, width)
    good = np.isfinite(value) & np.isfinite(weight) & (weight > 0.0)
    # An epoch without a magnitude was not observed, whatever its error.
    claimed = None if curve else np.asarray(weight > 0.0)
    return Measured(value, np.where(good, weight, 0.0), time, values.lengths, claimed)


def _check_lengths(name: str, found: Ragged, other: str, wanted: Ragged) -> None:
    if not np.array_equal(found.indptr, wanted.indptr):
        row = int(np.flatnonzero(found.lengths != wanted.lengths)[0])
        raise InputError(
            f"column {name}",
            f"{found.lengths[row]} values in a row",
            f"{wanted.lengths[row]} as in {other}",
        )


def _padded(column: Ragged, width: int) -> Float:
    if (column.lengths == width).all():
        return column.values.reshape(-1, width)
    result = np.full((len(column.lengths), width), np.nan)
    result[np.arange(width) < column.lengths[:, None]] = column.values
    return result


def _measure_coefficients(modality: Modality, table: pa.Table, xp: XpSettings) -> Measured:
    name = modality.column("coefficients")
    column = ragged_column(table[name])
    wrong = column.lengths[(column.lengths != N_COEFFICIENTS) & (column.lengths != 0)]
    if len(wrong):
        raise InputError(f"column {name}", f"{wrong[0]} coefficients", f"{N_COEFFICIENTS}")
    coefficients = column.matrix(N_COEFFICIENTS)
    errors = ragged_column(table[modality.column("errors")]).matrix(N_COEFFICIENTS)
    known = np.isfinite(coefficients).all(axis=1) & np.isfinite(errors).all(axis=1)
    known = np.asarray(known & (errors > 0.0).all(axis=1))
    width = xp.samples if xp.representation == "sampled" else N_COEFFICIENTS
    values, weight = np.full((len(known), width), np.nan), np.zeros((len(known), width))
    rows = np.flatnonzero(known)
    if len(rows) and xp.representation == "sampled":
        arm = modality.name.rsplit("_", 1)[-1]
        sampling = np.linspace(xp.start, xp.stop, xp.samples)
        pairs = None
        if modality.has("correlations"):
            count = N_COEFFICIENTS * (N_COEFFICIENTS - 1) // 2
            pairs = ragged_column(table[modality.column("correlations")]).matrix(count)[rows]
            pairs = np.where(np.isfinite(pairs), pairs, 0.0)
        values[rows] = sample_xp(coefficients[rows], arm, sampling)
        deviation = sample_xp_errors(errors[rows], pairs, arm, sampling)
        weight[rows] = np.divide(1.0, deviation, out=np.zeros_like(deviation), where=deviation > 0)
    elif len(rows):
        values[rows], weight[rows] = coefficients[rows], 1.0 / errors[rows]
    return Measured(values, weight, None, np.where(known, width, 0))


def scale_of(spectra: Measured, levels: int, *, curve: bool) -> tuple[Float, Float]:
    """Robust noise and levels.

    Parameters
    ----------
    spectra : Measured
    levels : int
    curve : bool
        Whether they are light curves.

    Returns
    -------
    noise : ndarray of float64, shape (n,)
        Logarithm of the median of sqrt(ivar), of light curves of its 90th percentile: a source
        that is bright in some epochs alone has these resolved by their own errors. NaN without a
        valid pixel.
    level : ndarray of float64, shape (n, levels)
        In the unit of the values.
    """
    valid = spectra.valid
    rows = np.flatnonzero(valid.any(axis=1))
    noise = np.full(len(valid), np.nan)
    if len(rows):
        weight = np.where(valid[rows], spectra.weight[rows], np.nan)
        per_cent = _CURVE_PER_CENT if curve else 50.0
        noise[rows] = np.log(np.nanpercentile(weight, per_cent, axis=1))
    return noise, segment_levels(spectra.values, valid, levels)
