"""Whether one judge is better than another on the same exposures."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from scipy.stats import binomtest

from cfht_iqa.model.evaluation import Scores

__all__ = ["compare"]

_BOOTSTRAPS: Final = 5000


def compare(first: Scores, second: Scores) -> dict[str, Any]:
    """Compare two judges, exposure by exposure.

    Parameters
    ----------
    first, second : Scores
        Of the same exposures, in any order.

    Returns
    -------
    dict
        ``difference`` of the accuracies, first minus second; ``interval_95`` of it, by drawing
        exposures with replacement; ``first_alone_right`` and ``second_alone_right``, exposures on
        which they disagree and one is right; ``p_value`` of so uneven a share of them by chance
        (exact test of McNemar 1947, Psychometrika 12, 153).

    Raises
    ------
    ValueError
        If the exposures are not the same.
    """
    if sorted(first.exposures) != sorted(second.exposures):
        raise ValueError("the judges saw different exposures")
    place = {name: row for row, name in enumerate(second.exposures)}
    order = [place[name] for name in first.exposures]
    ours = first.probabilities.argmax(axis=1) == first.truth
    theirs = (second.probabilities.argmax(axis=1) == second.truth)[order]
    gain = ours.astype(np.float64) - theirs
    rows = np.random.default_rng(0).integers(0, len(gain), (_BOOTSTRAPS, len(gain)))
    low, high = np.percentile(gain[rows].mean(axis=1), (2.5, 97.5))
    alone, other = int((ours & ~theirs).sum()), int((theirs & ~ours).sum())
    chance = binomtest(alone, alone + other).pvalue if alone + other else 1.0
    return {
        "difference": float(gain.mean()),
        "interval_95": [float(low), float(high)],
        "first_alone_right": alone,
        "second_alone_right": other,
        "p_value": float(chance),
    }
