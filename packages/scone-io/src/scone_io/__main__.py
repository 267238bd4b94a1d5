"""The command ``scone-io``; also ``python -m scone_io``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from astro_common.command import command_parser, run_command
from scone_io import __version__
from scone_io.commands import (
    convert,
    diff,
    evaluate,
    extract,
    get,
    heatmaps,
    index,
    info,
    merge,
    mock,
    plot,
    predict,
    repair,
    shuffle,
    split,
    subset,
    train,
    verify,
)

__all__ = ["main"]

_VERBS = (
    info,
    verify,
    repair,
    extract,
    index,
    get,
    plot,
    convert,
    merge,
    split,
    shuffle,
    subset,
    diff,
    heatmaps,
    train,
    predict,
    evaluate,
    mock,
)


def build_parser() -> argparse.ArgumentParser:
    """The parser of the command with all its verbs."""
    return command_parser(
        "scone-io",
        __version__,
        "SCONE heatmap shards of supernovae: look into them, check and repair them, "
        "turn them into tables, figures and other formats, and make them from light curves.",
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
