"""``sdss-spectra evaluate``: how good a trained model is on labelled spectra."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from astro_common.command import print_json
from sdss_spectra.commands.options import (
    add_catalogue,
    add_data,
    add_seed,
    add_verb,
    add_workers,
    catalogue_of,
    failures_beside,
    status_of,
)

__all__ = ["add_parser"]


def add_parser(verbs: Any) -> None:
    """Add the verb to the command's parser."""
    parser = add_verb(
        verbs,
        "evaluate",
        "scores of a model on labelled spectra, with intervals",
        "Evaluate a model: accuracy, macro-F1, subtype error, confusion, curves, calibration, with "
        "intervals bootstrapped over stars. Stars of its own training set are left out.",
    )
    add_data(parser)
    parser.add_argument("--model", type=Path, required=True, metavar="DIR", help="made by train")
    parser.add_argument(
        "-o", "--output", type=Path, metavar="JSON", help="also write the result here"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace what exists")
    parser.add_argument(
        "--all", action="store_true", help="also use stars that the model was trained on"
    )
    parser.add_argument(
        "--baselines",
        action="store_true",
        help="also evaluate template matching, PCA with logistic regression and spectral indices, "
        "fitted to the model's training set, which DATA must hold",
    )
    add_seed(parser)
    add_catalogue(parser)
    add_workers(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Evaluate."""
    import json

    from astro_common.atomic import atomic_path
    from astro_common.jsonable import jsonable
    from sdss_spectra.comparison import evaluate_folder
    from sdss_spectra.model.files import load_model
    from sdss_spectra.tables import check_output

    if arguments.output is not None:
        check_output(arguments.output, arguments.overwrite)
    model = load_model(arguments.model)
    result, account = evaluate_folder(
        model,
        arguments.model,
        arguments.data,
        catalogue=catalogue_of(arguments),
        strip_prefix=arguments.catalog_strip_prefix,
        strip_suffix=arguments.catalog_strip_suffix,
        with_training_stars=arguments.all,
        with_baselines=arguments.baselines,
        seed=arguments.seed,
        workers=arguments.workers,
        failures=None if arguments.output is None else failures_beside(arguments.output),
    )
    if arguments.output is not None:
        text = json.dumps(jsonable(result), indent=2, allow_nan=False) + "\n"
        with atomic_path(arguments.output, overwrite=arguments.overwrite) as partial:
            partial.write_text(text, encoding="utf-8")
    if arguments.json:
        print_json(result)
        return status_of(account)
    low, high = result["accuracy_interval_95"] or (float("nan"), float("nan"))
    print(
        f"accuracy {result['accuracy']:.3f} (95 %: {low:.3f} .. {high:.3f}), "
        f"macro-F1 {result['macro_f1']:.3f}, "
        f"of {result['spectra']} spectra of {result['stars']} stars"
    )
    for name, scores in result.get("baselines", {}).items():
        print(f"{name}: accuracy {scores['accuracy']:.3f}, macro-F1 {scores['macro_f1']:.3f}")
    return status_of(account)
