"""How much of a difference between two predictors chance may have made."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Ratio", "error_ratio"]

Float = NDArray[np.float64]

_DRAWS, _DRAWS_AT_A_TIME = 2000, 50
_TAILS_PERCENT = (2.5, 97.5)


@dataclass(frozen=True)
class Ratio:
    """A ratio with the interval that holds 95 per cent of what resampled sources give."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.3f} ({self.low:.3f} to {self.high:.3f})"


def error_ratio(predicted: Float, other: Float, truth: Float, seed: int) -> Ratio:
    """RMSE of one predictor over that of another on the same sources.

    Sources are resampled in pairs, with both predictions of each: what makes a source hard for
    both does not widen the interval (percentile bootstrap; Efron & Tibshirani 1993, An
    Introduction to the Bootstrap, chapter 13).

    Parameters
    ----------
    predicted, other, truth : ndarray of float64, shape (n,)
        In one unit; at least one.
    seed : int

    Returns
    -------
    Ratio
    """
    squares = np.stack([(predicted - truth) ** 2, (other - truth) ** 2])
    random = np.random.default_rng(seed)
    count = squares.shape[1]
    drawn = []
    for _ in range(_DRAWS // _DRAWS_AT_A_TIME):
        rows = random.integers(0, count, (_DRAWS_AT_A_TIME, count))
        own, others = squares[:, rows].mean(axis=2)
        drawn.append(np.sqrt(own / others))
    low, high = np.percentile(np.concatenate(drawn), _TAILS_PERCENT)
    own, others = squares.mean(axis=1)
    return Ratio(float(np.sqrt(own / others)), float(low), float(high))
