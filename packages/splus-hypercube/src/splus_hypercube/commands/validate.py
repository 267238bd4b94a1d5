"""``splus-hypercube validate``: check a configuration and its inputs before any work."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from astro_common.command import DONE, FAILED, add_common_options, print_json

__all__ = ["add_parser"]


def add_parser(verbs: Any) -> None:
    """Add the verb to the command's parser."""
    parser: argparse.ArgumentParser = verbs.add_parser(
        "validate",
        help="check a configuration and its inputs, and print what would be read",
        description="Check a configuration and the inputs that it names. Nothing is built.",
    )
    parser.add_argument("config", type=Path, metavar="F", help="YAML file")
    add_common_options(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Validate; the exit status is 1 if an input has a problem."""
    from splus_hypercube.configuration import load_configuration
    from splus_hypercube.validation import text_report, validate

    report = validate(load_configuration(arguments.config))
    if arguments.json:
        print_json(report)
    else:
        print("\n".join(text_report(report)))
    return FAILED if report["problems"] else DONE
