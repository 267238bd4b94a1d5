"""How well a model performs: Figures 4 and 5, and the learning curves."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

from astro_common.atomic import atomic_path
from astro_common.errors import InputError
from astro_common.jsonable import jsonable
from sdss_spectra.comparison import evaluate_folder
from sdss_spectra.dataset import Dataset, load_dataset
from sdss_spectra.labels.catalogue import Catalogue
from sdss_spectra.model.classifier import Model
from sdss_spectra.model.run import judge
from sdss_spectra.model.run_folder import split_of_model
from sdss_spectra.reporting.figure_set import FigureSet
from sdss_spectra.reporting.model_figures import draw_history, draw_performance, draw_shift

__all__ = ["draw_model"]

# Held-out spectra of a release; fewer say nothing.
_MIN_SPECTRA: Final = 5


def draw_model(
    figures: FigureSet,
    data: Path,
    folder: Path | None,
    model: Model | None,
    *,
    history: Sequence[Mapping[str, Any]],
    shift: Sequence[Path],
    catalogue: Catalogue | None,
    strip_prefix: str,
    strip_suffix: str,
    seed: int,
    workers: int,
) -> dict[str, Any]:
    """Draw Figures 4 and 5 and the learning curves, and write ``evaluation.json``.

    Parameters
    ----------
    figures : FigureSet
        Takes the figures.
    data : Path
        Labelled spectra.
    folder, model : Path and Model, or None
        Of the trained model; without one the figures are skipped.
    history : sequence of mapping
        See `sdss_spectra.model.run_folder.read_history`.
    shift : sequence of Path
        Other releases on which the model is evaluated.
    catalogue, strip_prefix, strip_suffix, seed, workers
        See `evaluate_folder`.

    Returns
    -------
    dict
        The evaluation on `data`; empty without one.
    """
    titles = (
        "Figure 4. Performance of the model",
        "Figure 5. Performance on other data releases",
    )
    if model is None or folder is None:
        for title in titles:
            figures.skip(title, "no model was given (--model)")
        return {}
    reading: dict[str, Any] = {
        "catalogue": catalogue,
        "strip_prefix": strip_prefix,
        "strip_suffix": strip_suffix,
        "workers": workers,
    }

    def evaluated(path: Path) -> dict[str, Any]:
        return evaluate_folder(model, folder, path, seed=seed, **reading)[0]

    try:
        result = evaluated(data)
    except InputError as error:
        for title in titles:
            figures.skip(title, error.reason)
        return {}
    figures.draw(
        "figure4_model_performance",
        titles[0],
        "Spectra of stars that the model was not trained on. Error bars are standard errors.",
        partial(draw_performance, result),
    )
    if history:
        figures.draw(
            "learning_curves", "Learning curves",
            "One line for each network of the ensemble; templates are averaged in afterwards.",
            partial(draw_history, history),
        )  # fmt: skip
    name, *others = _names([data, *shift])
    releases: dict[str, Any] = {name: result}
    for other, path in zip(others, shift, strict=True):
        releases[other] = evaluated(path)
    if not shift:
        dataset = load_dataset(data, model.preprocessing, **reading)
        releases = _by_release(model, dataset, split_of_model(folder), seed)
    if len(releases) > 1:
        figures.draw(
            "figure5_release_shift",
            titles[1],
            "Scores on stars that the model was not trained on, by release.",
            partial(draw_shift, releases),
        )
    else:
        figures.skip(titles[1], "held-out stars of one release only; name another with --shift")
    text = json.dumps(jsonable({name: result, **releases}), indent=1, allow_nan=False) + "\n"
    with atomic_path(figures.folder.parent / "evaluation.json", overwrite=True) as path:
        path.write_text(text, encoding="utf-8")
    return result


def _names(folders: Sequence[Path]) -> list[str]:
    """Names of folders, with as many of the folders above as tell them apart."""
    parts = [path.resolve().parts for path in folders]
    for depth in range(1, max(map(len, parts)) + 1):
        names = ["/".join(of[-depth:]) for of in parts]
        if len(set(names)) == len(set(parts)):
            break
    return names


def _by_release(
    model: Model, dataset: Dataset, parts: Mapping[str, tuple[str, str]], seed: int
) -> dict[str, Any]:
    """Evaluations of the held-out spectra by what RUN2D says of their release."""
    releases = sorted({item.data_release for item in dataset.items if item.data_release})
    found: dict[str, Any] = {}
    for release in releases:
        numbers = [
            n
            for n, item in enumerate(dataset.items)
            if item.data_release == release and parts.get(item.spec_id, ("", ""))[0] == "test"
        ]
        if len(numbers) >= _MIN_SPECTRA:
            chosen = dataset.subset(numbers)
            groups = [parts[item.spec_id][1] for item in chosen.items]
            found[release] = judge(model, chosen, groups, seed=seed)
    return found
