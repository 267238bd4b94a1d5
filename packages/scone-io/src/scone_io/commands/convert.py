"""``scone-io convert``: the same events in another container."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from astro_common.command import DONE, add_common_options, print_json
from scone_io.commands.shard_options import add_compression, add_grid, add_on_bad, add_output

__all__ = ["add_parser"]


def add_parser(verbs: Any) -> None:
    """Add the verb to the command's parser."""
    parser: argparse.ArgumentParser = verbs.add_parser(
        "convert",
        help="shards to npz, Parquet, HDF5 or Zarr, and back",
        description="Write the events of shards, or of .npz, .parquet, .h5 and .zarr, into another "
        "container; the endings of the names say which. Arrays id, label, z, z_err, image.",
    )
    parser.add_argument("files", nargs="+", type=Path, metavar="IN", help="what to read")
    add_output(parser, "OUT", "OUT.npz, .parquet, .h5, .zarr or .tfrecord")
    parser.add_argument(
        "--dtype", choices=("float64", "float32"), help="of the images (as they are)"
    )
    add_grid(parser)
    add_on_bad(parser)
    add_compression(parser)
    add_common_options(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Convert."""
    from scone_io.convert.conversion import Conversion, convert

    conversion = Conversion(
        output=arguments.output,
        dtype=arguments.dtype,
        grid=arguments.grid,
        on_bad=arguments.on_bad,
        compression=arguments.compression,
        overwrite=arguments.overwrite,
    )
    count = convert(arguments.files, conversion)
    if arguments.json:
        print_json({"output": str(arguments.output), "events": count})
    else:
        print(f"{arguments.output}: {count} events")
    return DONE
