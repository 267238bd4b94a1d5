"""``astromodal-tokenizers inspect``: what a run or one of its files holds."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from astro_common.command import DONE, add_common_options, print_json

__all__ = ["add_parser"]


def add_parser(verbs: Any) -> None:
    """Add the verb to the command's parser."""
    parser: argparse.ArgumentParser = verbs.add_parser(
        "inspect",
        help="modalities of a configuration, or what a codebook, token file or vocabulary holds",
        description="Describe a configuration (YAML: the table of modalities and what has been "
        "fitted), a codebook (safetensors), a token file (npz), a shard of the store (arrow) or "
        "a vocabulary (json).",
    )
    parser.add_argument("file", type=Path, metavar="FILE")
    add_common_options(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Inspect."""
    from astromodal_tokenizers.inspection import inspect_file, text_report

    report = inspect_file(arguments.file)
    if arguments.json:
        print_json(report)
    else:
        print("\n".join(text_report(report)))
    return DONE
