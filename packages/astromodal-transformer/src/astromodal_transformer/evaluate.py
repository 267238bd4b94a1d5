"""How good predictions are on held-out sources, beside simple predictors on the same inputs."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from astro_common.errors import ConfigurationError, InputError
from astromodal_transformer.baselines import Prediction, baseline_predictions, input_matrix
from astromodal_transformer.calibration import share_interval
from astromodal_transformer.configuration import Configuration
from astromodal_transformer.predict import Loaded, load_for_use, predict_scalars
from astromodal_transformer.questions import asked_subsets, default_targets
from astromodal_transformer.store import TokenStore
from astromodal_transformer.truth import true_columns

__all__ = ["Comparison", "Figures", "evaluate", "figures_of"]

logger = logging.getLogger(__name__)

Float = NDArray[np.float64]

_LEVELS = (0.16, 0.5, 0.84)
_MAD_TO_SIGMA = 1.4826  # of a normal distribution
_OUTLIER_SIGMAS = 5.0
# Sources that teach the baselines.
_TAUGHT = 20_000


@dataclass(frozen=True)
class Figures:
    """How far predictions are from the truth.

    Attributes
    ----------
    rmse : float
        Root mean square of prediction minus truth, in the unit of the column.
    bias : float
        Its mean.
    scatter : float
        1.4826 times the median absolute deviation from its median.
    outlier_fraction : float
        Share farther from the median than five times the scatter.
    coverage_68 : float
        Share of true values between the 16th and the 84th percentile that was predicted.
    coverage_68_low, coverage_68_high : float
        Where that share lies with 95 per cent confidence, see `calibration.share_interval`.
    n : int
    """

    rmse: float
    bias: float
    scatter: float
    outlier_fraction: float
    coverage_68: float
    coverage_68_low: float
    coverage_68_high: float
    n: int


@dataclass(frozen=True)
class Comparison:
    """A target predicted from a subset of modalities.

    Attributes
    ----------
    target, subset : str
    given : tuple of str
    unit : str
    truth : ndarray of float64, shape (n,)
    prediction : Prediction
    figures : Figures
    baseline_predictions : dict of str to Prediction
    baselines : dict of str to Figures
    """

    target: str
    subset: str
    given: tuple[str, ...]
    unit: str
    truth: Float
    prediction: Prediction
    figures: Figures
    baseline_predictions: Mapping[str, Prediction]
    baselines: Mapping[str, Figures]

    def record(self) -> dict[str, Any]:
        """The figures as JSON can hold them."""
        return {
            **asdict(self.figures),
            "unit": self.unit,
            "given": list(self.given),
            "baselines": {name: asdict(own) for name, own in self.baselines.items()},
        }


def figures_of(prediction: Prediction, truth: Float) -> Figures:
    """Compare predictions with the truth.

    Parameters
    ----------
    prediction : Prediction
    truth : ndarray of float64, shape (n,)
        Finite; at least one.

    Returns
    -------
    Figures
    """
    off = prediction.mean - truth
    middle = np.median(off)
    scatter = _MAD_TO_SIGMA * np.median(np.abs(off - middle))
    inside = (truth >= prediction.low) & (truth <= prediction.high)
    return Figures(
        float(np.sqrt(np.mean(off**2))),
        float(off.mean()),
        float(scatter),
        float(np.mean(np.abs(off - middle) > _OUTLIER_SIGMAS * scatter)),
        float(inside.mean()),
        *share_interval(int(inside.sum()), len(truth)),
        len(truth),
    )


def evaluate(
    configuration: Configuration,
    checkpoint: Path,
    *,
    targets: Sequence[str] | None = None,
    given: Sequence[str] | None = None,
    fields: Sequence[str] | None = None,
) -> tuple[dict[str, Any], list[Comparison], Loaded]:
    """Predict the held-out sources, and compare.

    Parameters
    ----------
    configuration : Configuration
    checkpoint : Path
    targets : sequence of str, optional
        Columns; those of the configuration by default.
    given : sequence of str, optional
        Inputs by name or pattern, in the place of the configured subsets.
    fields : sequence of str, optional
        All by default.

    Returns
    -------
    dict
        ``targets``: per target and subset the figures of the model, and those of the baselines.
    list of Comparison
    Loaded

    Raises
    ------
    AstroError
        If a name is unknown, an input is damaged, or no held-out source has a target.
    """
    from threadpoolctl import threadpool_limits

    settings = configuration.evaluation
    loaded = load_for_use(configuration, checkpoint)
    project, layout = loaded.project, loaded.project.layout
    names = list(targets or settings.targets or default_targets(layout))
    asked = [n for n in layout.matching(names, "evaluation.targets") if n in project.books.columns]
    if not asked:
        raise ConfigurationError("evaluation.targets", ", ".join(names), "columns of the catalogue")
    subsets = asked_subsets(configuration, layout, asked, given)
    store = project.store(fields)
    truth = true_columns(project, store, asked)
    held = _held_out(store.rows(settings.split), truth, settings.max_sources, configuration.seed)
    if not len(held):
        raise InputError(
            configuration.tokens,
            f"no source in the {settings.split} part of the sky has a value of {', '.join(asked)}",
            "some",
            "choose other targets or another evaluation.split",
        )
    taught = _teaching(store, configuration, held)
    own, teach = store.codes(held), store.codes(taught)
    comparisons = []
    for subset, seen in subsets.items():
        found = predict_scalars(loaded, own, seen, asked, _LEVELS)
        inputs = input_matrix(project, np.concatenate([teach, own]), seen)
        for place, name in enumerate(asked):
            values = truth[name][held]
            known = np.isfinite(values)
            if not known.any():
                continue
            prediction = Prediction(
                found.mean[known, place],
                found.quantiles[known, place, 0],
                found.quantiles[known, place, 2],
            )
            # A baseline never sees a target either.
            matrix = inputs
            if any(other in seen for other in asked):
                rest = [n for n in seen if n not in asked]
                matrix = input_matrix(project, np.concatenate([teach, own]), rest)
            label = np.concatenate([truth[name][taught], np.full(len(held), np.nan)])
            wanted = np.concatenate([np.zeros(len(taught), dtype=bool), known])
            with threadpool_limits(configuration.training.threads):
                others = baseline_predictions(
                    settings.baselines, matrix, label, wanted, configuration.seed
                )
            comparisons.append(
                Comparison(
                    name,
                    subset,
                    tuple(seen),
                    project.books.columns[name].unit,
                    values[known],
                    prediction,
                    figures_of(prediction, values[known]),
                    others,
                    {n: figures_of(p, values[known]) for n, p in others.items()},
                )
            )
            logger.info("%s from %s: %d sources", name, subset, int(known.sum()))
    record: dict[str, Any] = {
        "checkpoint": str(loaded.path),
        "step": loaded.record.get("step"),
        "split": settings.split,
        "fields": list(store.fields),
        "sources": len(held),
        "synthetic": store.synthetic,
        "truth": "measured" if configuration.hypercube else "tokens",
        "targets": {},
    }
    for comparison in comparisons:
        record["targets"].setdefault(comparison.target, {})[comparison.subset] = comparison.record()
    return record, comparisons, loaded


def _held_out(
    rows: NDArray[np.int64], truth: Mapping[str, Float], most: int, seed: int
) -> NDArray[np.int64]:
    """Rows with a target; those with a rare one first, if there are too many."""
    known = {name: np.isfinite(values[rows]) for name, values in truth.items()}
    some = np.logical_or.reduce(list(known.values()))
    rows = rows[some]
    if len(rows) <= most:
        return rows
    rarity = sum(own[some] / max(1, int(own.sum())) for own in known.values())
    draw = np.random.default_rng(seed).random(len(rows)) * np.asarray(rarity)
    return np.sort(rows[np.argsort(-draw)[:most]])


def _teaching(
    store: TokenStore, configuration: Configuration, held: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Rows from which baselines learn: the training part of the sky."""
    rows = np.setdiff1d(store.rows("train"), held)
    if len(rows) <= _TAUGHT:
        return rows
    return np.sort(np.random.default_rng(configuration.seed).choice(rows, _TAUGHT, replace=False))
