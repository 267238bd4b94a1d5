"""One heatmap by a Gaussian process: scone-io and george, from one start to one result."""

from __future__ import annotations

import os

# Before the linear algebra libraries are loaded: both programs with one thread.
for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_name] = "1"

from typing import Any  # noqa: E402

import numpy as np  # noqa: E402
from scipy.optimize import minimize  # noqa: E402

from astro_common.benchmarking import (  # noqa: E402
    Result,
    median_ratio,
    paired_seconds,
    parser,
    peer_versions,
    report,
    require,
)
from scone_io.gaussian_process import GaussianProcess, starting_kernel  # noqa: E402
from scone_io.grid import PRESETS  # noqa: E402

GRID = PRESETS["scone"]


def observations(count: int, rng: np.random.Generator) -> tuple[np.ndarray, ...]:
    mjd = np.sort(rng.uniform(-60.0, 130.0, count))
    wavelength = rng.choice([4826.85, 6223.24, 7545.98, 8590.90], count)
    error = rng.uniform(3.0, 9.0, count)
    flux = 200.0 * np.exp(-0.5 * ((mjd - 5.0) / 20.0) ** 2) * wavelength / 6000.0
    flux = flux + rng.normal(size=count) * error
    pad = np.array([6223.24, 6223.24])
    return (
        np.append(mjd, [mjd.min() - 100.0, mjd.max() + 100.0]),
        np.append(wavelength, pad),
        np.append(flux, [0.0, 0.0]),
        np.append(error, [0.1, 0.1]),
    )


def ours(event: tuple[np.ndarray, ...]) -> tuple[Any, Any]:
    process = GaussianProcess(*event)
    kernel = process.optimised(starting_kernel(event[2], event[3]))
    return process.predict(kernel, GRID.times, GRID.wavelengths)


def by_george(event: tuple[np.ndarray, ...]) -> tuple[Any, Any]:
    import george

    mjd, wavelength, flux, error = event
    amplitude = starting_kernel(flux, error).amplitude
    kernel = amplitude * george.kernels.Matern32Kernel([20.0**2, 6000.0**2], ndim=2)
    process = george.GP(kernel)
    process.compute(np.column_stack([mjd, wavelength]), error)
    first = process.get_parameter_vector()

    def value(vector: np.ndarray) -> float:
        process.set_parameter_vector(vector)
        return -float(process.log_likelihood(flux))

    def slope(vector: np.ndarray) -> np.ndarray:
        process.set_parameter_vector(vector)
        return -process.grad_log_likelihood(flux)

    bounds = [(first[0] - 10, first[0] + 10), (0, np.log(1000.0**2)), (None, None)]
    process.set_parameter_vector(minimize(value, first, jac=slope, bounds=bounds).x)
    across = np.meshgrid(GRID.wavelengths, GRID.times, indexing="ij")
    points = np.column_stack([across[1].ravel(), across[0].ravel()])
    mean, variance = process.predict(flux, points, return_var=True)
    return mean.reshape(GRID.shape), variance.reshape(GRID.shape)


def main() -> None:
    options = parser(__doc__ or "")
    options.add_argument("--events", type=int, default=10, metavar="N", help="of each size (10)")
    arguments = options.parse_args()
    result = Result(
        "scone-io",
        "Make a heatmap, kernel optimised",
        f"{arguments.events} light curves of each length, one thread; means agree to 1e-6 of the "
        "largest flux, variances to 1e-6 of the largest variance",
        versions=peer_versions("george", "numpy", "scipy"),
    )
    for count in (60, 120, 240):
        rng = np.random.default_rng(arguments.seed)
        events = [observations(count, rng) for _ in range(arguments.events)]
        for event in events:
            (mean, variance), (other, spread) = ours(event), by_george(event)
            require(bool(np.allclose(mean, other, rtol=0, atol=1e-6 * event[2].max())), "means")
            require(
                bool(np.allclose(variance, spread, rtol=0, atol=1e-6 * spread.max())), "variances"
            )
        programs = {
            f"scone-io, {count} observations": lambda events=events: [ours(e) for e in events],
            f"george, {count} observations": lambda events=events: [by_george(e) for e in events],
        }
        seconds = paired_seconds(programs, arguments.repeats)
        mine, theirs = seconds.values()
        for name, values in seconds.items():
            result.measured(f"{name}, per event", float(np.median(values)) / arguments.events)
        result.at_least(f"george / ours, {count} observations", median_ratio(theirs, mine), 5.0)
    report(result, arguments.output)


if __name__ == "__main__":
    main()
