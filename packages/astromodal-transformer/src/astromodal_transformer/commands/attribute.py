"""``astromodal-transformer attribute``: which modality informs a prediction."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from astro_common.command import DONE, add_common_options, print_json
from astromodal_transformer.commands.options import (
    add_fields_option,
    add_given_option,
    add_model_options,
)

__all__ = ["add_parser"]


def add_parser(verbs: Any) -> None:
    """Add the verb to the command's parser."""
    parser: argparse.ArgumentParser = verbs.add_parser(
        "attribute",
        help="measure what a prediction loses without each group of modalities",
        description="Predict a column of held-out sources without each group of modalities in "
        "turn, and from each alone.",
    )
    add_model_options(parser)
    parser.add_argument(
        "--target", required=True, metavar="COLUMN", help="a column of the catalogue"
    )
    add_given_option(parser, "modalities that the model may see (all but the target)")
    add_fields_option(parser)
    parser.add_argument("--figure", type=Path, metavar="PNG", help="also draw the errors")
    add_common_options(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Attribute."""
    from astromodal_transformer.attribute import attribute
    from astromodal_transformer.configuration import load_configuration

    result = attribute(
        load_configuration(arguments.config, arguments.set),
        arguments.checkpoint,
        arguments.target,
        arguments.given,
        fields=arguments.field or None,
    )
    if arguments.figure is not None:
        from astromodal_transformer.figures import attribution_bars, save

        image = attribution_bars(result["target"], result["unit"], result, result["synthetic"])
        save(image, arguments.figure)
    if arguments.json:
        print_json(result)
        return DONE
    print(f"{result['target']}: RMSE {result['rmse']:.5g} {result['unit']} ({result['n']} sources)")
    for name, own in sorted(result["groups"].items(), key=lambda item: -item[1]["gain"]):
        print(f"{name:20} without {own['rmse_without']:.5g}, alone {own['rmse_alone']:.5g}")
    return DONE
