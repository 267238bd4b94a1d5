"""``splus-hypercube plot``: one figure of one source."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from astro_common.command import DONE, add_common_options, print_json

__all__ = ["add_parser"]


def add_parser(verbs: Any) -> None:
    """Add the verb to the command's parser."""
    parser: argparse.ArgumentParser = verbs.add_parser(
        "plot",
        help="draw one source: cutouts, magnitudes, counterparts, light curve, spectra",
        description="Draw everything that a hypercube holds about one source into a PNG file.",
    )
    parser.add_argument("cube", type=Path, metavar="CUBE")
    parser.add_argument("--id", required=True, metavar="ID", help="S-PLUS identifier of the source")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="PNG")
    parser.add_argument("--overwrite", action="store_true", help="replace PNG if it exists")
    add_common_options(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Draw the source."""
    from splus_hypercube.view.matches import source_matches
    from splus_hypercube.view.plots import write_source_png
    from splus_hypercube.view.source import read_source

    source = read_source(arguments.cube, arguments.id)
    write_source_png(source, arguments.output, overwrite=arguments.overwrite)
    if arguments.json:
        matches = {match.survey: match.found for match in source_matches(source)}
        print_json(
            {
                "output": str(arguments.output),
                "id": source.identifier,
                "field": source.field_name,
                "row": source.row,
                "synthetic": source.synthetic,
                "matches": matches,
            }
        )
    else:
        print(arguments.output)
    return DONE
