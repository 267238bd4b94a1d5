"""The command ``sdss-spectra``; also ``python -m sdss_spectra``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from astro_common.command import run_command
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
    parser = argparse.ArgumentParser(
        prog="sdss-spectra",
        description="SDSS 1-D spectra: tables of what they are, cleaned spectra, lines, and a "
        "classifier of stellar types trained and judged on them.",
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    verbs = parser.add_subparsers(title="verbs", metavar="VERB")
    for module in _VERBS:
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
