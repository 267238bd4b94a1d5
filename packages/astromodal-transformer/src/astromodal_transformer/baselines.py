"""Simple predictors on the same inputs, to which the model is compared."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from astromodal_transformer.project import Project

__all__ = ["Prediction", "baseline_predictions", "input_matrix"]

Float = NDArray[np.float64]

_NEIGHBOURS = 10
_TAILS = (0.16, 0.84)


@dataclass(frozen=True)
class Prediction:
    """Predicted values with their 16th and 84th percentile (ndarray of float64, shape (n,))."""

    mean: Float
    low: Float
    high: Float


def input_matrix(project: Project, codes: NDArray[np.uint16], given: Sequence[str]) -> Float:
    """The given tokens as numbers: what their codes stand for, standardised.

    Parameters
    ----------
    project : Project
    codes : ndarray of uint16, shape (n, slots)
    given : sequence of str
        Modalities.

    Returns
    -------
    ndarray of float64, shape (n, features)
        NaN where a token is missing; columns without any value or without variation are left out.
    """
    layout, missing = project.layout, project.vocabulary.missing
    columns = []
    for slot in layout.slots(given).tolist():
        centroids = project.centroids[int(layout.block[slot])]
        absent = codes[:, slot] == missing
        vectors = centroids[np.where(absent, 0, codes[:, slot])].astype(np.float64)
        vectors[absent] = np.nan
        columns.append(vectors)
    if not columns:
        return np.zeros((len(codes), 1))
    matrix = np.concatenate(columns, axis=1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # columns of NaN alone
        useful = np.nanmax(matrix, axis=0) > np.nanmin(matrix, axis=0)
    return matrix[:, useful] if useful.any() else np.zeros((len(codes), 1))


def baseline_predictions(
    names: Sequence[str], inputs: Float, known: Float, wanted: NDArray[np.bool_], seed: int
) -> dict[str, Prediction]:
    """Learn from rows of the training part and predict others.

    Parameters
    ----------
    names : sequence of str
        ``column_mean``, ``nearest_neighbours``, ``gradient_boosting``, ``mlp``.
    inputs : ndarray of float64, shape (n, features)
        NaN where missing.
    known : ndarray of float64, shape (n,)
        True values of rows to learn from; NaN elsewhere.
    wanted : ndarray of bool, shape (n,)
        Rows to predict.
    seed : int

    Returns
    -------
    dict of str to Prediction
        Empty with fewer than 20 rows to learn from.
    """
    teach = np.isfinite(known)
    if teach.sum() < 2 * _NEIGHBOURS:
        return {}
    x, y, asked = inputs[teach], known[teach], inputs[wanted]
    makers: dict[str, Callable[[], Prediction]] = {
        "column_mean": lambda: _column_mean(y, asked),
        "nearest_neighbours": lambda: _nearest(x, y, asked),
        "gradient_boosting": lambda: _boosting(x, y, asked, seed),
        "mlp": lambda: _mlp(x, y, asked, seed),
    }
    return {name: makers[name]() for name in names}


def _column_mean(y: Float, asked: Float) -> Prediction:
    low, high = np.quantile(y, _TAILS)
    ones = np.ones(len(asked))
    return Prediction(ones * y.mean(), ones * low, ones * high)


def _standardised(x: Float, asked: Float) -> tuple[Float, Float]:
    """Both with the median in the place of what is missing, in units of the deviation."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        middle = np.nan_to_num(np.nanmedian(x, axis=0))
        deviation = np.nan_to_num(np.nanstd(x, axis=0))
    deviation[deviation == 0.0] = 1.0

    def done(values: Float) -> Float:
        return np.asarray((np.where(np.isfinite(values), values, middle) - middle) / deviation)

    return done(x), done(asked)


def _nearest(x: Float, y: Float, asked: Float) -> Prediction:
    from sklearn.neighbors import NearestNeighbors

    near, wanted = _standardised(x, asked)
    model = NearestNeighbors(n_neighbors=_NEIGHBOURS).fit(near)
    values = y[model.kneighbors(wanted, return_distance=False)]
    low, high = np.quantile(values, _TAILS, axis=1)
    return Prediction(values.mean(axis=1), low, high)


def _boosting(x: Float, y: Float, asked: Float, seed: int) -> Prediction:
    from sklearn.ensemble import HistGradientBoostingRegressor

    def fitted(**options: Any) -> Float:
        model = HistGradientBoostingRegressor(
            max_iter=150,
            learning_rate=0.07,
            min_samples_leaf=max(2, min(20, len(y) // 20)),
            random_state=seed % 2**32,
            **options,
        )
        return np.asarray(model.fit(x, y).predict(asked))

    low, high = (fitted(loss="quantile", quantile=level) for level in _TAILS)
    return Prediction(fitted(), np.minimum(low, high), np.maximum(low, high))


def _mlp(x: Float, y: Float, asked: Float, seed: int) -> Prediction:
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.neural_network import MLPRegressor

    near, wanted = _standardised(x, asked)
    middle, deviation = y.mean(), y.std() or 1.0
    # A part that the network does not see says how far off it is.
    random = np.random.default_rng(seed)
    order = random.permutation(len(y))
    held, rest = order[: len(y) // 5], order[len(y) // 5 :]
    model = MLPRegressor(
        hidden_layer_sizes=(64, 64), alpha=1e-2, max_iter=200, random_state=seed % 2**32
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(near[rest], (y[rest] - middle) / deviation)
    off = y[held] - (middle + deviation * model.predict(near[held]))
    low, high = np.quantile(off, _TAILS)
    mean = middle + deviation * model.predict(wanted)
    return Prediction(mean, mean + low, mean + high)
