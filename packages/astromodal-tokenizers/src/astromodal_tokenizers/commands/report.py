"""``astromodal-tokenizers report``: what the round trip costs, measured on the held-out sky."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from astro_common.command import DONE, add_common_options, print_json

__all__ = ["add_parser"]


def add_parser(verbs: Any) -> None:
    """Add the verb to the command's parser."""
    parser: argparse.ArgumentParser = verbs.add_parser(
        "report",
        help="measure the distortion on held-out sources: report.html and report.json",
        description="Encode and decode the held-out sources, measure what is lost, and write "
        "report.html and report.json into a folder.",
    )
    parser.add_argument("--config", type=Path, required=True, metavar="F", help="YAML file")
    parser.add_argument("--out", type=Path, required=True, metavar="D", help="folder to write into")
    parser.add_argument("--overwrite", action="store_true", help="replace a report that is there")
    parser.add_argument(
        "--no-comparison",
        action="store_true",
        help="leave out the comparison of quantisers, which learns each of them anew",
    )
    add_common_options(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Report."""
    from astromodal_tokenizers.configuration import load_configuration
    from astromodal_tokenizers.report import write_report

    configuration = load_configuration(arguments.config)
    result = write_report(
        configuration,
        arguments.out,
        comparison=not arguments.no_comparison,
        overwrite=arguments.overwrite,
    )
    if arguments.json:
        print_json(result)
    else:
        print(arguments.out / "report.html")
    return DONE
