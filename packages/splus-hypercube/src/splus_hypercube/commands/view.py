"""``splus-hypercube view``: a local page for looking through hypercubes."""

from __future__ import annotations

import argparse
import logging
import sys
from pathlib import Path
from typing import Any

from astro_common.command import DONE, add_common_options, print_json
from astro_common.errors import ConfigurationError

__all__ = ["add_parser"]

logger = logging.getLogger(__name__)

_LAST_PORT = 65_535


def add_parser(verbs: Any) -> None:
    """Add the verb to the command's parser."""
    parser: argparse.ArgumentParser = verbs.add_parser(
        "view",
        help="look through hypercubes on a local page: sky map, filters, cutouts, spectra",
        description="Serve a page to this machine alone: the sky map of each field, filters over "
        "all columns, and for each source its cutouts, magnitudes, light curves, spectra and "
        "counterparts. Nothing is written. Ctrl-C ends it.",
    )
    parser.add_argument("cubes", nargs="+", type=Path, metavar="CUBE")
    parser.add_argument(
        "--port", type=int, default=0, metavar="N", help="where to listen (any that is free)"
    )
    parser.add_argument("--no-browser", action="store_true", help="only print the address")
    add_common_options(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Serve until interrupted."""
    import webbrowser

    from splus_hypercube.viewer.answers import Answers
    from splus_hypercube.viewer.server import PageServer

    if not 0 <= arguments.port <= _LAST_PORT:
        raise ConfigurationError("--port", str(arguments.port), f"0 to {_LAST_PORT}")
    with Answers(arguments.cubes) as answers, PageServer(answers, arguments.port) as server:
        if arguments.json:
            print_json({"url": server.url, "cubes": [str(path) for path in arguments.cubes]})
        else:
            print(server.url)
        # A program that reads the address through a pipe needs it before the server ends.
        sys.stdout.flush()
        if not arguments.no_browser and not webbrowser.open(server.url):
            logger.warning("no browser could be opened; go to %s", server.url)
        server.serve_forever()
    return DONE
