"""The command ``manga-ssftt``; also ``python -m manga_ssftt``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from astro_common.command import command_parser, run_command
from manga_ssftt import __version__
from manga_ssftt.commands import (
    download,
    evaluate,
    hsi_benchmark,
    mock,
    patchify,
    plot,
    predict,
    process,
    split,
    stats,
    train,
)

__all__ = ["main"]

_VERBS = (
    download,
    process,
    patchify,
    split,
    stats,
    train,
    evaluate,
    predict,
    plot,
    mock,
    hsi_benchmark,
)


def build_parser() -> argparse.ArgumentParser:
    """The parser of the command with all its verbs."""
    return command_parser(
        "manga-ssftt",
        __version__,
        "MaNGA datacubes to BPT and oxygen-abundance maps with a spectral-spatial transformer.",
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
