"""The command ``cfht-iqa``; also ``python -m cfht_iqa``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from astro_common.command import command_parser, run_command
from cfht_iqa import __version__
from cfht_iqa.commands import (
    catalogue,
    evaluate,
    extract,
    label,
    mock,
    predict,
    report,
    represent,
    run,
    som_report,
    split,
    train,
    train_som,
)

__all__ = ["main"]

_VERBS = (
    extract,
    catalogue,
    train_som,
    som_report,
    represent,
    label,
    split,
    train,
    evaluate,
    predict,
    report,
    mock,
    run,
)


def build_parser() -> argparse.ArgumentParser:
    """The parser of the command with all its verbs."""
    return command_parser(
        "cfht-iqa",
        __version__,
        "Image quality of MegaCam exposures: find the sources, order them on a "
        "self-organising map, show representative sources to a network, and get a verdict.",
        _VERBS,
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command.

    Parameters
    ----------
    argv : sequence of str, optional
        The words after the command's name; those of the process by default.

    Returns
    -------
    int
        Exit status.
    """
    return run_command(build_parser(), argv)


if __name__ == "__main__":
    sys.exit(main())
