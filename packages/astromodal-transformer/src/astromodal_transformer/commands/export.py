"""``astromodal-transformer export``: a model without the state of its training."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from astro_common.command import DONE, add_common_options, print_json

__all__ = ["add_parser"]


def add_parser(verbs: Any) -> None:
    """Add the verb to the command's parser."""
    parser: argparse.ArgumentParser = verbs.add_parser(
        "export",
        help="write model.safetensors and config.json of a checkpoint",
        description="Write a model by itself; `astromodal_transformer.load_model` reads it.",
    )
    parser.add_argument(
        "--checkpoint", type=Path, required=True, metavar="D", help="a checkpoint or a run"
    )
    parser.add_argument("--out", type=Path, required=True, metavar="E", help="folder to write into")
    parser.add_argument("--overwrite", action="store_true", help="replace files that are there")
    add_common_options(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Export."""
    from astromodal_transformer.export import export_model

    result = export_model(arguments.checkpoint, arguments.out, overwrite=arguments.overwrite)
    if arguments.json:
        print_json(result)
    else:
        print(f"{result['parameters']} parameters: {result['output']}")
    return DONE
