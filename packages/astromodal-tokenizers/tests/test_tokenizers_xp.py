from __future__ import annotations

import warnings

import numpy as np
import pytest

import astromodal_tokenizers
from astro_common.errors import ConfigurationError
from astromodal_tokenizers.xp import design_matrix, sample_xp, sample_xp_errors


@pytest.fixture(scope="module")
def convert():
    """GaiaXPy's own way to samples; importing it changes matplotlib's settings."""
    matplotlib = pytest.importorskip("matplotlib")
    with warnings.catch_warnings(), matplotlib.rc_context():
        warnings.simplefilter("ignore")
        return pytest.importorskip("gaiaxpy").convert


def spectra(count=4, seed=0):
    """Rows as the Gaia archive gives them."""
    import pandas as pd

    random = np.random.default_rng(seed)
    rows = []
    for number in range(count):
        row = {"source_id": number + 1, "solution_id": 1}
        for arm in ("bp", "rp"):
            row[f"{arm}_basis_function_id"] = {"bp": 56, "rp": 57}[arm]
            row[f"{arm}_coefficients"] = random.normal(size=55) * np.exp(-np.arange(55) / 9.0)
            row[f"{arm}_coefficient_errors"] = random.uniform(0.01, 0.1, 55)
            row[f"{arm}_coefficient_correlations"] = random.uniform(-0.05, 0.05, 1485)
            row[f"{arm}_n_relevant_bases"] = 20
            row[f"{arm}_n_parameters"] = 55
            row[f"{arm}_standard_deviation"] = 1.0 + 0.1 * number
        rows.append(row)
    return pd.DataFrame(rows)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("arm", ["bp", "rp"])
@pytest.mark.parametrize("sampling", [np.linspace(0, 60, 600), np.array([-3.0, 17.2, 65.0])])
def test_samples_and_their_errors_agree_with_gaiaxpy(convert, arm, sampling):
    table = spectra()
    wanted, _ = convert(table.copy(), sampling=sampling, save_file=False)
    wanted = wanted[wanted["xp"] == arm.upper()]
    coefficients = np.stack(table[f"{arm}_coefficients"])
    flux = sample_xp(coefficients, arm, sampling)
    theirs = np.stack(wanted["flux"])
    assert np.abs(flux - theirs).max() < 1e-6 * np.abs(theirs).max()
    errors = sample_xp_errors(
        np.stack(table[f"{arm}_coefficient_errors"]),
        np.stack(table[f"{arm}_coefficient_correlations"]),
        arm,
        sampling,
    )
    # GaiaXPy keeps errors in single precision.
    assert np.allclose(errors, np.stack(wanted["flux_error"]), rtol=1e-5)


def test_one_spectrum_and_many():
    coefficients = np.random.default_rng(1).normal(size=(3, 55))
    sampling = np.linspace(0, 60, 7)
    many = astromodal_tokenizers.sample_xp(coefficients, "bp", sampling)
    assert many.shape == (3, 7)
    assert np.allclose(astromodal_tokenizers.sample_xp(coefficients[1], "bp", sampling), many[1])


def test_the_basis_functions_are_orthonormal():
    step = 0.01
    design = design_matrix("rp", np.arange(-10.0, 70.0, step))
    product = design @ design.T * step
    scale = product[0, 0]
    assert np.allclose(product / scale, np.eye(55), atol=2e-2)


def test_errors_without_correlations_are_those_with_none():
    errors = np.random.default_rng(2).uniform(0.1, 1.0, (2, 55))
    sampling = np.linspace(0, 60, 9)
    zeros = np.zeros((2, 1485))
    assert np.allclose(
        sample_xp_errors(errors, None, "bp", sampling),
        sample_xp_errors(errors, zeros, "bp", sampling),
    )


@pytest.mark.parametrize(
    ("coefficients", "arm", "sampling"),
    [
        (np.zeros(54), "bp", [1.0]),
        (np.zeros((1, 1, 55)), "bp", [1.0]),
        (np.zeros(55), "xp", [1.0]),
        (np.zeros(55), "bp", [71.0]),
        (np.zeros(55), "bp", [np.nan]),
        (np.zeros(55), "bp", []),
    ],
)
def test_wrong_arguments_are_refused(coefficients, arm, sampling):
    with pytest.raises(ConfigurationError):
        sample_xp(coefficients, arm, sampling)
