"""``astromodal-tokenizers decode``: tokens back to the columns of a hypercube."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from astro_common.command import DONE, add_common_options, print_json

__all__ = ["add_parser"]


def add_parser(verbs: Any) -> None:
    """Add the verb to the command's parser."""
    parser: argparse.ArgumentParser = verbs.add_parser(
        "decode",
        help="decode the tokens of a field into a Parquet file",
        description="Decode the tokens of a field into one Parquet file with the names and units "
        "of the hypercube. Tokens of other codebooks are refused.",
    )
    parser.add_argument("--config", type=Path, required=True, metavar="F", help="YAML file")
    parser.add_argument("--field", required=True, metavar="N")
    parser.add_argument("--out", type=Path, required=True, metavar="P", help="file to write")
    parser.add_argument("--overwrite", action="store_true", help="replace the file")
    add_common_options(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Decode."""
    from astromodal_tokenizers.configuration import load_configuration
    from astromodal_tokenizers.decode import decode_field

    configuration = load_configuration(arguments.config)
    result = decode_field(
        configuration, arguments.field, arguments.out, overwrite=arguments.overwrite
    )
    if arguments.json:
        print_json(result)
    else:
        print(result["output"])
    return DONE
