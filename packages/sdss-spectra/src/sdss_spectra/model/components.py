"""Spectral components: a linear classifier that helps the network where stars are few.

Spectra are brought to a common velocity by cross-correlation with the mean spectra of the classes
(Tonry & Davis 1979, AJ 84, 1511), described by principal components that know which pixels are
missing (probabilistic PCA: Tipping & Bishop 1999, J. R. Stat. Soc. B 61, 611), and classified by
logistic regression. A spectrum of half the wavelengths keeps its components, with larger errors.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

__all__ = ["Components", "combined", "fit_components"]

Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]
Present = npt.NDArray[np.bool_]

NUM_COMPONENTS: Final = 40
_ROUNDS: Final = 12
# A shift must better the correlation by this much, else noise would move spectra at rest.
_MIN_GAIN: Final = 0.01
# Logit of a class without a spectrum.
_NEVER: Final = -30.0
_SINGLE: Final = ("templates", "mean", "axes")
_NAMES: Final = ("templates", "mean", "axes", "variance", "noise", "weights", "offsets")


@dataclass(frozen=True)
class Components:
    """A fitted classifier.

    Attributes
    ----------
    templates : ndarray of float32, shape (n_templates, n_pixels)
        Mean spectra of the classes, for the velocity.
    mean : ndarray of float32, shape (n_pixels,)
        Mean of all spectra.
    axes : ndarray of float32, shape (n_components, n_pixels)
        Orthonormal components.
    variance : ndarray of float64, shape (n_components,)
        Their variances.
    noise : ndarray of float64, shape (1,)
        Variance of a pixel about the components.
    weights, offsets : ndarray of float64, shapes (n_classes, n_components) and (n_classes,)
        Of the logistic regression on components in units of their standard deviation.
    reach_pixels : int
        Largest shift that is tried.
    """

    templates: Floats
    mean: Floats
    axes: Floats
    variance: Doubles
    noise: Doubles
    weights: Doubles
    offsets: Doubles
    reach_pixels: int

    def probabilities(self, values: Floats, present: Present) -> Doubles:
        """Probabilities of the classes.

        Parameters
        ----------
        values : ndarray of float32, shape (n, n_pixels)
            Spectra as `channels` gives them.
        present : ndarray of bool, shape (n, n_pixels)
            Which pixels have data.

        Returns
        -------
        ndarray of float64, shape (n, n_classes)
        """
        values, present = _aligned(values, present, self.templates, self.reach_pixels)
        found = _coordinates(
            (values - self.mean) * present,
            present,
            self.axes,
            self.variance,
            float(self.noise[0]),
        )
        logits = found / np.sqrt(self.variance) @ self.weights.T + self.offsets
        shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
        return np.asarray(shifted / shifted.sum(axis=1, keepdims=True))

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """The arrays by name, for a file."""
        return {name: getattr(self, name) for name in _NAMES}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, npt.NDArray[Any]], reach_pixels: int) -> Components:
        """Make one of what `arrays` gave.

        Raises
        ------
        ValueError
            Arrays that do not fit together.
        KeyError
            An array is missing.
        """
        values: dict[str, Any] = {
            name: np.asarray(arrays[name], np.float32 if name in _SINGLE else np.float64)
            for name in _NAMES
        }
        count, n_pixels = values["axes"].shape
        fits = (
            values["templates"].shape[1:] == values["mean"].shape == (n_pixels,)
            and values["variance"].shape == (count,)
            and values["noise"].shape == (1,)
            and values["weights"].shape == (*values["offsets"].shape, count)
            and (values["variance"] > 0).all()
            and values["noise"][0] > 0
            and 0 <= reach_pixels < n_pixels
        )
        if not fits:
            raise ValueError("components of unlike shapes")
        return cls(**values, reach_pixels=reach_pixels)


def fit_components(
    values: Floats,
    present: Present,
    classes: npt.NDArray[np.int64],
    num_classes: int,
    reach_pixels: int,
) -> Components:
    """Fit components and regression.

    Parameters
    ----------
    values : ndarray of float32, shape (n, n_pixels)
        Spectra as `channels` gives them.
    present : ndarray of bool, shape (n, n_pixels)
        Which pixels have data.
    classes : ndarray of int64, shape (n,)
        Class numbers.
    num_classes : int
        How many classes there are; one that does not occur gets next to no probability.
    reach_pixels : int
        Largest shift that is tried, in pixels.

    Returns
    -------
    Components
    """
    from sklearn.linear_model import LogisticRegression

    occurring = np.unique(classes)
    templates = np.stack([_mean(values[classes == n], present[classes == n]) for n in occurring])
    values, present = _aligned(values, present, templates, reach_pixels)
    mean = _mean(values, present)
    residual = (values - mean) * present
    axes, variance, noise = _principal(residual, present)
    found = _coordinates(residual, present, axes, variance, noise)
    model = LogisticRegression(C=1.0, max_iter=3000)
    model.fit(found / np.sqrt(variance), classes)
    told, start = np.asarray(model.coef_), np.asarray(model.intercept_)
    if len(occurring) == 2:
        # Of two classes scikit-learn gives the logit of the second alone.
        told, start = np.vstack([-told, told]) / 2, np.hstack([-start, start]) / 2
    weights, offsets = np.zeros((num_classes, len(axes))), np.full(num_classes, _NEVER)
    weights[occurring], offsets[occurring] = told, start
    return Components(
        templates, mean, axes, variance, np.array([noise]), weights, offsets, reach_pixels
    )


def _mean(values: Floats, present: Present) -> Floats:
    total = (values * present).sum(axis=0)
    return np.asarray(total / np.maximum(present.sum(axis=0), 1), np.float32)


def _principal(residual: Floats, present: Present) -> tuple[Floats, Doubles, float]:
    """Components of spectra with gaps: gaps are filled by the components, round by round."""
    count = max(1, min(NUM_COMPONENTS, len(residual) - 1))
    filled = residual.copy()
    axes = np.zeros((count, residual.shape[1]), np.float32)
    variance, noise = np.ones(count), 1.0
    for _ in range(_ROUNDS):
        # Eigenvectors of the small matrix of products: pixels are many more than spectra.
        power, vectors = np.linalg.eigh((filled @ filled.T).astype(np.float64))
        power, vectors = power[::-1][:count], vectors[:, ::-1][:, :count]
        variance = np.maximum(power, 1e-6 * power[0]) / len(residual)
        axes = np.asarray((vectors / np.sqrt(variance * len(residual))).T @ filled, np.float32)
        known = max(int(present.sum()), 1)
        spread = float((residual.astype(np.float64) ** 2).sum()) / known
        noise = max(spread - float(variance.sum()) / residual.shape[1], 1e-4)
        found = _coordinates(residual, present, axes, variance, noise)
        filled = np.where(present, residual, (found @ axes).astype(np.float32))
    return axes, variance, noise


def _coordinates(
    residual: Floats, present: Present, axes: Floats, variance: Doubles, noise: float
) -> Doubles:
    """Most probable components of each spectrum, given the pixels that are present."""
    found = np.empty((len(residual), len(axes)))
    product = (residual @ axes.T).astype(np.float64) / noise
    prior = np.diag(1.0 / variance)
    whole = (axes @ axes.T).astype(np.float64)
    for row, there in enumerate(present):
        gone = axes[:, ~there]
        # What is missing is mostly less than what is there.
        inside = whole - gone @ gone.T if gone.shape[1] < there.sum() else None
        if inside is None:
            kept = axes[:, there]
            inside = (kept @ kept.T).astype(np.float64)
        found[row] = np.linalg.solve(inside / noise + prior, product[row])
    return found


def _aligned(
    values: Floats, present: Present, templates: Floats, reach: int
) -> tuple[Floats, Present]:
    """Spectra and masks moved by whole pixels to where they correlate best with a template."""
    weight = present.astype(np.float32)
    energy = np.maximum((values**2 * weight).sum(axis=1, keepdims=True), 1e-6)
    shifts = sorted(range(-reach, reach + 1), key=abs)
    best = np.empty((len(shifts), len(values)))
    for place, shift in enumerate(shifts):
        moved = _rolled(templates, shift)
        norm = np.maximum(weight @ (moved**2).T, 1e-6)
        best[place] = ((values * weight) @ moved.T / np.sqrt(norm * energy)).max(axis=1)
    chosen = best.argmax(axis=0)
    chosen[best.max(axis=0) < best[0] + _MIN_GAIN] = 0
    moved_values, moved_present = values.copy(), present.copy()
    for place in np.unique(chosen):
        rows = chosen == place
        moved_values[rows] = _rolled(values[rows], -shifts[place])
        moved_present[rows] = _rolled(present[rows], -shifts[place])
    return moved_values, moved_present


def _rolled(values: npt.NDArray[Any], shift: int) -> npt.NDArray[Any]:
    """Rows moved to the right by a number of pixels; what moves in is 0."""
    moved = np.zeros_like(values)
    n_pixels = values.shape[1]
    if shift >= 0:
        moved[:, shift:] = values[:, : n_pixels - shift]
    else:
        moved[:, :shift] = values[:, -shift:]
    return moved


def combined(bins: Doubles, membership: Doubles, told: Doubles) -> Doubles:
    """Bins whose class sums are the mean of the network's and of another classifier's.

    Parameters
    ----------
    bins : ndarray of float64, shape (n, n_bins)
        Probabilities of the bins, of the network.
    membership : ndarray of float64, shape (n_bins, n_classes)
        See `Bins.membership`.
    told : ndarray of float64, shape (n, n_classes)
        Probabilities of the classes, of the other.

    Returns
    -------
    ndarray of float64, shape (n, n_bins)
        Within a class, bins keep the proportions of the network.
    """
    own = np.maximum(bins @ membership, 1e-12)
    return np.asarray(bins * ((0.5 + 0.5 * told / own) @ membership.T))
