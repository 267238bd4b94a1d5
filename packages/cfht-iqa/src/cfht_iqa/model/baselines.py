"""What simpler ways reach on the same exposures; a network that is no better has learned nothing.

The baselines see what was measured of each CCD (``summary.parquet``), all the numbers that the
network is given beside image and hits, or some of the network's inputs alone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.tree import DecisionTreeClassifier

from astro_common.errors import InputError
from astro_common.parquet import parquet_errors
from cfht_iqa.classes import CLASSES
from cfht_iqa.exposure_quality import exposure_measures
from cfht_iqa.model.evaluation import Scores, evaluate_model, score
from cfht_iqa.model.files import TrainedModel
from cfht_iqa.model.inputs import CcdInputs, exposures_of, read_measures
from cfht_iqa.model.training import Training, fit_network
from cfht_iqa.model.verdict import by_exposure, pooled_probabilities

__all__ = ["score_baselines"]

_THRESHOLD_COLUMNS: Final = ("fwhm_arcsec", "ellipticity", "background_range")
_SUMMARY_COLUMNS: Final = (
    *_THRESHOLD_COLUMNS,
    "coherence",
    "trail_arcsec",
    "repeated_fraction",
    "background_step",
    "background_sigma",
    "n_sources",
)
# Of all CCDs together; no levels or directions, which have nothing to do with quality.
_EXPOSURE_COLUMNS: Final = (
    "n_sources",
    "n_shapes",
    "fwhm_arcsec",
    "ellipticity",
    "coherence",
    "trail_arcsec",
    "trail_least_arcsec",
    "trail_most_arcsec",
    "stretch_error_arcsec2",
    "repeated_fraction",
    "repeat_arcsec",
    "background_range",
    "background_step",
    "background_sigma",
)
# Boosting gets its best chance: whichever of these does best on the validation split.
_BOOSTINGS: Final[tuple[dict[str, Any], ...]] = (
    {"min_samples_leaf": 5},
    {"min_samples_leaf": 20, "learning_rate": 0.05, "max_iter": 200},
    {"min_samples_leaf": 20, "max_leaf_nodes": 4, "max_iter": 200},
    {
        "min_samples_leaf": 20,
        "max_leaf_nodes": 8,
        "max_features": 0.3,
        "l2_regularization": 1.0,
        "learning_rate": 0.05,
        "max_iter": 200,
    },
)
Floats = npt.NDArray[np.float64]


def score_baselines(
    representatives: Path,
    inputs: CcdInputs,
    labels: Mapping[str, Sequence[str]],
    splits: Mapping[str, str],
    split: str,
    model: TrainedModel,
) -> dict[str, Scores]:
    """Train the baselines on the training split and score them on another.

    Parameters
    ----------
    representatives : Path
        ``representatives.parquet`` or its folder, with ``summary.parquet`` beside it.
    inputs : CcdInputs
        CCDs of all exposures.
    labels, splits
        By exposure.
    split : str
        Which exposures are scored.
    model : TrainedModel
        Whose settings the networks of one input are trained with.

    Returns
    -------
    dict
        Scores by name: ``majority, exptime, thresholds``; ``gradient_boosting`` on what was
        measured of each CCD, ``gradient_boosting_exposure`` also on what was measured of all CCDs
        together, and ``gradient_boosting_statistics`` on the statistics of the network; networks
        ``pixels_only, hits_only`` and ``pixels_and_hits``, the two inputs of the published method.

    Raises
    ------
    InputError
        If the table of measurements is missing or damaged.
    """
    folder = representatives if representatives.is_dir() else representatives.parent
    summary = _Summary(folder / "summary.parquet", labels, splits)
    result = {
        "majority": summary.majority(split),
        "exptime": summary.fitted(("exptime_s",), [_tree(2)], split),
        "thresholds": summary.fitted(_THRESHOLD_COLUMNS, [_tree(3)], split),
        "gradient_boosting": summary.fitted(_SUMMARY_COLUMNS, _boostings(), split),
        "gradient_boosting_exposure": summary.fitted(
            _SUMMARY_COLUMNS, _boostings(), split, _EXPOSURE_COLUMNS
        ),
        "gradient_boosting_statistics": _boosted(inputs, labels, splits, split),
    }
    main = {exposure: names[0] for exposure, names in labels.items()}
    settings = Training(**model.record["settings"])
    # What a measurement would tell at once takes longer to learn from images and hits.
    settings = replace(settings, epochs=2 * settings.epochs)
    for name, changes in (
        ("pixels_only", {"use_hits": False, "use_statistics": False}),
        ("hits_only", {"use_image": False, "use_statistics": False}),
        ("pixels_and_hits", {"use_statistics": False}),
    ):
        n_clusters = model.trained_map.n_clusters
        fitted = fit_network(inputs, main, splits, n_clusters, replace(settings, **changes))
        alone = replace(model, network=fitted.network, temperature=fitted.temperature)
        result[name] = evaluate_model(alone, inputs, labels, splits, split)
    return result


def _tree(depth: int) -> Any:
    return DecisionTreeClassifier(
        max_depth=depth, class_weight="balanced", min_samples_leaf=3, random_state=0
    )


def _boostings() -> list[Any]:
    return [
        HistGradientBoostingClassifier(class_weight="balanced", random_state=0, **settings)
        for settings in _BOOSTINGS
    ]


def _boosted(
    inputs: CcdInputs, labels: Mapping[str, Sequence[str]], splits: Mapping[str, str], split: str
) -> Scores:
    known = [name in labels and name in splits for name in inputs.exposures]
    rows = inputs.take(np.flatnonzero(known))
    truth = np.array([CLASSES.index(labels[name][0]) for name in rows.exposures])
    where = np.array([splits[name] for name in rows.exposures])
    return _fitted(rows.exposures, rows.statistics, truth, where, _boostings(), split)


def _fitted(
    exposures: Sequence[str],
    values: npt.NDArray[Any],
    truth: npt.NDArray[Any],
    where: npt.NDArray[Any],
    candidates: Sequence[Any],
    split: str,
) -> Scores:
    """Train classifiers, and score the one that does best in validation."""
    trained = where == "train"

    def scored(classifier: Any, chosen: npt.NDArray[np.bool_]) -> Scores:
        probabilities = np.full((int(chosen.sum()), len(CLASSES)), 1e-6)
        probabilities[:, classifier.classes_] += classifier.predict_proba(values[chosen])
        return _scored(exposures, probabilities, truth, chosen)

    fitted = [classifier.fit(values[trained], truth[trained]) for classifier in candidates]
    held = where == "validation"
    if len(fitted) > 1 and held.any():
        fitted.sort(key=lambda classifier: float(scored(classifier, held).record["log_loss"]))
    return scored(fitted[0], where == split)


def _scored(
    exposures: Sequence[str],
    probabilities: Floats,
    truth: npt.NDArray[Any],
    chosen: npt.NDArray[np.bool_],
) -> Scores:
    names = [name for name, use in zip(exposures, chosen, strict=True) if use]
    if not names:
        raise InputError("summary.parquet", "no exposure of the split", "at least one")
    logs = np.log(np.clip(probabilities, 1e-6, None))
    places = by_exposure(names)
    pooled = np.stack([pooled_probabilities(logs[rows], 1.0) for rows in places.values()])
    own = truth[chosen]
    classes = np.array([own[rows[0]] for rows in places.values()], np.intp)
    return score(list(places), classes, pooled)


class _Summary:
    def __init__(
        self, path: Path, labels: Mapping[str, Sequence[str]], splits: Mapping[str, str]
    ) -> None:
        with parquet_errors(path):
            table = pq.read_table(path)
        missing = [name for name in _SUMMARY_COLUMNS if name not in table.column_names]
        if missing:
            raise InputError(path, f"no column {missing[0]}", "a table made by cfht-iqa represent")
        rows = [
            row
            for row in table.to_pylist()
            if row["exposure"] in labels and row["exposure"] in splits and row["n_sources"]
        ]
        self._rows = rows
        ccds = exposures_of(read_measures(path))
        self._wholes = {name: exposure_measures(own) for name, own in ccds.items()}
        self._exposures = [str(row["exposure"]) for row in rows]
        self._splits = np.array([splits[name] for name in self._exposures])
        self._truth = np.array([CLASSES.index(labels[name][0]) for name in self._exposures])

    def majority(self, split: str) -> Scores:
        commonest = Counter(self._truth[self._splits == "train"].tolist()).most_common(1)[0][0]
        chosen = self._splits == split
        probabilities = np.zeros((int(chosen.sum()), len(CLASSES)))
        probabilities[:, commonest] = 1.0
        return _scored(self._exposures, probabilities, self._truth, chosen)

    def fitted(
        self,
        columns: Sequence[str],
        candidates: Sequence[Any],
        split: str,
        of_exposure: Sequence[str] = (),
    ) -> Scores:
        rows = [
            [row[name] for name in columns]
            + [self._wholes[str(row["exposure"])][name] for name in of_exposure]
            for row in self._rows
        ]
        values = np.array(rows, np.float64)
        return _fitted(self._exposures, values, self._truth, self._splits, candidates, split)
