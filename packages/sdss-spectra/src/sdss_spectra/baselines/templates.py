"""Nearest template in chi-square."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from sdss_spectra.baselines.features import Doubles, Masks
from sdss_spectra.model.templates import fit_templates, log_flux
from sdss_spectra.preprocessing.resample import LogGrid

__all__ = ["NearestTemplate"]


class NearestTemplate:
    """The nearest of the mean spectra of subtypes, with their continuum."""

    def __init__(self, grid: LogGrid, classes: Sequence[str], seed: int) -> None:
        self._classes = list(classes)

    def fit(
        self,
        flux: npt.NDArray[Any],
        mask: Masks,
        names: Sequence[str],
        code: Doubles,
        groups: Sequence[str],
    ) -> None:
        """Fit; see `Baseline`."""
        known = [row for row, name in enumerate(names) if name in self._classes]
        numbers = np.array([self._classes.index(names[row]) for row in known], np.int64)
        self._templates = fit_templates(*log_flux(flux[known], mask[known]), numbers, code[known])

    def predict(self, flux: npt.NDArray[Any], mask: Masks) -> tuple[Doubles, Doubles]:
        """Predict; see `Baseline`."""
        values, known = log_flux(flux, mask)
        nearest = self._templates.chi_square(values, known).argmin(axis=1)
        shares = self._templates.probabilities(values, known, len(self._classes))
        return shares, self._templates.codes[nearest]
