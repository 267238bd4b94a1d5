"""The Gaussian process against independent ones, and extinction against its publication."""

from __future__ import annotations

import numpy as np
import pytest

from astro_common.errors import ConfigurationError
from scone_io.extinction import ccm89, dereddened, scone_extinction
from scone_io.gaussian_process import (
    GaussianProcess,
    GaussianProcessError,
    Kernel,
    starting_kernel,
)


def observations(count=40, seed=0):
    rng = np.random.default_rng(seed)
    mjd = np.sort(rng.uniform(0.0, 120.0, count))
    wavelength = rng.choice([4826.85, 6223.24, 7545.98, 8590.90], count)
    error = rng.uniform(2.0, 9.0, count)
    flux = 150.0 * np.exp(-0.5 * ((mjd - 50.0) / 18.0) ** 2) * wavelength / 6000.0
    return mjd, wavelength, flux + rng.normal(size=count) * error, error


GRID = np.linspace(20.0, 200.0, 180), np.linspace(3000.0, 10100.0, 32)
KERNEL = Kernel(70.0**2, 20.0, 6000.0)


def points(mjd, wavelengths):
    across = np.meshgrid(wavelengths, mjd, indexing="ij")
    return np.column_stack([across[1].ravel(), across[0].ravel()])


def matern(first, second, kernel):
    lengths = np.array([kernel.days, kernel.angstrom])
    step = (first[:, None, :] - second[None, :, :]) / lengths
    distance = np.sqrt(3.0 * (step**2).sum(axis=-1))
    return kernel.amplitude * (1.0 + distance) * np.exp(-distance)


def test_prediction_and_likelihood_are_those_of_the_textbook():
    mjd, wavelength, flux, error = observations()
    seen = np.column_stack([mjd, wavelength])
    noisy = matern(seen, seen, KERNEL) + np.diag(error**2)
    inverse = np.linalg.inv(noisy)
    across = matern(points(*GRID), seen, KERNEL)
    process = GaussianProcess(mjd, wavelength, flux, error)
    mean, variance = process.predict(KERNEL, *GRID)
    assert np.allclose(mean.ravel(), across @ inverse @ flux, rtol=1e-9, atol=1e-9)
    expected = KERNEL.amplitude - np.einsum("ij,jk,ik->i", across, inverse, across)
    assert np.allclose(variance.ravel(), expected, rtol=1e-8, atol=1e-8)
    value, _ = process.negative_log_likelihood(KERNEL)
    textbook = 0.5 * (flux @ inverse @ flux + np.linalg.slogdet(2 * np.pi * noisy)[1])
    assert value == pytest.approx(textbook, rel=1e-12)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_scikit_learn_predicts_the_same():
    process = pytest.importorskip("sklearn.gaussian_process")
    mjd, wavelength, flux, error = observations(60, seed=4)
    kernels = process.kernels
    kernel = kernels.ConstantKernel(KERNEL.amplitude, "fixed") * kernels.Matern(
        [KERNEL.days, KERNEL.angstrom], "fixed", nu=1.5
    )
    peer = process.GaussianProcessRegressor(kernel, alpha=error**2, optimizer=None)
    peer.fit(np.column_stack([mjd, wavelength]), flux)
    mean, deviation = peer.predict(points(*GRID), return_std=True)
    ours = GaussianProcess(mjd, wavelength, flux, error).predict(KERNEL, *GRID)
    assert np.allclose(ours[0].ravel(), mean, rtol=1e-6, atol=1e-6)
    assert np.allclose(ours[1].ravel(), deviation**2, rtol=1e-6, atol=1e-6)


