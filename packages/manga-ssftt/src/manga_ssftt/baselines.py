"""What simple methods reach on the same spaxels, by which a network has to be measured."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from sklearn.decomposition import PCA
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor

from manga_ssftt.abundances import named_calibration
from manga_ssftt.galaxy_file import GalaxyFile
from manga_ssftt.metrics import classification_figures, regression_figures
from manga_ssftt.patch_loader import Sample
from manga_ssftt.patches import has_label
from manga_ssftt.targets import Target

__all__ = ["baseline_figures"]

# More training spectra than this are drawn at random: a forest gains little from more.
_MAX_SPECTRA: Final = 20_000
_N_COMPONENTS: Final = 30
_N_TREES: Final = 100
_N2_CALIBRATION: Final = "marino13-n2"


def baseline_figures(
    training: Sequence[Sample],
    test: Sequence[Sample],
    target: Target,
    class_ids: Sequence[int],
    seed: int,
) -> dict[str, dict[str, Any]]:
    """Figures of the baselines on the test spaxels.

    Parameters
    ----------
    training, test : sequence of Sample
    target : Target
    class_ids : sequence of int
        Of the confusion matrices.
    seed : int

    Returns
    -------
    dict of dict
        ``majority``: the most frequent training class, or the mean training abundance.
        ``pca_random_forest``: principal components of the spectrum of the spaxel alone, and a
        random forest. ``n2_calibration``, for abundances: Marino et al. (2013) applied to the
        measured [NII]/H-alpha. Each with the figures of `metrics.classification_figures` and, for
        abundances, of `metrics.regression_figures`.
    """
    train_label = np.concatenate([sample.label for sample in training])
    test_label = np.concatenate([sample.label for sample in test])
    truth = target.classes(test_label)
    if target.map_task == "BPT":
        train_class = target.classes(train_label)
        values, counts = np.unique(train_class, return_counts=True)
        majority = np.full(len(truth), values[np.argmax(counts)])
        forest = _forest(training, test, seed, classify=True).astype(np.int64)
        return {
            "majority": classification_figures(truth, majority, class_ids),
            "pca_random_forest": classification_figures(truth, forest, class_ids),
        }
    calibration = named_calibration(_N2_CALIBRATION)
    n2 = np.concatenate([sample.n2 for sample in test])
    inside = np.where((n2 >= calibration.low) & (n2 <= calibration.high), n2, np.nan)
    predictions = {
        "majority": np.full(len(truth), np.mean(train_label)),
        "pca_random_forest": _forest(training, test, seed, classify=False),
        "n2_calibration": np.polynomial.Polynomial(calibration.coefficients)(inside),
    }
    return {
        name: _abundance_figures(test_label, values, target, class_ids)
        for name, values in predictions.items()
    }


def _abundance_figures(
    truth: npt.NDArray[Any],
    predicted: npt.NDArray[np.float64],
    target: Target,
    class_ids: Sequence[int],
) -> dict[str, Any]:
    known = has_label(predicted)
    binned = classification_figures(
        target.classes(truth[known]), target.classes(predicted[known]), class_ids
    )
    return {**binned, **regression_figures(truth, predicted)}


def _forest(
    training: Sequence[Sample], test: Sequence[Sample], seed: int, *, classify: bool
) -> npt.NDArray[Any]:
    random = np.random.default_rng(seed)
    n_train = sum(map(len, training))
    keep = np.ones(n_train, dtype=np.bool_)
    if n_train > _MAX_SPECTRA:
        keep[random.permutation(n_train)[_MAX_SPECTRA:]] = False
    spectra, labels, first = [], [], 0
    for sample in training:
        chosen = keep[first : first + len(sample)]
        first += len(sample)
        spectra.append(_spectra(sample)[chosen])
        labels.append(sample.label[chosen])
    x, y = np.concatenate(spectra), np.concatenate(labels)
    pca = PCA(min(_N_COMPONENTS, *x.shape), svd_solver="randomized", random_state=seed).fit(x)
    kind = RandomForestClassifier if classify else RandomForestRegressor
    forest = kind(_N_TREES, random_state=seed, n_jobs=1, min_samples_leaf=2)
    forest.fit(pca.transform(x), y)
    found = [forest.predict(pca.transform(_spectra(sample))) for sample in test]
    return np.concatenate(found)


def _spectra(sample: Sample) -> npt.NDArray[np.float32]:
    """Spectra of a galaxy's labelled spaxels, each divided by its mean flux."""
    with GalaxyFile(sample.path) as file:
        flux, mask = file.read("cube"), file.read("mask")
    flux, mask = flux[sample.y, sample.x], mask[sample.y, sample.x]
    level = np.mean(np.abs(flux), axis=1, keepdims=True, where=~mask)
    flux[mask] = 0.0
    return np.asarray(flux / np.where(level > 0, level, 1.0), dtype=np.float32)
