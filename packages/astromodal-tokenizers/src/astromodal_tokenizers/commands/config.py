"""``astromodal-tokenizers config``: the settings of a run, defaults included."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from astro_common.command import DONE, add_common_options, print_json

__all__ = ["add_parser"]


def add_parser(verbs: Any) -> None:
    """Add the verb to the command's parser."""
    parser: argparse.ArgumentParser = verbs.add_parser(
        "config",
        help="print the settings with all defaults",
        description="Print the settings as YAML with every default, ready to be edited; with "
        "--config those of a file, its paths resolved.",
    )
    parser.add_argument("--config", type=Path, metavar="F", help="YAML file")
    add_common_options(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print the settings."""
    from astro_common.configuration import as_yaml
    from astromodal_tokenizers.configuration import (
        Configuration,
        load_configuration,
    )

    configuration = (
        Configuration() if arguments.config is None else load_configuration(arguments.config)
    )
    if arguments.json:
        print_json(configuration.model_dump(mode="json"))
    else:
        print(as_yaml(configuration), end="")
    return DONE
