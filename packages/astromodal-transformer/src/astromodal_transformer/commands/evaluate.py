"""``astromodal-transformer evaluate``: predictions on held-out sources, beside baselines."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from astro_common.command import DONE, add_common_options, print_json
from astromodal_transformer.commands.options import (
    add_fields_option,
    add_given_option,
    add_model_options,
    add_names_option,
)

__all__ = ["add_parser"]


def add_parser(verbs: Any) -> None:
    """Add the verb to the command's parser."""
    parser: argparse.ArgumentParser = verbs.add_parser(
        "evaluate",
        help="compare predictions on held-out sources with the truth and with baselines",
        description="Predict held-out sources from subsets of their modalities, and print error, "
        "bias, scatter, outliers and calibration beside those of simple predictors.",
    )
    add_model_options(parser)
    add_names_option(parser, "--target", "COLUMN", "columns, in the place of evaluation.targets")
    add_given_option(parser, "one subset of inputs, in the place of evaluation.subsets")
    add_fields_option(parser)
    parser.add_argument(
        "--report", type=Path, metavar="DIR", help="also write report.html and report.json there"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace a report that is there")
    add_common_options(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Evaluate."""
    from astromodal_transformer.configuration import load_configuration
    from astromodal_transformer.evaluate import evaluate
    from astromodal_transformer.report import check_report_folder, write_report

    configuration = load_configuration(arguments.config, arguments.set)
    if arguments.report is not None:
        check_report_folder(arguments.report, overwrite=arguments.overwrite)
    record, comparisons, _ = evaluate(
        configuration,
        arguments.checkpoint,
        targets=arguments.target or None,
        given=arguments.given or None,
        fields=arguments.field or None,
    )
    if arguments.report is not None:
        more = []
        curve = configuration.output / "learning_curve.png"
        if curve.exists():
            more.append(("Learning curve", curve.read_bytes()))
        write_report(
            arguments.report, record, comparisons, more=more, overwrite=arguments.overwrite
        )
    if arguments.json:
        print_json(record)
        return DONE
    names = ("rmse", "bias", "scatter", "outliers", "coverage", "n")
    print(f"{'target':24}{'from':16}{'predictor':20}" + "".join(f"{n:>11}" for n in names))
    for comparison in comparisons:
        for name, own in {"model": comparison.figures, **comparison.baselines}.items():
            values = (own.rmse, own.bias, own.scatter, own.outlier_fraction, own.coverage_68)
            print(
                f"{comparison.target:24}{comparison.subset:16}{name.replace('_', ' '):20}"
                + "".join(f"{value:11.4g}" for value in values)
                + f"{own.n:11d}"
            )
    return DONE
