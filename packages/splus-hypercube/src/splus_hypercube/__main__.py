"""The command ``splus-hypercube``; also ``python -m splus_hypercube``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from astro_common.command import command_parser, run_command
from splus_hypercube import __version__
from splus_hypercube.commands import build, check, crossmatch, inspect, mock, plot, validate, view

__all__ = ["main"]


def build_parser() -> argparse.ArgumentParser:
    """The parser of the command with all its verbs."""
    return command_parser(
        "splus-hypercube",
        __version__,
        "Build and use S-PLUS hypercubes: one Parquet row per source with its "
        "catalogue row, 12-band cutouts, Gaia, Gaia XP, ZTF, DESI, APOGEE, spec-z and VISTA.",
        (build, validate, inspect, check, crossmatch, plot, view, mock),
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
