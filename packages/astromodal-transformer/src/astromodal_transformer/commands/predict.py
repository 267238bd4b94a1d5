"""``astromodal-transformer predict``: any modality from any others, with uncertainties."""

from __future__ import annotations

import argparse
from typing import Any

from astro_common.command import DONE, add_common_options, positive_int, print_json
from astromodal_transformer.commands.options import (
    add_given_option,
    add_model_options,
    add_names_option,
    add_output_options,
    level,
)

__all__ = ["add_parser"]


def add_parser(verbs: Any) -> None:
    """Add the verb to the command's parser."""
    parser: argparse.ArgumentParser = verbs.add_parser(
        "predict",
        help="predict columns, spectra or cutouts of a field's sources from other modalities",
        description="Write the expected value and quantiles of each target for every source of a "
        "field. Targets are never seen by the model, even where the field has them.",
    )
    add_model_options(parser)
    parser.add_argument("--field", required=True, metavar="N", help="a field that has tokens")
    add_given_option(parser, "modalities that the model may see (default: all but the targets)")
    add_names_option(
        parser, "--target", "COLUMN", "columns, spectra or image, by name or pattern", required=True
    )
    parser.add_argument(
        "--quantiles",
        nargs="+",
        type=level,
        default=[0.16, 0.5, 0.84],
        metavar="Q",
        help="between 0 and 1, or in per cent (default: 0.16 0.5 0.84)",
    )
    parser.add_argument("--batch-size", type=positive_int, metavar="B", help="sources at a time")
    parser.add_argument(
        "--samples",
        type=positive_int,
        default=32,
        metavar="S",
        help="drawn for the quantiles of spectra and cutouts (default: 32)",
    )
    add_output_options(parser)
    add_common_options(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Predict."""
    from astromodal_transformer.configuration import load_configuration
    from astromodal_transformer.predict import predict_field

    result = predict_field(
        load_configuration(arguments.config, arguments.set),
        arguments.checkpoint,
        arguments.field,
        arguments.given,
        arguments.target,
        arguments.out,
        quantiles=arguments.quantiles,
        batch_size=arguments.batch_size,
        samples=arguments.samples,
        overwrite=arguments.overwrite,
    )
    if arguments.json:
        print_json(result)
    else:
        print(f"{result['rows']} sources, {len(result['targets'])} targets: {result['output']}")
    return DONE
