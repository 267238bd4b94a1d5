"""Classifiers to compare with, each as strong as the training stars allow.

They get the same cleaned spectra as the network. The features and components of the regression and
the neighbours of the index matching are chosen by cross-validation over training stars.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from sdss_spectra.baselines.indices import IndexMatching
from sdss_spectra.baselines.regression import Regression
from sdss_spectra.baselines.templates import NearestTemplate
from sdss_spectra.baselines.tuning import Baseline
from sdss_spectra.preprocessing.resample import LogGrid

__all__ = ["BASELINES", "Baseline"]

BASELINES: Final[dict[str, Callable[[LogGrid, Sequence[str], int], Baseline]]] = {
    "nearest template (chi-square)": NearestTemplate,
    "PCA + logistic regression": Regression,
    "spectral indices": IndexMatching,
}
