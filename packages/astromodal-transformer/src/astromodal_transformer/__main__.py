"""The command ``astromodal-transformer``; also ``python -m astromodal_transformer``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from astro_common.command import run_command
from astromodal_transformer import __version__
from astromodal_transformer.commands import (
    attribute,
    bench,
    config,
    embed,
    evaluate,
    export,
    generate,
    predict,
    train,
)

__all__ = ["main"]


def build_parser() -> argparse.ArgumentParser:
    """The parser of the command with all its verbs."""
    parser = argparse.ArgumentParser(
        prog="astromodal-transformer",
        description="Train and use a transformer over the tokens of S-PLUS hypercubes: any "
        "catalogue value, spectrum or image from any others.",
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    verbs = parser.add_subparsers(title="verbs", metavar="VERB")
    for module in (train, evaluate, predict, generate, embed, attribute, export, config, bench):
        module.add_parser(verbs)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command.

    Parameters
    ----------
    argv : sequence of str, optional

    Returns
    -------
    int
        Exit status.
    """
    return run_command(build_parser(), argv)


if __name__ == "__main__":
    sys.exit(main())
