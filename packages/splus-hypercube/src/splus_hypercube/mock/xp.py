"""Gaia XP: mean BP and RP spectra as basis-function coefficients with errors and correlations."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from splus_hypercube.mock.ecsv import EcsvColumn
from splus_hypercube.mock.gaia import GaiaCatalogue, write_by_range
from splus_hypercube.mock.grid import OPTICAL
from splus_hypercube.mock.sky import Sky
from splus_hypercube.mock.spectra import observed_spectra
from splus_hypercube.mock.xp_basis import ARMS, N_COEFFICIENTS, xp_arm

__all__ = ["XP_COLUMNS", "write_xp"]

Float = NDArray[np.float64]
Int = NDArray[np.int64]

_SOLUTION_ID = 4545469030156206080
_BASIS_FUNCTION_ID = {"bp": 56, "rp": 57}
_W_M2_NM_PER_CGS = 1e-2  # W/m2/nm of one erg/s/cm2/angstrom
_CHUNK = 384
_FACTORS = 5
_CORRELATION_DIGITS = 5

# Name after the arm, datatype, whether an array, description, UCD.
_ARM_TABLE = (
    ("basis_function_id", "int16", False, "Identifier of the set of basis functions", "meta.id"),
    ("degrees_of_freedom", "int16", False, "Degrees of freedom", "stat.fit.dof"),
    ("n_parameters", "int16", False, "Number of parameters", "stat.fit.param"),
    ("n_measurements", "int16", False, "Number of measurements used", "meta.number"),
    ("n_rejected_measurements", "int16", False, "Number of rejected measurements", "meta.number"),
    ("standard_deviation", "float32", False, "Standard deviation", "stat.stdev"),
    ("chi_squared", "float32", False, "Chi squared", "stat.fit.chi2"),
    ("coefficients", "float64", True, "Basis function coefficients", "stat.fit.param"),
    ("coefficient_errors", "float32", True, "Errors of the coefficients", "stat.error"),
    ("coefficient_correlations", "float32", True, "Correlation matrix", "stat.correlation"),
    ("n_relevant_bases", "int16", False, "Number of bases that are relevant", "meta.number"),
    ("relative_shrinking", "float32", False, "Shrinking by truncation", "stat.fit.param"),
)

XP_COLUMNS = [
    EcsvColumn("source_id", "int64", "", "Unique source identifier", "meta.id;meta.main"),
    EcsvColumn("solution_id", "int64", "", "Solution Identifier", "meta.version"),
    *(
        EcsvColumn(
            f"{arm}_{name}", datatype, "", f"{text} of the {arm.upper()} spectrum", ucd, array
        )
        for arm in ARMS
        for name, datatype, array, text, ucd in _ARM_TABLE
    ),
]


def write_xp(folder: Path, sky: Sky, gaia: GaiaCatalogue) -> None:
    """Write the XP spectra of all Gaia sources of a field that have one.

    Parameters
    ----------
    folder : Path
    sky : Sky
    gaia : GaiaCatalogue
    """
    rng = sky.field.random("gaia xp")
    rows = np.flatnonzero(gaia.has_xp)
    truth = true_coefficients(sky, gaia, rows)
    arrays: dict[str, pa.Array] = {
        "source_id": pa.array(gaia.source_id[rows]),
        "solution_id": pa.array(np.full(len(rows), _SOLUTION_ID)),
    }
    for arm in ARMS:
        arrays.update(_measure(arm, truth[arm], rng))
    table = pa.table([arrays[column.name] for column in XP_COLUMNS], [c.name for c in XP_COLUMNS])
    write_by_range(folder, "XpContinuousMeanSpectrum", sky.field, XP_COLUMNS, table)


def true_coefficients(sky: Sky, gaia: GaiaCatalogue, rows: Int) -> dict[str, Float]:
    """Noiseless coefficients.

    Parameters
    ----------
    sky : Sky
    gaia : GaiaCatalogue
    rows : ndarray of int64, shape (n,)
        Rows of the Gaia catalogue.

    Returns
    -------
    dict of str to ndarray of float64, shape (n, 55)
        By arm, ``"bp"`` and ``"rp"``.
    """
    template = gaia.entries.template[rows]
    faint = 10.0 ** (-0.4 * gaia.entries.fainter[rows])
    result = {arm: np.empty((len(rows), N_COEFFICIENTS)) for arm in ARMS}
    for start in range(0, len(rows), _CHUNK):
        part = slice(start, start + _CHUNK)
        spectra = observed_spectra(sky.population, template[part], OPTICAL)
        for arm in ARMS:
            result[arm][part] = (spectra @ _matrix(arm)) * faint[part, None]
    return result


@lru_cache(maxsize=2)
def _matrix(arm: str) -> Float:
    """Coefficients of unit spectra on the optical grid, shape (OPTICAL.size, 55)."""
    instrument = xp_arm(arm)
    target = instrument.wavelength_nm * 10.0
    position = np.log(target / OPTICAL.start_angstrom) / OPTICAL.step
    left = np.clip(np.floor(position).astype(np.int64), 0, OPTICAL.size - 2)
    part = np.clip(position - left, 0.0, 1.0)
    per_sample = instrument.photons[:, None] * instrument.projection * _W_M2_NM_PER_CGS
    matrix = np.zeros((OPTICAL.size, N_COEFFICIENTS))
    np.add.at(matrix, left, per_sample * (1.0 - part)[:, None])
    np.add.at(matrix, left + 1, per_sample * part[:, None])
    return matrix


def _measure(arm: str, truth: Float, rng: np.random.Generator) -> dict[str, pa.Array]:
    """Coefficients with noise that follows the errors and correlations written beside them."""
    count = len(truth)
    first = np.abs(truth[:, 0])
    noise = np.sqrt((4e-4 * first) ** 2 + 8e-4 * first + 0.4**2)
    errors = (noise[:, None] * _error_profile()).astype(np.float32).astype(np.float64)
    loadings = _loadings(arm) * rng.uniform(0.15, 0.75, size=(count, 1, _FACTORS))
    variance = 1.0 + (loadings**2).sum(axis=2)
    common = np.einsum("nif,nf->ni", loadings, rng.standard_normal((count, _FACTORS)))
    draw = (common + rng.standard_normal((count, N_COEFFICIENTS))) / np.sqrt(variance)
    coefficients = truth + errors * draw
    i, j = np.tril_indices(N_COEFFICIENTS, k=-1)
    correlations = np.einsum("npf,npf->np", loadings[:, i], loadings[:, j])
    correlations /= np.sqrt(variance[:, i] * variance[:, j])
    correlations = np.round(correlations, _CORRELATION_DIGITS)
    measurements = rng.integers(900, 6000, count)
    deviation = rng.normal(1.05, 0.03, count)
    freedom = measurements - N_COEFFICIENTS
    significant = np.abs(coefficients) > 2.0 * errors
    relevant = N_COEFFICIENTS - np.argmax(significant[:, ::-1], axis=1)
    scalars = {
        "basis_function_id": (np.full(count, _BASIS_FUNCTION_ID[arm]), pa.int16()),
        "degrees_of_freedom": (freedom, pa.int16()),
        "n_parameters": (np.full(count, N_COEFFICIENTS), pa.int16()),
        "n_measurements": (measurements, pa.int16()),
        "n_rejected_measurements": (rng.integers(0, 60, count), pa.int16()),
        "standard_deviation": (deviation, pa.float32()),
        "chi_squared": (freedom * deviation**2, pa.float32()),
        "n_relevant_bases": (relevant, pa.int16()),
        "relative_shrinking": (1.0 - rng.uniform(0.0, 1e-5, count), pa.float32()),
    }
    result = {f"{arm}_{name}": pa.array(v).cast(t, safe=False) for name, (v, t) in scalars.items()}
    result[f"{arm}_coefficients"] = _lists(coefficients, pa.float64())
    result[f"{arm}_coefficient_errors"] = _lists(errors, pa.float32())
    result[f"{arm}_coefficient_correlations"] = _lists(correlations, pa.float32())
    return result


def _lists(values: Float, kind: pa.DataType) -> pa.ListArray:
    offsets = np.arange(0, values.size + 1, values.shape[1], dtype=np.int32)
    flat = pa.array(np.ascontiguousarray(values).ravel()).cast(kind, safe=False)
    return pa.ListArray.from_arrays(pa.array(offsets), flat)


def _error_profile() -> Float:
    """Errors of coefficients relative to that of the first; they fall with the order."""
    order = np.arange(N_COEFFICIENTS)
    last = 1.0 / (1.0 + np.exp((order - 50.5) / 1.3))
    return np.asarray(np.exp(-order / 45.0) * (0.03 + 0.97 * last))


def _loadings(arm: str) -> Float:
    """How coefficients share a few common errors, shape (55, number of factors)."""
    order = np.arange(N_COEFFICIENTS)[:, None]
    phase = {"bp": 0.3, "rp": 1.1}[arm]
    return np.asarray(np.cos(order * np.pi * np.arange(1, _FACTORS + 1) / 9.0 + phase))
