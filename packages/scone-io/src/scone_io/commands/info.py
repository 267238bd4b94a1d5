"""``scone-io info``: what shards hold."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from astro_common.command import DONE, add_common_options, print_json
from scone_io.commands.shard_options import add_files, add_grid, add_labels, add_on_bad

__all__ = ["add_parser"]


def add_parser(verbs: Any) -> None:
    """Add the verb to the command's parser."""
    parser: argparse.ArgumentParser = verbs.add_parser(
        "info",
        help="records, classes, redshifts, sizes, compression and grid of shards",
        description="Read shards once and print what they hold: records, events per class, range "
        "of redshifts, sizes, compression, grid, and what looks wrong.",
    )
    add_files(parser)
    add_grid(parser)
    add_labels(parser)
    add_on_bad(parser)
    add_common_options(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Inspect."""
    from scone_io.inspection import inspect_shards
    from scone_io.labels import LABEL_MAPS, label_name
    from scone_io.shards import open_shards

    shards = open_shards(arguments.files, grid=arguments.grid, on_bad=arguments.on_bad)
    report = inspect_shards(shards)
    if arguments.json:
        print_json(report)
        return DONE
    for warning in report["warnings"]:
        print(f"warning: {warning}", file=sys.stderr)
    names = LABEL_MAPS[arguments.labels]
    print(f"{report['records']} events")
    for label, count in report["classes"].items():
        print(f"  label {label} ({label_name(int(label), names)}): {count}")
    for entry in report["files"]:
        print(_line(entry))
    return DONE


def _line(entry: dict[str, Any]) -> str:
    grid = entry["grid"]
    redshifts = "no redshifts"
    if entry["z_min"] is not None:
        redshifts = f"z {entry['z_min']:.4f} .. {entry['z_max']:.4f}"
    shape = " x ".join(map(str, entry["image_shape"]))
    return (
        f"{entry['file']}: {entry['records']} events, {entry['size_bytes'] / 1e6:.1f} MB, "
        f"compression {entry['compression']}, {redshifts} ({entry['num_without_z']} without), "
        f"{shape} {entry['image_dtype'] or 'values'}, "
        f"{grid['time_min_days']:g} .. {grid['time_max_days']:g} d of {grid['reference']} "
        f"({entry['grid_source']})"
    )
