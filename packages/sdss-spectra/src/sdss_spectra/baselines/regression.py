"""Principal components and logistic regression."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

from sdss_spectra.baselines.features import FEATURES, Doubles, Masks, features
from sdss_spectra.baselines.tuning import Rows, Strings, best_setting
from sdss_spectra.preprocessing.resample import LogGrid

__all__ = ["Regression"]

_COMPONENTS: Final = (20, 40, 80)
_STRENGTHS: Final = (0.1, 1.0, 10.0)
_KINDS: Final = ("lines", "both")
# Kind of the features, number of components, C of the regression.
Setting = tuple[str, int, float]


class Regression:
    """Logistic regression on whitened principal components.

    Features, number of components and regularisation are chosen on training stars.
    """

    def __init__(self, grid: LogGrid, classes: Sequence[str], seed: int) -> None:
        self._grid, self._classes, self._seed = grid, list(classes), seed

    def _features(self, kind: str, flux: npt.NDArray[Any], mask: Masks) -> Doubles:
        parts = [features(name, flux, mask, self._grid) for name in FEATURES]
        return parts[0] if kind == "lines" else np.hstack(parts)

    def fit(
        self,
        flux: npt.NDArray[Any],
        mask: Masks,
        names: Sequence[str],
        code: Doubles,
        groups: Sequence[str],
    ) -> None:
        """Fit; see `Baseline`."""
        values = {kind: self._features(kind, flux, mask) for kind in _KINDS}
        types = np.asarray(names)
        settings = [(k, n, c) for k in _KINDS for n in _COMPONENTS for c in _STRENGTHS]

        def predicted_by(
            fitted: Rows, held_out: Rows, settings: Sequence[Setting]
        ) -> list[Strings]:
            found: dict[Setting, Strings] = {}
            for kind in _KINDS:
                axes = self._axes(values[kind][fitted], max(_COMPONENTS))
                ours, theirs = (axes.transform(values[kind][rows]) for rows in (fitted, held_out))
                for setting in (s for s in settings if s[0] == kind):
                    model = _regression(ours[:, : setting[1]], types[fitted], setting[2])
                    found[setting] = model.predict(theirs[:, : setting[1]])
            return [found[setting] for setting in settings]

        self._kind, count, strength = best_setting(
            settings, predicted_by, types, groups, self._seed
        )
        self._pca = self._axes(values[self._kind], count)
        self._model = _regression(self._pca.transform(values[self._kind]), types, strength)

    def _axes(self, values: Doubles, count: int) -> PCA:
        parts = max(1, min(count, min(values.shape) - 1))
        return PCA(parts, whiten=True, svd_solver="full", random_state=self._seed).fit(values)

    def predict(self, flux: npt.NDArray[Any], mask: Masks) -> tuple[Doubles, Doubles]:
        """Predict; see `Baseline`. Subtypes are not predicted."""
        share = self._model.predict_proba(
            self._pca.transform(self._features(self._kind, flux, mask))
        )
        shares = np.zeros((len(flux), len(self._classes)))
        for place, name in enumerate(self._model.classes_):
            if name in self._classes:
                shares[:, self._classes.index(str(name))] = share[:, place]
        return shares, np.full(len(flux), np.nan)


def _regression(values: Doubles, names: Strings, strength: float) -> LogisticRegression:
    with warnings.catch_warnings():
        # Weak regularisation of separable classes has no finite optimum.
        warnings.simplefilter("ignore", ConvergenceWarning)
        return LogisticRegression(C=strength, max_iter=1000).fit(values, names)
