"""How the model does: Figures 4 and 5, and the learning curves."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from astro_common.atomic import atomic_path
from astro_common.errors import InputError
from astro_common.jsonable import jsonable
from sdss_spectra.comparison import evaluate_folder, split_of_model
from sdss_spectra.dataset import load_dataset
from sdss_spectra.evaluation import evaluate_predictions
from sdss_spectra.labels.catalogue import Catalogue
from sdss_spectra.model.files import Model
from sdss_spectra.reporting.figure_set import FigureSet
from sdss_spectra.reporting.model_figures import draw_history, draw_performance, draw_shift

__all__ = ["draw_model"]


def draw_model(
    figures: FigureSet,
    data: Path,
    folder: Path | None,
    model: Model | None,
    *,
    shift: Sequence[Path],
    catalogue: Catalogue | None,
    strip_prefix: str,
    strip_suffix: str,
    seed: int,
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
    shift : sequence of Path
        Other releases on which the model is judged.
    catalogue, strip_prefix, strip_suffix, seed
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
    judge = partial(
        evaluate_folder,
        model,
        folder,
        catalogue=catalogue,
        strip_prefix=strip_prefix,
        strip_suffix=strip_suffix,
        seed=seed,
    )
    try:
        result, _ = judge(data)
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
    history = _history(folder)
    if history:
        figures.draw(
            "learning_curves", "Learning curves",
            "One line for each network of the ensemble; templates are averaged in afterwards.",
            partial(draw_history, history),
        )  # fmt: skip
    releases: dict[str, Any] = {data.resolve().name: result}
    for path in shift:
        releases[path.resolve().name], _ = judge(path)
    if not shift:
        releases = _by_release(model, folder, data, catalogue, seed)
    if len(releases) > 1:
        figures.draw(
            "figure5_release_shift",
            titles[1],
            "Scores on stars that the model was not trained on, by release.",
            partial(draw_shift, releases),
        )
    else:
        figures.skip(titles[1], "held-out stars of one release only; name another with --shift")
    told = {data.resolve().name: result, **releases}
    text = json.dumps(jsonable(told), indent=1, allow_nan=False) + "\n"
    with atomic_path(figures.folder.parent / "evaluation.json", overwrite=True) as path:
        path.write_text(text, encoding="utf-8")
    return result


def _by_release(
    model: Model, folder: Path, data: Path, catalogue: Catalogue | None, seed: int
) -> dict[str, Any]:
    """Evaluations of the held-out spectra by what RUN2D says of their release."""
    parts = split_of_model(folder)
    dataset = load_dataset(data, model.preprocessing, catalogue=catalogue)
    releases = sorted({item.data_release for item in dataset.items if item.data_release})
    found: dict[str, Any] = {}
    for release in releases:
        numbers = [
            n
            for n, item in enumerate(dataset.items)
            if item.data_release == release and parts.get(item.spec_id, ("", ""))[0] == "test"
        ]
        if len(numbers) < 5:
            continue
        chosen = dataset.subset(numbers)
        probabilities, code = model.predict(*chosen.arrays())
        found[release] = evaluate_predictions(
            chosen.names, chosen.codes, probabilities, code, model.bins.classes,
            [parts[item.spec_id][1] for item in chosen.items],
            signal_to_noise=[item.signal_to_noise for item in chosen.items],
            coverage=[float(1.0 - item.mask.mean()) for item in chosen.items],
            seed=seed,
        )  # fmt: skip
    return found


def _history(folder: Path) -> list[dict[str, Any]]:
    path = folder / "history.csv"
    if not path.is_file():
        return []
    rows: list[dict[str, Any]] = []
    with path.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            values: dict[str, Any] = {
                key: float(text) if text else None for key, text in row.items() if key
            }
            values["member"], values["epoch"] = int(row["member"]), int(row["epoch"])
            rows.append(values)
    return rows
