"""Which modality informs a prediction: what is lost when it is taken away."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from astro_common.errors import ConfigurationError, InputError
from astromodal_transformer.configuration import Configuration
from astromodal_transformer.predict import load_for_use, predict_scalars
from astromodal_transformer.truth import true_columns

__all__ = ["attribute"]

logger = logging.getLogger(__name__)


def attribute(
    configuration: Configuration,
    checkpoint: Path,
    target: str,
    given: Sequence[str] = (),
    *,
    fields: Sequence[str] | None = None,
) -> dict[str, Any]:
    """Predict a column without each group of modalities in turn, and with each alone.

    Parameters
    ----------
    configuration : Configuration
    checkpoint : Path
    target : str
        A column.
    given : sequence of str
        Modalities that are seen, by name or pattern; all but the target without any.
    fields : sequence of str, optional
        All by default.

    Returns
    -------
    dict
        ``rmse`` with all groups, and ``groups``: for each the ``rmse_without`` it, the
        ``rmse_alone``, ``gain`` (``rmse_without`` minus ``rmse``) and the number of sources that
        have it.

    Raises
    ------
    AstroError
        If a name is unknown, an input damaged, or no held-out source has the target.
    """
    loaded = load_for_use(configuration, checkpoint)
    project, layout = loaded.project, loaded.project.layout
    if target not in project.books.columns or target not in layout.modalities:
        raise ConfigurationError("--target", target, "a column of the catalogue")
    seen = [n for n in layout.matching(given or ["*"], "--given") if n != target]
    store = project.store(fields)
    truth = true_columns(project, store, [target])[target]
    rows = store.rows(configuration.evaluation.split)
    rows = rows[np.isfinite(truth[rows])]
    if len(rows) > configuration.evaluation.max_sources:
        random = np.random.default_rng(configuration.seed)
        rows = np.sort(random.choice(rows, configuration.evaluation.max_sources, replace=False))
    if not len(rows):
        raise InputError(configuration.tokens, f"no held-out source has {target}", "some")
    codes = store.codes(rows)
    known = codes != project.vocabulary.missing
    group_of = {name: layout.groups[int(layout.group[layout.slots([name])[0]])] for name in seen}

    def rmse(names: Sequence[str]) -> float:
        mean = predict_scalars(loaded, codes, names, [target], [0.5]).mean[:, 0]
        return float(np.sqrt(np.mean((mean - truth[rows]) ** 2)))

    whole = rmse(seen)
    groups = {}
    for group in dict.fromkeys(group_of.values()):
        own = [name for name in seen if group_of[name] == group]
        without = rmse([name for name in seen if group_of[name] != group])
        groups[group] = {
            "modalities": own,
            "rmse_without": without,
            "rmse_alone": rmse(own),
            "gain": without - whole,
            "sources": int(known[:, layout.slots(own)].any(axis=1).sum()),
        }
        logger.info("%s without %s: %.5g", target, group, without)
    return {
        "target": target,
        "unit": project.books.columns[target].unit,
        "n": len(rows),
        "rmse": whole,
        "synthetic": store.synthetic,
        "groups": groups,
    }
