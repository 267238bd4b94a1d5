"""Spectral indices beside those of typed stars.

The index matching follows the idea of the Hammer (Covey et al. 2007, AJ 134, 2398) and PyHammer
(Kesseli et al. 2017, ApJS 230, 16): band ratios of a spectrum beside those of typed stars.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from sdss_spectra.baselines.features import Doubles, Masks
from sdss_spectra.baselines.tuning import Rows, Strings, best_setting
from sdss_spectra.preprocessing.resample import LogGrid

__all__ = ["INDICES", "IndexMatching"]

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
_NEIGHBOURS: Final = (1, 3, 5, 9, 15)


class IndexMatching:
    """Nearest typed stars in the space of indices; how many is chosen on training stars."""

    def __init__(self, grid: LogGrid, classes: Sequence[str], seed: int) -> None:
        self._classes, self._seed = list(classes), seed
        self._wavelength = grid.wavelength

    def _indices(self, flux: npt.NDArray[Any], mask: Masks) -> Doubles:
        values, weight = np.asarray(flux, np.float64), (~mask).astype(np.float64)

        def mean(band: tuple[float, float]) -> Doubles:
            inside = (self._wavelength >= band[0]) & (self._wavelength < band[1])
            total = (values * weight)[:, inside].sum(axis=1)
            count = weight[:, inside].sum(axis=1)
            return np.where(count > 0, total / np.maximum(count, 1.0), np.nan)

        with np.errstate(divide="ignore", invalid="ignore"):
            ratios = np.stack([mean(f) / mean(c) for _, f, c in INDICES], axis=1)
        return np.clip(ratios, 0.0, 3.0)

    def fit(
        self,
        flux: npt.NDArray[Any],
        mask: Masks,
        names: Sequence[str],
        code: Doubles,
        groups: Sequence[str],
    ) -> None:
        """Fit; see `Baseline`."""
        found = self._indices(flux, mask)
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

        def predicted_by(fitted: Rows, held_out: Rows, settings: Sequence[int]) -> list[Strings]:
            square = _squares(self._points[held_out], self._points[fitted])
            answers = []
            for count in settings:
                shares, _ = self._shares(square, self._names[fitted], code[fitted], count)
                answers.append(np.asarray(self._classes)[shares.argmax(axis=1)])
            return answers

        self._count = best_setting(_NEIGHBOURS, predicted_by, self._names, groups, self._seed)

    def _scaled(self, found: Doubles) -> Doubles:
        return (np.where(np.isfinite(found), found, self._centre) - self._centre) / self._spread

    def predict(self, flux: npt.NDArray[Any], mask: Masks) -> tuple[Doubles, Doubles]:
        """Predict; see `Baseline`."""
        square = _squares(self._scaled(self._indices(flux, mask)), self._points)
        return self._shares(square, self._names, self._code, self._count)

    def _shares(
        self, square: Doubles, names: Strings, code: Doubles, count: int
    ) -> tuple[Doubles, Doubles]:
        nearest = np.argsort(square, axis=1, kind="stable")[:, :count]
        weight = 1.0 / (np.take_along_axis(square, nearest, 1) + 1e-3)
        shares = np.stack(
            [(weight * (names[nearest] == name)).sum(axis=1) for name in self._classes], axis=1
        )
        shares = shares + 1e-9
        codes = code[nearest]
        known = np.isfinite(codes)
        with np.errstate(divide="ignore", invalid="ignore"):
            subtype = (weight * np.where(known, codes, 0.0)).sum(axis=1) / (weight * known).sum(
                axis=1
            )
        return shares / shares.sum(axis=1, keepdims=True), subtype


def _squares(values: Doubles, points: Doubles) -> Doubles:
    return np.asarray(((values[:, None, :] - points[None]) ** 2).mean(axis=2))
