"""Gaia XP mean spectra: from coefficients of basis functions to samples.

The continuous representation of a spectrum is a sum of Hermite functions of the scaled
pseudo-wavelength, rotated so that the first functions carry most of the signal (Carrasco et al.
2021, A&A 652, A86; De Angeli et al. 2023, A&A 674, A2).
"""

from __future__ import annotations

from functools import lru_cache
from importlib.resources import files

import numpy as np
from numpy.typing import ArrayLike, NDArray

from astro_common.errors import ConfigurationError

__all__ = ["ARMS", "N_COEFFICIENTS", "design_matrix", "sample_xp", "sample_xp_errors"]

Float = NDArray[np.float64]

ARMS = ("bp", "rp")
N_COEFFICIENTS = 55
# Beyond these pseudo-wavelengths the basis functions mean nothing.
_LOWEST, _HIGHEST = -10.0, 70.0


def sample_xp(coefficients: ArrayLike, arm: str, sampling: ArrayLike) -> Float:
    """Sample mean spectra at any pseudo-wavelengths.

    Parameters
    ----------
    coefficients : array-like of float, shape (55,) or (n, 55)
        ``bp_coefficients`` or ``rp_coefficients`` of the Gaia archive.
    arm : {'bp', 'rp'}
    sampling : array-like of float, shape (m,)
        Pseudo-wavelengths (dimensionless, -10 to 70; the detector covers 0 to 60).

    Returns
    -------
    ndarray of float64, shape (m,) or (n, m)
        Flux of the internally calibrated spectrum, electron/s.

    Raises
    ------
    ConfigurationError
        If the arm is unknown, or shapes or pseudo-wavelengths are out of range.
    """
    values = np.asarray(coefficients, dtype=np.float64)
    if values.ndim not in (1, 2) or values.shape[-1] != N_COEFFICIENTS:
        raise ConfigurationError(
            "coefficients", f"shape {values.shape}", f"({N_COEFFICIENTS},) or (n, {N_COEFFICIENTS})"
        )
    return np.asarray(values @ design_matrix(arm, sampling))


def sample_xp_errors(
    errors: ArrayLike, correlations: ArrayLike | None, arm: str, sampling: ArrayLike
) -> Float:
    """Propagate the errors of coefficients to the samples.

    Parameters
    ----------
    errors : array-like of float, shape (n, 55)
        Standard errors of the coefficients.
    correlations : array-like of float, shape (n, 1485), optional
        Correlation of each pair, (1,0), (2,0), (2,1), (3,0) and so on, as the Gaia archive gives
        them; none if left out.
    arm : {'bp', 'rp'}
    sampling : array-like of float, shape (m,)

    Returns
    -------
    ndarray of float64, shape (n, m)
        Standard errors of the samples, electron/s: the roots of the diagonal of D^T C D.
    """
    sigma = np.asarray(errors, dtype=np.float64)
    design = design_matrix(arm, sampling)
    # Variance of a sample is the squared length of its design vector in units of the errors.
    if correlations is None:
        return np.asarray(np.sqrt(sigma**2 @ design**2))
    pairs = np.asarray(correlations, dtype=np.float64)
    lower = np.tril_indices(N_COEFFICIENTS, k=-1)
    result = np.empty((len(sigma), design.shape[1]))
    matrix = np.eye(N_COEFFICIENTS)
    for row, (scale, values) in enumerate(zip(sigma, pairs, strict=True)):
        matrix[lower] = values
        matrix.T[lower] = values
        scaled = scale[:, None] * design
        variance = np.einsum("im,im->m", scaled, matrix @ scaled)
        # Rounded correlations can make a variance slightly negative.
        result[row] = np.sqrt(np.maximum(variance, 0.0))
    return result


def design_matrix(arm: str, sampling: ArrayLike) -> Float:
    """Evaluate the basis functions.

    Parameters
    ----------
    arm : {'bp', 'rp'}
    sampling : array-like of float, shape (m,)
        Pseudo-wavelengths.

    Returns
    -------
    ndarray of float64, shape (55, m)

    Raises
    ------
    ConfigurationError
        If the arm is unknown or a pseudo-wavelength is out of range.
    """
    if arm not in ARMS:
        raise ConfigurationError("arm", repr(arm), "'bp' or 'rp'")
    position = np.asarray(sampling, dtype=np.float64)
    if position.ndim != 1 or not position.size:
        raise ConfigurationError("sampling", f"shape {position.shape}", "one dimension, not empty")
    if not np.all((position >= _LOWEST) & (position <= _HIGHEST)):
        raise ConfigurationError(
            "sampling",
            f"pseudo-wavelengths from {position.min()} to {position.max()}",
            f"{_LOWEST} to {_HIGHEST}",
        )
    low, high, normal_low, normal_high, matrix = _bases(arm)
    scale = (normal_high - normal_low) / (high - low)
    return np.asarray(matrix @ _hermite_functions(normal_low + (position - low) * scale))


@lru_cache(maxsize=2)
def _bases(arm: str) -> tuple[float, float, float, float, Float]:
    path = files("astromodal_tokenizers.data").joinpath("xp_bases.npz")
    with path.open("rb") as stream, np.load(stream, allow_pickle=False) as numbers:
        low, high = numbers[f"{arm}_range"]
        normal_low, normal_high = numbers[f"{arm}_normalised_range"]
        matrix = numbers[f"{arm}_transformation"]
    return float(low), float(high), float(normal_low), float(normal_high), matrix


def _hermite_functions(position: Float) -> Float:
    """The first 55 orthonormal Hermite functions, shape (55, m), by their recurrence."""
    functions = np.empty((N_COEFFICIENTS, len(position)))
    functions[0] = np.pi**-0.25 * np.exp(-0.5 * position**2)
    functions[1] = np.sqrt(2.0) * position * functions[0]
    for order in range(2, N_COEFFICIENTS):
        functions[order] = np.sqrt(2.0 / order) * position * functions[order - 1]
        functions[order] -= np.sqrt((order - 1) / order) * functions[order - 2]
    return functions