def test_george_optimises_to_the_same():
    george = pytest.importorskip("george")
    from scipy.optimize import minimize

    mjd, wavelength, flux, error = observations(80, seed=2)
    start = starting_kernel(flux, error)
    kernel = start.amplitude * george.kernels.Matern32Kernel([20.0**2, 6000.0**2], ndim=2)
    peer = george.GP(kernel)
    peer.compute(np.column_stack([mjd, wavelength]), error)
    first = peer.get_parameter_vector()

    def loss(vector):
        peer.set_parameter_vector(vector)
        return -peer.log_likelihood(flux), -peer.grad_log_likelihood(flux)

    bounds = [(first[0] - 10, first[0] + 10), (0, np.log(1000.0**2)), (None, None)]
    peer.set_parameter_vector(minimize(loss, first, jac=True, bounds=bounds).x)
    mean, variance = peer.predict(flux, points(*GRID), return_var=True)
    process = GaussianProcess(mjd, wavelength, flux, error)
    ours = process.predict(process.optimised(start), *GRID)
    assert np.allclose(ours[0].ravel(), mean, rtol=1e-6, atol=1e-6 * flux.max())
    assert np.allclose(ours[1].ravel(), variance, rtol=1e-6, atol=1e-6 * variance.max())


def test_gradient_is_the_slope():
    process = GaussianProcess(*observations(30, seed=6))
    parameters = np.log([50.0**2, 25.0**2, 5000.0**2])

    def value(vector):
        amplitude, days, angstrom = np.exp(vector * [1.0, 0.5, 0.5])
        return process.negative_log_likelihood(Kernel(amplitude, days, angstrom))

    _, gradient = value(parameters)
    for axis in range(3):
        step = np.zeros(3)
        step[axis] = 1e-4
        slope = (value(parameters + step)[0] - value(parameters - step)[0]) / 2e-4
        assert gradient[axis] == pytest.approx(slope, rel=1e-5, abs=1e-6)


def test_optimised_kernel_is_more_likely_and_within_bounds():
    for seed in range(5):
        mjd, wavelength, flux, error = observations(25, seed=seed)
        process = GaussianProcess(mjd, wavelength, flux, error)
        start = starting_kernel(flux, error)
        found = process.optimised(start)
        assert (
            process.negative_log_likelihood(found)[0] <= process.negative_log_likelihood(start)[0]
        )
        assert 1.0 <= found.days <= 1000.0 * (1 + 1e-12)


def test_far_from_data_the_prior_returns():
    process = GaussianProcess(*observations())
    mean, variance = process.predict(KERNEL, np.array([1e5]), GRID[1])
    assert np.allclose(mean, 0.0)
    assert np.allclose(variance, KERNEL.amplitude)


def test_what_cannot_be_is_refused():
    mjd, wavelength, flux, error = observations(5)
    for changed in ((flux * np.nan, error), (flux, 0.0 * error), (flux, -error)):
        with pytest.raises(GaussianProcessError):
            GaussianProcess(mjd, wavelength, *changed)


def test_extinction_law_has_the_published_values():
    # The polynomials at the inverse wavelengths of the paper's tables, for R_V = 3.1.
    table = {
        8.0: 3.33685933,
        6.0: 2.52195399,
        5.0: 2.84252644,
        4.6: 3.18598916,
        3.0: 1.64254927,
        2.78: 1.56880904,
        2.27: 1.32257836,
        1.82: 1.0,
        1.43: 0.75125994,
        1.11: 0.4780346,
        0.80: 0.28206957,
        0.46: 0.11572348,
    }
    for inverse, expected in table.items():
        assert ccm89(1e4 / inverse) == pytest.approx(expected, rel=1e-7)
    # Continuous at the joints of its pieces, to the precision of its coefficients.
    for joint in (1.1, 3.3, 5.9):
        left, right = ccm89([1e4 / (joint - 1e-6), 1e4 / (joint + 1e-6)])
        assert left == pytest.approx(right, abs=0.02)
    with pytest.raises(ConfigurationError):
        ccm89(100.0)


def test_dereddening_multiplies_both_channels():
    wavelengths = np.array([4000.0, 8000.0])
    image = np.arange(1.0, 13.0).reshape(2, 3, 2)
    factor = 10.0 ** (0.4 * 3.1 * 0.2 * ccm89(wavelengths))
    assert np.allclose(dereddened(image, wavelengths, 0.2), image * factor[:, None, None])
    published = scone_extinction(image, wavelengths, 0.2)
    assert np.array_equal(published[..., 1], image[..., 1])
    added = (3.1 * 0.2 * ccm89(wavelengths))[:, None]
    assert np.allclose(published[..., 0], image[..., 0] + added)
