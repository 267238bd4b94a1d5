"""Fit the widths of predicted intervals to the validation part of the sky, after training."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Any

import numpy as np

from astromodal_transformer.calibration import FEWEST, LEVELS, interval_scale
from astromodal_transformer.checkpoints import amend_record, read_checkpoint
from astromodal_transformer.configuration import Configuration
from astromodal_transformer.predict import load_for_use, predict_scalars
from astromodal_transformer.questions import asked_subsets, default_targets

__all__ = ["calibrate_checkpoint", "calibrate_run", "fitted_scales"]

logger = logging.getLogger(__name__)

_MOST_SOURCES = 4096


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
        ``scale`` and ``n``, the number of sources. Targets of too few sources are left out.
    """
    loaded = load_for_use(configuration, path)
    loaded.record.pop("calibration", None)
    project, layout = loaded.project, loaded.project.layout
    names = list(configuration.evaluation.targets or default_targets(layout))
    asked = [n for n in layout.matching(names, "evaluation.targets") if n in project.books.columns]
    store = project.store(configuration.training.fields)
    rows = store.rows("validation")
    slots = [int(layout.slots([name])[0]) for name in asked]
    if not asked or not len(rows):
        return {}
    codes = store.codes(rows)
    missing = project.vocabulary.missing
    some = np.flatnonzero((codes[:, slots] != missing).any(axis=1))
    if len(some) > _MOST_SOURCES:
        random = np.random.default_rng(configuration.seed)
        some = np.sort(random.choice(some, _MOST_SOURCES, replace=False))
    codes = codes[some]
    result: dict[str, list[dict[str, Any]]] = {}
    together: dict[str, list[Any]] = {name: [] for name in asked}
    for given in asked_subsets(configuration, layout, asked).values():
        if not given:
            continue
        found = predict_scalars(loaded, codes, given, asked, LEVELS)
        for place, (name, slot) in enumerate(zip(asked, slots, strict=True)):
            truth = project.books.columns[name].bins.decode(codes[:, slot], missing)
            known = np.isfinite(truth)
            if known.sum() < FEWEST:
                continue
            own = truth[known], found.quantiles[known, place]
            together[name].append(own)
            entry = {"given": given, "scale": interval_scale(*own), "n": int(known.sum())}
            result.setdefault(name, []).append(entry)
    for name, entries in result.items():
        pooled = (np.concatenate(parts) for parts in zip(*together[name], strict=True))
        scale = interval_scale(*pooled)
        entries.append({"given": None, "scale": scale, "n": sum(e["n"] for e in entries)})
    return result


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
    for name in ("best", "last"):
        path = configuration.output / "checkpoints" / name
        if path.exists() and "calibration" not in read_checkpoint(path).record:
            calibrate_checkpoint(configuration, path)


def calibrate_checkpoint(configuration: Configuration, path: Path) -> None:
    """Add the factors to ``config.json`` of a checkpoint.

    Parameters
    ----------
    configuration : Configuration
    path : Path
        Its folder.

    Raises
    ------
    AstroError
        If the checkpoint is damaged or cannot be written.
    """
    scales = fitted_scales(configuration, path)
    amend_record(path, {"calibration": scales})
    if scales:
        shown = ", ".join(f"{name} {entries[-1]['scale']:.2f}" for name, entries in scales.items())
        logger.info("intervals of %s widened by the validation sky: %s", path.name, shown)
