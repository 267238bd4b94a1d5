"""The interface of the baselines, and the choice of their settings by cross-validation."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any, Final, Protocol, TypeVar

import numpy as np
import numpy.typing as npt
from sklearn.model_selection import StratifiedGroupKFold

from sdss_spectra.baselines.features import Doubles, Masks

__all__ = ["Baseline", "Rows", "Strings", "best_setting"]

Strings = npt.NDArray[np.str_]
Rows = npt.NDArray[np.intp]
Setting = TypeVar("Setting")

_FOLDS: Final = 4


class Baseline(Protocol):
    """A classifier to compare with, made of a grid, the classes and a seed; see `BASELINES`."""

    def fit(
        self,
        flux: npt.NDArray[Any],
        mask: Masks,
        names: Sequence[str],
        code: Doubles,
        groups: Sequence[str],
    ) -> None:
        """Fit to typed spectra.

        Parameters
        ----------
        flux : ndarray of float, shape (n, n_pixels)
            Cleaned spectra on the grid, not normalised.
        mask : ndarray of bool, shape (n, n_pixels)
            True where there are no data.
        names : sequence of str, length n
            Classes.
        code : ndarray of float64, shape (n,)
            Subtype codes, see `SpectralType.code`; NaN where unknown.
        groups : sequence of str, length n
            Stars, so that settings are chosen on other stars than those that were fitted.
        """
        ...

    def predict(self, flux: npt.NDArray[Any], mask: Masks) -> tuple[Doubles, Doubles]:
        """Predict the classes of spectra.

        Parameters
        ----------
        flux, mask : ndarray, shape (n, n_pixels)
            As `fit` takes them.

        Returns
        -------
        probabilities : ndarray of float64, shape (n, n_classes)
            Of the classes with which the baseline was made, in that order.
        code : ndarray of float64, shape (n,)
            Subtype codes; NaN where the baseline predicts none.
        """
        ...


def best_setting(
    settings: Sequence[Setting],
    predicted_by: Callable[[Rows, Rows, Sequence[Setting]], Sequence[Strings]],
    names: Strings,
    groups: Sequence[str],
    seed: int,
) -> Setting:
    """Choose the setting that is right most often on stars that it was not fitted to.

    Parameters
    ----------
    settings : sequence
        What may be chosen; the first of equals is.
    predicted_by : callable
        Takes rows to fit to, rows to predict and the settings; gives the classes by each setting.
    names : ndarray of str, shape (n,)
        Classes of the training spectra.
    groups : sequence of str
        Their stars.
    seed : int
        Seed of the folds.

    Returns
    -------
    Setting
        The first of `settings` where there is nothing to choose, or fewer stars than two for
        each fold.
    """
    if len(settings) == 1 or len(set(groups)) < 2 * _FOLDS:
        return settings[0]
    splitter = StratifiedGroupKFold(_FOLDS, shuffle=True, random_state=seed)
    right = np.zeros(len(settings))
    with warnings.catch_warnings():
        # Classes with fewer stars than folds cannot be in each of them.
        warnings.simplefilter("ignore", UserWarning)
        folds = list(splitter.split(names, names, np.asarray(groups)))
    for fitted, held_out in folds:
        if len(set(names[fitted])) < 2 or not len(held_out):
            continue
        found = predicted_by(fitted, held_out, settings)
        right += [np.count_nonzero(answer == names[held_out]) for answer in found]
    return settings[int(right.argmax())]
