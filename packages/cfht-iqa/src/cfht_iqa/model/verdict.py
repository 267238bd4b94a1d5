"""From the CCDs of an exposure to its verdict."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["by_exposure", "fit_temperature", "pooled_probabilities", "rejection_threshold"]

Floats = npt.NDArray[np.float64]


def pooled_probabilities(log_probabilities: Floats, temperature: float) -> Floats:
    """Pool the CCDs of an exposure.

    Parameters
    ----------
    log_probabilities : ndarray of float64, shape (n_ccds, n_classes)
        Of each CCD.
    temperature : float
        By which the mean is divided.

    Returns
    -------
    ndarray of float64, shape (n_classes,)
        The normalised geometric mean, sharpened or softened: CCDs see the same sky and the same
        guiding, so they are no independent witnesses, and their evidence is not added up.
    """
    mean = np.clip(log_probabilities, -12.0, 0.0).mean(axis=0) / temperature
    weight = np.exp(mean - mean.max())
    return np.asarray(weight / weight.sum(), np.float64)


def by_exposure(exposures: Sequence[str]) -> dict[str, npt.NDArray[np.intp]]:
    """Rows of each exposure, in the order in which exposures appear."""
    rows: dict[str, list[int]] = {}
    for row, name in enumerate(exposures):
        rows.setdefault(name, []).append(row)
    return {name: np.array(places, np.intp) for name, places in rows.items()}


def fit_temperature(means: Sequence[Floats], classes: Sequence[int]) -> float:
    """Find the temperature at which exposures' probabilities are as good as they claim.

    Parameters
    ----------
    means : sequence of ndarray of float64, shape (n_ccds, n_classes)
        Log-probabilities of the CCDs of each exposure.
    classes : sequence of int
        True class of each.

    Returns
    -------
    float
        Of the least mean negative log-likelihood (Guo et al. 2017, ICML 70, 1321), between 0.2 and
        5; 1 if there is no exposure.
    """
    if not means:
        return 1.0
    best, least = 1.0, np.inf
    for temperature in np.geomspace(0.2, 5.0, 49):
        loss = 0.0
        for logs, label in zip(means, classes, strict=True):
            loss -= float(np.log(pooled_probabilities(logs, float(temperature))[label] + 1e-9))
        # A weak pull to 1: a handful of exposures without an error proves no certainty.
        loss += 0.5 * float(np.log(temperature)) ** 2
        if loss < least:
            best, least = float(temperature), loss
    return best


def rejection_threshold(confidence: Floats, is_right: npt.NDArray[Any]) -> float:
    """Confidence below which a verdict should be looked at by a person.

    Parameters
    ----------
    confidence : ndarray of float64, shape (n,)
        Largest probability of exposures that were not trained on.
    is_right : ndarray of bool, shape (n,)
        Whether the verdict agrees with the label.

    Returns
    -------
    float
        At least 0.5, and above the confidence of every error that leaves half of the exposures.
    """
    wrong = confidence[~np.asarray(is_right, bool)]
    wrong = wrong[wrong < np.median(confidence)] if len(confidence) else wrong
    return float(min(0.95, max(0.5, wrong.max() + 1e-6 if len(wrong) else 0.5)))
