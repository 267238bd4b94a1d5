"""``astromodal-transformer embed``: one vector per source."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from astro_common.command import DONE, add_common_options, positive_int, print_json
from astromodal_transformer.commands.options import (
    add_fields_option,
    add_given_option,
    add_model_options,
    add_output_options,
)

__all__ = ["add_parser"]


def add_parser(verbs: Any) -> None:
    """Add the verb to the command's parser."""
    parser: argparse.ArgumentParser = verbs.add_parser(
        "embed",
        help="write one vector per source; find similar sources; draw a map of all",
        description="Write one vector per source into a Parquet file: the mean of the model's "
        "final states of what is seen of the source.",
    )
    add_model_options(parser)
    add_fields_option(parser)
    add_given_option(parser, "modalities that the model sees (all)")
    add_output_options(parser)
    parser.add_argument("--figure", type=Path, metavar="PNG", help="also draw the sources")
    parser.add_argument("--colour", metavar="COLUMN", help="column that colours the figure")
    parser.add_argument(
        "--projection",
        choices=("pca", "umap"),
        default="pca",
        help="of the figure: principal components or UMAP (pca)",
    )
    parser.add_argument("--neighbours", metavar="ID", help="print the sources most like this one")
    parser.add_argument("--count", type=positive_int, default=10, metavar="N", help="of them (10)")
    add_common_options(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Embed."""
    from astromodal_transformer.configuration import load_configuration
    from astromodal_transformer.embed import embed

    result = embed(
        load_configuration(arguments.config, arguments.set),
        arguments.checkpoint,
        arguments.field,
        arguments.given,
        arguments.out,
        figure=arguments.figure,
        colour=arguments.colour,
        projection=arguments.projection,
        neighbours_of=arguments.neighbours,
        count=arguments.count,
        overwrite=arguments.overwrite,
    )
    if arguments.json:
        print_json(result)
        return DONE
    for item in result.get("neighbours", []):
        print(f"{item['id']}  {item['similarity']:.4f}")
    print(f"{result['rows']} vectors of {result['dimensions']} numbers: {result['output']}")
    return DONE
