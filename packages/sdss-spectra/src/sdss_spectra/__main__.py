"""The command ``sdss-spectra``; also ``python -m sdss_spectra``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from astro_common.command import command_parser, run_command
from sdss_spectra import __version__
from sdss_spectra.commands import (
    ablate,
    evaluate,
    fetch,
    labels,
    lines,
    manifest,
    metadata,
    mock,
    pipeline,
    plot,
    predict,
    preprocess,
    report,
    split,
    train,
)

__all__ = ["build_parser", "main"]

_VERBS = (
    pipeline,
    metadata,
    manifest,
    labels,
    preprocess,
    lines,
    plot,
    split,
    train,
    evaluate,
    predict,
    ablate,
    report,
    fetch,
    mock,
)


def build_parser() -> argparse.ArgumentParser:
    """The parser of the command with all its verbs."""
    return command_parser(
        "sdss-spectra",
        __version__,
        "SDSS 1-D spectra: tables of what they are, cleaned spectra, lines, and a "
        "classifier of stellar types trained and evaluated on them.",
        _VERBS,
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
