"""The command ``astromodal-transformer``; also ``python -m astromodal_transformer``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from astro_common.command import command_parser, run_command
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
    return command_parser(
        "astromodal-transformer",
        __version__,
        "Train and use a transformer over the tokens of S-PLUS hypercubes: any "
        "catalogue value, spectrum or image from any others.",
        (train, evaluate, predict, generate, embed, attribute, export, config, bench),
    )


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
