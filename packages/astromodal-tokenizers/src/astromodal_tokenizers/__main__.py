"""The command ``astromodal-tokenizers``; also ``python -m astromodal_tokenizers``."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from astro_common.command import command_parser, run_command
from astromodal_tokenizers import __version__
from astromodal_tokenizers.commands import config, decode, encode, fit, inspect, report

__all__ = ["main"]


def build_parser() -> argparse.ArgumentParser:
    """The parser of the command with all its verbs."""
    return command_parser(
        "astromodal-tokenizers",
        __version__,
        "Turn S-PLUS hypercubes into discrete tokens and back: cutouts, spectra, light "
        "curves and catalogue columns.",
        (fit, encode, decode, report, inspect, config),
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
    # Threads that wait for each other by spinning lose most of the time as soon as other programs
    # run on the same cores. OpenMP reads this when PyTorch is loaded, which is later.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    return run_command(build_parser(), argv)


if __name__ == "__main__":
    sys.exit(main())
