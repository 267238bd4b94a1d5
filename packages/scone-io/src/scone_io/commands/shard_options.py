"""Options that several verbs have."""

from __future__ import annotations

import argparse
from pathlib import Path

from astro_common.errors import ConfigurationError

__all__ = [
    "add_compression",
    "add_files",
    "add_grid",
    "add_labels",
    "add_on_bad",
    "add_output",
    "add_seed",
    "snid_list",
]


def add_files(parser: argparse.ArgumentParser, *, least: str = "+") -> None:
    """Add the shards."""
    parser.add_argument(
        "files",
        nargs=least,
        type=Path,
        metavar="FILE",
        help="a shard, plain or compressed, or a folder of shards",
    )


def add_grid(parser: argparse.ArgumentParser) -> None:
    """Add ``--grid``."""
    parser.add_argument(
        "--grid",
        metavar="GRID",
        help="axes of the heatmaps: legacy (-50..+130 d), scone (-30..+150 d) or a JSON file; "
        "by default the file SHARD.grid.json",
    )


def add_on_bad(parser: argparse.ArgumentParser) -> None:
    """Add ``--on-bad``."""
    parser.add_argument(
        "--on-bad",
        choices=("skip", "warn", "strict"),
        default="strict",
        help="at a damaged record: leave it out, leave it out and say so, or fail (strict)",
    )


def add_labels(parser: argparse.ArgumentParser) -> None:
    """Add ``--labels``."""
    parser.add_argument(
        "--labels",
        choices=("binary", "categorical", "unknown"),
        default="binary",
        help="what labels mean: 1 is SN Ia (binary), places in SCONE's list of classes "
        "(categorical), or nothing, as in shards of real data (unknown)",
    )


def add_output(parser: argparse.ArgumentParser, metavar: str, text: str) -> None:
    """Add ``-o`` and ``--overwrite``."""
    parser.add_argument("-o", "--output", type=Path, required=True, metavar=metavar, help=text)
    parser.add_argument("--overwrite", action="store_true", help="replace what exists")


def add_compression(parser: argparse.ArgumentParser) -> None:
    """Add ``--compression``."""
    parser.add_argument(
        "--compression",
        choices=("none", "gzip", "zlib"),
        default="none",
        help="of the shard that is written (none, as SCONE writes)",
    )


def add_seed(parser: argparse.ArgumentParser, what: str, default: int = 0) -> None:
    """Add ``--seed``."""
    parser.add_argument(
        "--seed", type=_seed, default=default, metavar="S", help=f"of {what} ({default})"
    )


def _seed(text: str) -> int:
    try:
        value = int(text)
    except ValueError:
        value = -1
    if not 0 <= value < 1 << 63:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 0 to 2^63 - 1")
    return value


def snid_list(text: str) -> list[int]:
    """Parse ``1,2,3``.

    Raises
    ------
    ConfigurationError
        If a part is no integer of 64 bits.
    """
    found = []
    for part in text.split(","):
        try:
            snid = int(part)
        except ValueError:
            snid = 1 << 63
        if not -(1 << 63) <= snid < 1 << 63:
            raise ConfigurationError("--snid", repr(part), "integers of 64 bits, as in 1,2,3")
        found.append(snid)
    return found
