"""Fit the widths of predicted intervals to sources whose truth is known, after training."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from astromodal_transformer.calibration import (
    FEWEST_HELD,
    FEWEST_TAUGHT,
    LEVELS,
    interval_scale,
    pooled_scales,
)
from astromodal_transformer.checkpoints import (
    MODEL_FILE,
    amend_record,
    check_checkpoint,
    read_checkpoint,
)
from astromodal_transformer.configuration import Configuration
from astromodal_transformer.predict import Loaded, load_for_use, predict_scalars
from astromodal_transformer.questions import asked_subsets, default_targets
from astromodal_transformer.store import Codes, TokenStore

__all__ = ["calibrate_run", "fitted_scales"]

logger = logging.getLogger(__name__)

# With a value of a target, and among so many rows at most.
_MOST_SOURCES = 4096
_MOST_ROWS = 1 << 19
_ROWS_AT_A_TIME = 2048


def fitted_scales(configuration: Configuration, path: Path) -> dict[str, list[dict[str, Any]]]:
    """Factors by which a model's intervals are to be widened.

    Parameters
    ----------
    configuration : Configuration
    path : Path
        Folder of a checkpoint.

    Returns
    -------
    dict of str to list of dict
        By target: ``given`` (the modalities of a subset, or None for all subsets together),
        ``scale`` and ``n``, the number of validation sources, or 0 if these were too few to tell.
    """
    loaded = load_for_use(configuration, path)
    loaded.record.pop("calibration", None)
    project, layout = loaded.project, loaded.project.layout
    names = list(configuration.evaluation.targets or default_targets(layout))
    asked = [n for n in layout.matching(names, "evaluation.targets") if n in project.books.columns]
    store = project.store(configuration.training.fields)
    if not asked or not len(store.rows("validation")):
        return {}
    subsets = [own for own in asked_subsets(configuration, layout, asked).values() if own]
    held, taught = (
        _outcomes(loaded, store, part, subsets, asked, fewest)
        for part, fewest in (("validation", FEWEST_HELD), ("train", FEWEST_TAUGHT))
    )
    result: dict[str, list[dict[str, Any]]] = {}
    for given, own, others in zip([*subsets, None], held, taught, strict=True):
        scales = pooled_scales(
            {name: outcome.factor for name, outcome in own.items()},
            {name: outcome.factor for name, outcome in others.items()},
        )
        for name, scale in scales.items():
            count = own[name].sources if name in own else 0
            entry = {"given": given, "scale": scale, "n": count}
            result.setdefault(name, []).append(entry)
    return result


@dataclass(frozen=True)
class _Outcome:
    """True values of some sources, and their quantiles at `LEVELS`."""

    truth: NDArray[np.float64]
    quantiles: NDArray[np.float64]
    sources: int

    @property
    def factor(self) -> tuple[float, int]:
        return interval_scale(self.truth, self.quantiles), self.sources


def _outcomes(
    loaded: Loaded,
    store: TokenStore,
    part: str,
    subsets: Sequence[Sequence[str]],
    asked: Sequence[str],
    fewest: int,
) -> list[dict[str, _Outcome]]:
    """Predictions for a part of the sky: by subset, then all subsets together; by target."""
    project = loaded.project
    missing = project.vocabulary.missing
    slots = [int(project.layout.slots([name])[0]) for name in asked]
    codes = _some_with_a_target(store, store.rows(part), slots, project.configuration.seed)
    result: list[dict[str, _Outcome]] = []
    together: dict[str, list[_Outcome]] = {}
    for given in subsets:
        found = predict_scalars(loaded, codes, given, asked, LEVELS)
        own = {}
        for place, (name, slot) in enumerate(zip(asked, slots, strict=True)):
            truth = project.books.columns[name].bins.decode(codes[:, slot], missing)
            # Later ones are there for the sake of rarer targets: no sample of this one.
            known = np.flatnonzero(np.isfinite(truth))[:_MOST_SOURCES]
            if len(known) >= fewest:
                own[name] = _Outcome(truth[known], found.quantiles[known, place], len(known))
                together.setdefault(name, []).append(own[name])
        result.append(own)
    whole = {
        name: _Outcome(
            np.concatenate([own.truth for own in parts]),
            np.concatenate([own.quantiles for own in parts]),
            max(own.sources for own in parts),
        )
        for name, parts in together.items()
    }
    return [*result, whole]


def _some_with_a_target(
    store: TokenStore, rows: NDArray[np.int64], slots: Sequence[int], seed: int
) -> Codes:
    """Codes of sources that have a value of a target: all, or enough of each.

    The first `_MOST_SOURCES` of a target are a random sample of those that have it.
    """
    shuffled = np.random.default_rng(seed).permutation(rows)[:_MOST_ROWS]
    parts: list[Codes] = [store.codes(rows[:0])]
    counts = np.zeros(len(slots), dtype=np.int64)
    for start in range(0, len(shuffled), _ROWS_AT_A_TIME):
        codes = store.codes(np.sort(shuffled[start : start + _ROWS_AT_A_TIME]))
        known = codes[:, slots] != store.vocabulary.missing
        # A source is of use for targets of which there are not enough yet.
        useful = (known & (counts < _MOST_SOURCES)).any(axis=1)
        parts.append(codes[useful])
        counts += known[useful].sum(axis=0)
        if (counts >= _MOST_SOURCES).all():
            break
    return np.concatenate(parts)


def calibrate_run(configuration: Configuration) -> None:
    """Calibrate the checkpoints of a run that are used, unless that has been done.

    Parameters
    ----------
    configuration : Configuration

    Raises
    ------
    AstroError
        If a checkpoint is damaged or cannot be written.
    """
    # Of several processes that train together, the first does it.
    if int(os.environ.get("LOCAL_RANK", "0")):
        return
    fitted: dict[str, dict[str, list[dict[str, Any]]]] = {}
    for name in ("best", "last"):
        path = configuration.output / "checkpoints" / name
        if not path.exists() or "calibration" in read_checkpoint(path).record:
            continue
        # The last step is often the best one.
        weights = check_checkpoint(path)["files"][MODEL_FILE]["sha256"]
        if weights not in fitted:
            fitted[weights] = fitted_scales(configuration, path)
            logger.info("%s", _shown(path.name, fitted[weights]))
        amend_record(path, {"calibration": fitted[weights]})


def _shown(name: str, scales: Mapping[str, list[dict[str, Any]]]) -> str:
    factors = ", ".join(f"{target} {own[-1]['scale']:.2f}" for target, own in scales.items())
    return f"widths of the intervals of {name} multiplied: {factors or 'too few sources to say'}"
