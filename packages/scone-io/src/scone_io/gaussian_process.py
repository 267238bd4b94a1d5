"""A Gaussian process over time and wavelength.

The model is that of SCONE, which has it from avocado (Boone 2019, AJ 158, 257): mean zero, one
Matern-3/2 kernel in two dimensions, ``k = A (1 + d) exp(-d)`` with ``d^2 = 3 (dt^2 / M_t + dw^2 /
M_w)`` (Rasmussen & Williams 2006, Gaussian Processes for Machine Learning, equation 4.17).

Three things make it fast. Observations come in few bands, so the distances in wavelength between
observations and grid are a small table. One Cholesky factor serves the likelihood, its gradient and
the prediction. The variance needs one triangular product, not two solutions.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.linalg.blas import dtrmm
from scipy.linalg.lapack import dpotrf, dpotri, dpotrs, dtrtri
from scipy.optimize import minimize

__all__ = ["GaussianProcess", "GaussianProcessError", "Kernel", "starting_kernel"]

Floats = npt.NDArray[np.float64]

# Starting lengths, and the bounds within which the length in time may move; the amplitude may
# change by a factor of e^10.
START_DAYS = 20.0
START_ANGSTROM = 6000.0
MAX_DAYS = 1000.0
_AMPLITUDE_RANGE = 10.0


class GaussianProcessError(ValueError):
    """The observations admit no Gaussian process."""


@dataclass(frozen=True)
class Kernel:
    """A Matern-3/2 kernel.

    Attributes
    ----------
    amplitude : float
        Variance of the flux, FLUXCAL squared.
    days : float
        Length scale in time.
    angstrom : float
        Length scale in wavelength.
    """

    amplitude: float
    days: float = START_DAYS
    angstrom: float = START_ANGSTROM


def starting_kernel(flux: Floats, flux_err: Floats) -> Kernel:
    """The kernel from which the optimisation starts.

    Parameters
    ----------
    flux, flux_err : ndarray of float64, shape (n,)

    Returns
    -------
    Kernel
        Its amplitude is half the flux of the most significant observation, squared. An observation
        counts as known to one per cent of the largest flux at best.
    """
    floor = 0.01 * np.max(flux)
    best = int(np.argmax(np.abs(flux) / np.sqrt(flux_err**2 + floor**2)))
    return Kernel((0.5 * abs(float(flux[best]))) ** 2)


class GaussianProcess:
    """Observations of one supernova, and what follows from them.

    Parameters
    ----------
    mjd, wavelength : ndarray of float64, shape (n,)
        Day and mean wavelength (angstrom) of each observation.
    flux, flux_err : ndarray of float64, shape (n,)

    Raises
    ------
    GaussianProcessError
        If a value is not finite, or an uncertainty not positive.
    """

    def __init__(self, mjd: Floats, wavelength: Floats, flux: Floats, flux_err: Floats) -> None:
        for name, values in (("mjd", mjd), ("flux", flux), ("flux_err", flux_err)):
            if not np.all(np.isfinite(values)):
                raise GaussianProcessError(f"{name} is not finite")
        if not np.all(flux_err > 0.0):
            raise GaussianProcessError("an uncertainty is not positive")
        self._mjd, self._flux = mjd, flux
        self._noise = flux_err**2
        self._bands, self._band = np.unique(wavelength, return_inverse=True)
        self._days_squared = (mjd[:, None] - mjd[None, :]) ** 2
        between = (self._bands[:, None] - self._bands[None, :]) ** 2
        self._angstrom_squared = between[self._band[:, None], self._band[None, :]]
        self._scratch = np.empty((3, len(mjd), len(mjd)))

    def _covariance(self, kernel: Kernel) -> tuple[Floats, Floats]:
        """The kernel at all pairs of observations, and its exponential part alone.

        Both are in arrays that the next call uses again.
        """
        distance, decay, _ = self._scratch
        np.multiply(self._days_squared, 3.0 / kernel.days**2, out=distance)
        np.multiply(self._angstrom_squared, 3.0 / kernel.angstrom**2, out=decay)
        distance += decay
        np.sqrt(distance, out=distance)
        np.negative(distance, out=decay)
        np.exp(decay, out=decay)
        decay *= kernel.amplitude
        distance += 1.0
        distance *= decay
        return distance, decay

    def _factor(self, covariance: Floats) -> Floats:
        """Lower Cholesky factor of the covariance with the noise; zero above the diagonal."""
        noisy = self._scratch[2]
        np.copyto(noisy, covariance)
        noisy.flat[:: len(noisy) + 1] += self._noise
        # The matrix is symmetric, so its transpose, which LAPACK need not copy, is as good.
        factor, info = dpotrf(noisy.T, lower=1, overwrite_a=1)
        if info:
            raise GaussianProcessError("the covariance is not positive definite")
        result: Floats = factor
        return result

    def negative_log_likelihood(self, kernel: Kernel) -> tuple[float, Floats]:
        """How little likely the observations are, and how that changes with the kernel.

        Parameters
        ----------
        kernel : Kernel

        Returns
        -------
        value : float
            ``-ln p(flux)``, Rasmussen & Williams 2006, equation 2.30.
        gradient : ndarray of float64, shape (3,)
            With respect to ``ln A``, ``ln M_t`` and ``ln M_w``, where M is the squared length;
            equation 5.9.

        Raises
        ------
        GaussianProcessError
            If the covariance is not positive definite.
        """
        covariance, decay = self._covariance(kernel)
        factor = self._factor(covariance)
        weights = dpotrs(factor, self._flux, lower=1)[0]
        value = (
            0.5 * float(self._flux @ weights)
            + float(np.log(np.diagonal(factor)).sum())
            + 0.5 * len(weights) * np.log(2.0 * np.pi)
        )
        # One triangle of the inverse is filled, the other is zero: off the diagonal the sum over
        # one stands for half of that over both.
        inverse = dpotri(factor, lower=1, overwrite_c=1)[0].T
        by_amplitude = float(np.vdot(inverse, covariance))
        by_amplitude -= 0.5 * kernel.amplitude * float(np.trace(inverse))
        by_amplitude -= 0.5 * float(weights @ (covariance @ weights))
        # d k / d ln M = A exp(-d) * (3 dx^2 / M) / 2 for either axis; zero on the diagonal.
        slopes = []
        for squared, length in (
            (self._days_squared, kernel.days),
            (self._angstrom_squared, kernel.angstrom),
        ):
            np.multiply(decay, squared, out=covariance)
            total = float(np.vdot(inverse, covariance))
            total -= 0.5 * float(weights @ (covariance @ weights))
            slopes.append(1.5 / length**2 * total)
        by_days, by_angstrom = slopes
        return value, np.array([by_amplitude, by_days, by_angstrom])

    def optimised(self, start: Kernel) -> Kernel:
        """The most likely kernel, searched for from a start.

        Parameters
        ----------
        start : Kernel

        Returns
        -------
        Kernel
            Where L-BFGS-B ends (Byrd et al. 1995, SIAM J. Sci. Comput. 16, 1190). Bounds are those
            of SCONE: the amplitude within e^10 of its start, 1 to 1000 d, any wavelength.

        Raises
        ------
        GaussianProcessError
            If the covariance is not positive definite on the way.
        """
        first = np.log([start.amplitude, start.days**2, start.angstrom**2])
        bounds = [
            (first[0] - _AMPLITUDE_RANGE, first[0] + _AMPLITUDE_RANGE),
            (0.0, np.log(MAX_DAYS**2)),
            (None, None),
        ]

        def objective(parameters: Floats) -> tuple[float, Floats]:
            return self.negative_log_likelihood(_kernel(parameters))

        with np.errstate(over="ignore", under="ignore"):
            found = minimize(objective, first, jac=True, bounds=bounds, method="L-BFGS-B")
        if not np.all(np.isfinite(found.x)):
            raise GaussianProcessError("the optimisation of the kernel diverged")
        return _kernel(found.x)

    def predict(self, kernel: Kernel, mjd: Floats, wavelengths: Floats) -> tuple[Floats, Floats]:
        """Mean and variance of the flux on a grid.

        Parameters
        ----------
        kernel : Kernel
        mjd : ndarray of float64, shape (n_time,)
        wavelengths : ndarray of float64, shape (n_wavelength,)
            In angstrom.

        Returns
        -------
        mean, variance : ndarray of float64, shape (n_wavelength, n_time)
            Rasmussen & Williams 2006, equations 2.25 and 2.26. Rounding can leave a variance
            slightly below zero; such a one is set to zero.

        Raises
        ------
        GaussianProcessError
            If the covariance is not positive definite.
        """
        factor = self._factor(self._covariance(kernel)[0])
        weights = dpotrs(factor, self._flux, lower=1)[0]
        # To multiply by the inverse factor takes as many operations as to solve with the factor,
        # and less than half the time.
        inverse = dtrtri(factor, lower=1, overwrite_c=1)[0]
        days = (mjd[:, None] - self._mjd[None, :]) ** 2 * (3.0 / kernel.days**2)
        bands = (wavelengths[:, None] - self._bands[None, :]) ** 2 * (3.0 / kernel.angstrom**2)
        mean, variance = np.empty((2, len(wavelengths), len(mjd)))
        distance, across = np.empty((2, *days.shape))
        # One wavelength at a time: what is computed stays in the processor's cache.
        for row, squared in enumerate(bands):
            np.add(days, squared[self._band], out=distance)
            np.sqrt(distance, out=distance)
            np.negative(distance, out=across)
            np.exp(across, out=across)
            distance += 1.0
            across *= distance
            across *= kernel.amplitude
            mean[row] = across @ weights
            # The transpose is Fortran-ordered as BLAS wants it, and is overwritten.
            solved = dtrmm(1.0, inverse, across.T, side=0, lower=1, overwrite_b=1).T
            variance[row] = kernel.amplitude - np.einsum("ij,ij->i", solved, solved)
        return mean, np.maximum(variance, 0.0)


def _kernel(parameters: Floats) -> Kernel:
    amplitude, days, angstrom = np.exp(parameters * np.array([1.0, 0.5, 0.5])).tolist()
    return Kernel(amplitude, days, angstrom)
