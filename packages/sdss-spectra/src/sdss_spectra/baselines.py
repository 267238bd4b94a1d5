"""Classifiers to compare with: templates, PCA with logistic regression, and spectral indices.

The index matching follows the idea of the Hammer (Covey et al. 2007, AJ 134, 2398) and PyHammer
(Kesseli et al. 2017, ApJS 230, 16): band ratios of a spectrum beside those of typed stars.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, Protocol

import numpy as np
import numpy.typing as npt

from sdss_spectra.preprocessing.resample import LogGrid

__all__ = ["BASELINES", "INDICES", "Baseline"]

Doubles = npt.NDArray[np.float64]
Masks = npt.NDArray[np.bool_]

# Name, feature and continuum bands in angstrom (vacuum).
INDICES: Final = (
    ("Ca II K", (3924.8, 3944.8), (3944.8, 3954.8)),
    ("H delta", (4085.0, 4120.0), (4020.0, 4060.0)),
    ("Ca I 4227", (4218.2, 4237.2), (4238.2, 4258.2)),
    ("G band", (4285.2, 4315.2), (4261.2, 4285.2)),
    ("H gamma", (4325.0, 4360.0), (4365.0, 4395.0)),
    ("Fe I 4383", (4370.0, 4421.3), (4421.3, 4456.3)),
    ("He I 4472", (4462.0, 4482.0), (4500.0, 4520.0)),
    ("H beta", (4843.0, 4883.0), (4900.0, 4930.0)),
    ("MgH", (5070.0, 5135.0), (5268.4, 5286.4)),
    ("Mg b", (5154.1, 5194.1), (5102.1, 5112.1)),
    ("Na D", (5881.6, 5906.6), (5911.6, 5936.6)),
    ("TiO 6150", (6160.0, 6220.0), (6100.0, 6140.0)),
    ("H alpha", (6548.0, 6580.0), (6585.0, 6615.0)),
    ("CaH 2", (6815.9, 6847.9), (7043.9, 7047.9)),
    ("TiO 5", (7127.9, 7136.9), (7043.9, 7047.9)),
    ("VO 7434", (7430.0, 7470.0), (7550.0, 7570.0)),
    ("TiO 8440", (8440.0, 8470.0), (8400.0, 8420.0)),
    ("Ca II 8542", (8524.0, 8564.0), (8577.0, 8597.0)),
)


class Baseline(Protocol):
    """What a baseline can do."""

    def fit(self, flux: npt.NDArray[Any], mask: Masks, names: Sequence[str], code: Doubles) -> None:
        """Learn from cleaned, typed spectra."""
        ...

    def predict(self, flux: npt.NDArray[Any], mask: Masks) -> tuple[Doubles, Doubles]:
        """Probabilities of the classes, and subtype codes (NaN where unknown)."""
        ...


def _filled(flux: npt.NDArray[Any], mask: Masks) -> Doubles:
    return np.clip(np.where(mask, 1.0, np.asarray(flux, np.float64)), 0.0, 3.0)


class _Templates:
    """Nearest mean spectrum of a subtype, in chi-square with equal errors."""

    def __init__(self, grid: LogGrid, classes: Sequence[str], seed: int) -> None:
        self.classes = list(classes)

    def fit(self, flux: npt.NDArray[Any], mask: Masks, names: Sequence[str], code: Doubles) -> None:
        values = _filled(flux, mask)
        bins: dict[tuple[str, float], list[int]] = {}
        for number, name in enumerate(names):
            # Two subtypes a template: with hundreds of stars, more would be single stars.
            step = np.nan if np.isnan(code[number]) else 2.0 * np.floor(code[number] / 2.0)
            bins.setdefault((name, float(np.nan_to_num(step, nan=-1.0))), []).append(number)
        keys = sorted(bins)
        self._names = [name for name, _ in keys]
        self._code = np.array([np.mean(code[bins[key]]) for key in keys])
        self._mean = np.array([values[bins[key]].mean(axis=0) for key in keys])

    def predict(self, flux: npt.NDArray[Any], mask: Masks) -> tuple[Doubles, Doubles]:
        values = _filled(flux, mask)
        weight = (~mask).astype(np.float64)
        square = weight @ (self._mean**2).T - 2.0 * (weight * values) @ self._mean.T
        square += (weight * values**2).sum(axis=1, keepdims=True)
        best = square.argmin(axis=1)
        told = np.zeros((len(flux), len(self.classes)))
        # Softened by the distance to the best, so that curves can be drawn.
        scale = np.maximum(
            np.median(square, axis=1, keepdims=True) - square.min(1, keepdims=True), 1e-9
        )
        share = np.exp(-10.0 * (square - square.min(axis=1, keepdims=True)) / scale)
        for place, name in enumerate(self._names):
            if name in self.classes:
                column = self.classes.index(name)
                told[:, column] = np.maximum(told[:, column], share[:, place])
        return told / told.sum(axis=1, keepdims=True), self._code[best]


class _Regression:
    """Logistic regression on principal components of the cleaned spectra."""

    def __init__(self, grid: LogGrid, classes: Sequence[str], seed: int) -> None:
        self.classes = list(classes)
        self._seed = seed

    def _features(self, flux: npt.NDArray[Any], mask: Masks) -> Doubles:
        return _filled(flux, mask)

    def _pipeline(self, count: int) -> Any:
        from sklearn.decomposition import PCA
        from sklearn.linear_model import LogisticRegression
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler

        parts = max(1, min(30, count - 1))
        return make_pipeline(
            StandardScaler(),
            PCA(parts, svd_solver="full", random_state=self._seed),
            LogisticRegression(C=1.0, max_iter=3000),
        )

    def fit(self, flux: npt.NDArray[Any], mask: Masks, names: Sequence[str], code: Doubles) -> None:
        features = self._features(flux, mask)
        self._model = self._pipeline(min(features.shape))
        self._model.fit(features, np.asarray(names))

    def predict(self, flux: npt.NDArray[Any], mask: Masks) -> tuple[Doubles, Doubles]:
        share = self._model.predict_proba(self._features(flux, mask))
        told = np.zeros((len(flux), len(self.classes)))
        for place, name in enumerate(self._model.classes_):
            if name in self.classes:
                told[:, self.classes.index(str(name))] = share[:, place]
        return told, np.full(len(flux), np.nan)


class _Indices:
    """Nearest typed stars in the space of spectral indices."""

    _neighbours = 5

    def __init__(self, grid: LogGrid, classes: Sequence[str], seed: int) -> None:
        self.classes = list(classes)
        self._wavelength = grid.wavelength

    def _features(self, flux: npt.NDArray[Any], mask: Masks) -> Doubles:
        values, weight = np.asarray(flux, np.float64), (~mask).astype(np.float64)

        def mean(band: tuple[float, float]) -> Doubles:
            inside = (self._wavelength >= band[0]) & (self._wavelength < band[1])
            total = (values * weight)[:, inside].sum(axis=1)
            count = weight[:, inside].sum(axis=1)
            return np.where(count > 0, total / np.maximum(count, 1.0), np.nan)

        with np.errstate(divide="ignore", invalid="ignore"):
            ratios = np.stack([mean(f) / mean(c) for _, f, c in INDICES], axis=1)
        return np.clip(ratios, 0.0, 3.0)

    def fit(self, flux: npt.NDArray[Any], mask: Masks, names: Sequence[str], code: Doubles) -> None:
        found = self._features(flux, mask)
        with np.errstate(all="ignore"):
            self._centre = np.where(
                np.isfinite(found).any(axis=0),
                np.nanmedian(np.nan_to_num(found, nan=1.0), axis=0),
                1.0,
            )
        spread = np.nanstd(np.where(np.isfinite(found), found, self._centre), axis=0)
        self._spread = np.where(spread > 1e-6, spread, 1.0)
        self._points = self._scaled(found)
        self._names, self._code = np.asarray(names), code

    def _scaled(self, found: Doubles) -> Doubles:
        return (np.where(np.isfinite(found), found, self._centre) - self._centre) / self._spread

    def predict(self, flux: npt.NDArray[Any], mask: Masks) -> tuple[Doubles, Doubles]:
        points = self._scaled(self._features(flux, mask))
        distance = ((points[:, None, :] - self._points[None]) ** 2).mean(axis=2)
        count = min(self._neighbours, len(self._points))
        nearest = np.argsort(distance, axis=1, kind="stable")[:, :count]
        weight = 1.0 / (np.take_along_axis(distance, nearest, 1) + 1e-3)
        told = np.full((len(flux), len(self.classes)), 1e-9)
        for row in range(len(flux)):
            for place, share in zip(nearest[row], weight[row], strict=True):
                name = str(self._names[place])
                if name in self.classes:
                    told[row, self.classes.index(name)] += share
        codes = self._code[nearest]
        known = np.isfinite(codes)
        total = (weight * known).sum(axis=1)
        with np.errstate(divide="ignore", invalid="ignore"):
            code = (weight * np.where(known, codes, 0.0)).sum(axis=1) / total
        return told / told.sum(axis=1, keepdims=True), code


BASELINES: Final[dict[str, Callable[[LogGrid, Sequence[str], int], Baseline]]] = {
    "nearest template (chi-square)": _Templates,
    "PCA + logistic regression": _Regression,
    "spectral indices": _Indices,
}
