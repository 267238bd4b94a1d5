"""``manga-ssftt plot``: figures of galaxies, predictions, learning curves and evaluations."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from astro_common.command import DONE, add_common_options, print_json
from astro_common.errors import ConfigurationError, InputError, OutputError

__all__ = ["add_parser"]


def add_parser(verbs: Any) -> None:
    """Add the verb to the command's parser."""
    parser: argparse.ArgumentParser = verbs.add_parser(
        "plot",
        help="draw galaxies, predictions, learning curves and confusion matrices",
        description="Draw each file by its kind: a processed galaxy (.h5), a prediction (.fits: "
        "label against prediction), learning curves (history.json) or an evaluation "
        "(metrics.json: confusion matrix).",
    )
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="DIR")
    parser.add_argument("--overwrite", action="store_true", help="replace files that exist")
    add_common_options(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Draw."""
    figures: dict[Path, Path] = {}
    for source in arguments.files:
        path = _figure_path(source, arguments.output)
        if path in figures:
            raise ConfigurationError(
                source,
                f"its figure is {path}, as that of {figures[path]}",
                "names that differ",
                "draw them into two folders",
            )
        figures[path] = source
    for path in figures:
        if path.exists() and not arguments.overwrite:
            raise OutputError(path, "the file exists", action="give --overwrite to replace it")
    arguments.output.mkdir(parents=True, exist_ok=True)
    for path, source in figures.items():
        _draw(source, path)
    if arguments.json:
        print_json({"outputs": [str(path) for path in figures]})
    else:
        print("\n".join(map(str, figures)))
    return DONE


def _figure_path(source: Path, folder: Path) -> Path:
    name = source.name.removesuffix(".gz")
    stem, ending = Path(name).stem, Path(name).suffix
    if ending not in (".h5", ".fits", ".json"):
        raise ConfigurationError(
            source, f"a {ending or 'file without ending'}", ".h5, .fits, .fits.gz or .json"
        )
    return folder / f"{stem}.png"


def _draw(source: Path, path: Path) -> None:
    if source.suffix == ".h5":
        from manga_ssftt.plots.galaxies import draw_galaxy

        draw_galaxy(source, path)
        return
    if source.name.endswith((".fits", ".fits.gz")):
        from manga_ssftt.plots.predictions import draw_prediction

        draw_prediction(source, path)
        return
    try:
        content = json.loads(source.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(source, f"cannot be read ({error})", "a JSON file") from error
    if isinstance(content, list):
        from manga_ssftt.plots.learning_curves import draw_history

        draw_history(source, path)
        return
    from manga_ssftt.plots.evaluation import draw_confusion

    try:
        draw_confusion(path, content)
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise InputError(
            source, f"neither curves nor figures ({error!r})", "history.json or metrics.json"
        ) from error
