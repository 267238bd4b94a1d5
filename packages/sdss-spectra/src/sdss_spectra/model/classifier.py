"""A trained classifier: network, templates and alignment together."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from threadpoolctl import threadpool_limits

from sdss_spectra.model.alignment import Alignment, moved
from sdss_spectra.model.architecture import Network, forward, softmax
from sdss_spectra.model.bins import Bins
from sdss_spectra.model.inputs import InputSettings, channels
from sdss_spectra.model.templates import Templates, combined, log_flux
from sdss_spectra.preprocessing.steps import Preprocessing
from sdss_spectra.stars import StarKeys

__all__ = ["Model", "calibrated"]

Floats = npt.NDArray[np.float32]

# Small batches keep the patches of a convolution in the cache.
_BATCH: Final = 32


@dataclass
class Model:
    """A trained classifier.

    Attributes
    ----------
    network, inputs, bins, preprocessing
        What it is and what it expects.
    weights : list of list of ndarray of float32
        Of each member of the ensemble.
    record : dict
        How it was trained.
    temperature : float
        Divides the logarithms of class probabilities; fitted on the validation set. It changes
        the confidence of the model, not the class that it predicts.
    templates : Templates or None
        Mean spectra, whose probabilities are averaged with the network's.
    alignment : Alignment or None
        Removes velocities that files do not give.
    known_stars : list of StarKeys
        Stars of the training and validation spectra, on which the model must not be evaluated.
    """

    network: Network
    inputs: InputSettings
    bins: Bins
    preprocessing: Preprocessing
    weights: list[list[Floats]]
    record: dict[str, Any] = field(default_factory=dict)
    temperature: float = 1.0
    templates: Templates | None = None
    alignment: Alignment | None = None
    known_stars: list[StarKeys] = field(default_factory=list)

    def predict(
        self, flux: npt.NDArray[Any], ivar: npt.NDArray[Any], mask: npt.NDArray[np.bool_]
    ) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """Probabilities of the classes, and median subtype codes.

        Parameters
        ----------
        flux, ivar : ndarray of float, shape (n, n_pixels)
            Cleaned as `preprocessing` says.
        mask : ndarray of bool, shape (n, n_pixels)
            True where there are no data.

        Returns
        -------
        probabilities : ndarray of float64, shape (n, n_classes)
            Mean of the members, and of the templates if there are any.
        codes : ndarray of float64, shape (n,)
            See `SpectralType.code`; NaN if the model knows no class of the sequence.

        Notes
        -----
        Both are of one distribution. The median subtype may lie beyond an edge of the class that is
        the most probable, where its neighbours on one side have more than half of the probability.
        """
        bins = self.uncalibrated(flux, ivar, mask)
        bins = calibrated(bins, self.bins.membership, self.temperature)
        return self.bins.class_probabilities(bins), self.bins.median_code(bins)

    def uncalibrated(
        self, flux: npt.NDArray[Any], ivar: npt.NDArray[Any], mask: npt.NDArray[np.bool_]
    ) -> npt.NDArray[np.float64]:
        """Probabilities of the bins as network and templates give them.

        Parameters
        ----------
        flux, ivar, mask : ndarray, shape (n, n_pixels)
            As `predict` takes them.

        Returns
        -------
        ndarray of float64, shape (n, n_bins)
            At temperature 1.
        """
        found = np.empty((len(flux), len(self.bins.codes)))

        def classify(start: int) -> None:
            part = slice(start, start + _BATCH)
            aligned, values = self._aligned(flux[part], ivar[part], mask[part])
            members = [softmax(forward(self.network, arrays, values)) for arrays in self.weights]
            found[part] = np.mean(members, axis=0)
            if self.templates is not None:
                shares = self.templates.probabilities(
                    *log_flux(aligned[0], aligned[2]), len(self.bins.classes)
                )
                found[part] = combined(found[part], self.bins.membership, shares)

        # The matrix products are too small to be split between threads, so batches are.
        with (
            threadpool_limits(1, user_api="blas"),
            ThreadPoolExecutor(os.cpu_count()) as pool,
        ):
            list(pool.map(classify, range(0, len(flux), _BATCH)))
        return found

    def _aligned(
        self, flux: npt.NDArray[Any], ivar: npt.NDArray[Any], mask: npt.NDArray[np.bool_]
    ) -> tuple[tuple[npt.NDArray[Any], npt.NDArray[Any], npt.NDArray[np.bool_]], Floats]:
        """Spectra where their lines are those of the training set, and their channels."""
        step = self.preprocessing.grid.loglam_step
        values = channels(flux, ivar, mask, step, self.inputs)
        if self.alignment is None:
            return (flux, ivar, mask), values
        if self.inputs == InputSettings():
            lines, there = (np.ascontiguousarray(values[..., k]) for k in (0, 1))
            back = -self.alignment.shifts_of_lines(lines, there)
        else:
            back = -self.alignment.shifts(flux, mask)
        flux, ivar, mask = moved(flux, back, 0.0), moved(ivar, back, 0.0), moved(mask, back, True)
        # Most spectra are at rest and keep the channels that they have.
        rows = np.flatnonzero(back)
        if len(rows):
            values[rows] = channels(flux[rows], ivar[rows], mask[rows], step, self.inputs)
        return (flux, ivar, mask), values


def calibrated(
    bins: npt.NDArray[np.float64], membership: npt.NDArray[np.float64], temperature: float
) -> npt.NDArray[np.float64]:
    """Raise class probabilities to the power 1 / temperature.

    Parameters
    ----------
    bins : ndarray of float64, shape (n, n_bins)
        Probabilities of the bins.
    membership : ndarray of float64, shape (n_bins, n_classes)
        See `Bins.membership`.
    temperature : float
        Above 1 for a classifier that is too sure of itself.

    Returns
    -------
    ndarray of float64, shape (n, n_bins)
        The order of the classes stays, and so do the proportions of the bins within a class.
    """
    classes = np.maximum(bins @ membership, 1e-12)
    powered = classes ** (1.0 / temperature)
    powered /= powered.sum(axis=1, keepdims=True)
    return np.asarray(bins * ((powered / classes) @ membership.T))
