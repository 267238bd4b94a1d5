"""``astromodal-transformer generate``: spectra and cutouts drawn from other modalities."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from astro_common.command import DONE, add_common_options, positive_int, print_json
from astromodal_transformer.commands.options import (
    add_given_option,
    add_model_options,
    add_names_option,
    add_output_options,
)

__all__ = ["add_parser"]


def add_parser(verbs: Any) -> None:
    """Add the verb to the command's parser."""
    parser: argparse.ArgumentParser = verbs.add_parser(
        "generate",
        help="draw spectra or cutouts of sources from their other modalities",
        description="Draw spectra or cutouts, by default DESI spectra from photometry and XP, and "
        "optionally draw them over the truth.",
    )
    add_model_options(parser)
    parser.add_argument("--field", required=True, metavar="N", help="a field that has tokens")
    add_given_option(parser, "modalities that the model may see (photometry and XP)")
    add_names_option(parser, "--target", "NAME", "spectra or image (the DESI spectra)")
    add_names_option(
        parser, "--source", "ID", "sources (the first held-out ones that have the target)"
    )
    parser.add_argument("--count", type=positive_int, default=4, metavar="N", help="of them (4)")
    parser.add_argument("--samples", type=positive_int, default=16, metavar="S", help="draws (16)")
    parser.add_argument(
        "--rounds", type=positive_int, default=8, metavar="R", help="of the masked model (8)"
    )
    add_output_options(parser)
    parser.add_argument("--figure", type=Path, metavar="PNG", help="also draw them over the truth")
    add_common_options(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Generate."""
    from astromodal_transformer.configuration import load_configuration
    from astromodal_transformer.generate import generate

    result = generate(
        load_configuration(arguments.config, arguments.set),
        arguments.checkpoint,
        arguments.field,
        arguments.given,
        arguments.target,
        arguments.out,
        sources=arguments.source,
        count=arguments.count,
        samples=arguments.samples,
        rounds=arguments.rounds,
        figure=arguments.figure,
        overwrite=arguments.overwrite,
    )
    if arguments.json:
        print_json(result)
    else:
        print(f"{result['samples']} draws of {len(result['sources'])} sources: {result['output']}")
    return DONE
