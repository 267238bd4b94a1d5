"""``cfht-iqa represent``: representative images and hits."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from astro_common.command import (
    DONE,
    PARTLY_FAILED,
    add_common_options,
    add_unit_options,
    print_json,
)
from cfht_iqa.commands.options import add_exposures, add_header_values, add_output, add_seed

__all__ = ["add_parser"]


def add_parser(verbs: Any) -> None:
    """Add the verb to the command's parser."""
    parser: argparse.ArgumentParser = verbs.add_parser(
        "represent",
        help="make representative images and hits of each CCD",
        description="Write DIR/representatives.parquet, and DIR/summary.parquet with what can be "
        "measured of each CCD.",
    )
    add_exposures(parser)
    parser.add_argument("--catalogue", type=Path, required=True, metavar="F.parquet")
    parser.add_argument("--som", type=Path, required=True, metavar="DIR", help="folder of the map")
    add_output(parser, "DIR", "folder of the tables")
    parser.add_argument(
        "--pick",
        choices=("largest", "centroid", "random"),
        default="largest",
        help="source of each group: of the largest area (default), nearest to the centroid, any",
    )
    add_seed(parser, "--pick random")
    parser.add_argument(
        "--png", type=Path, metavar="DIR", help="also draw the images of each exposure here"
    )
    parser.add_argument(
        "--hdf5", action="store_true", help="also write DIR/representatives.h5 (cfht-iqa[hdf5])"
    )
    add_header_values(parser)
    add_unit_options(parser)
    add_common_options(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Make the images; exit status 3 if some exposures failed."""
    from cfht_iqa.representatives import FILE_NAME
    from cfht_iqa.representing import Representing, represent_exposures

    hdf5 = (arguments.output / FILE_NAME).with_suffix(".h5")
    if arguments.hdf5:
        from astro_common.errors import OutputError
        from cfht_iqa.report.representatives_hdf5 import require_h5py, write_hdf5

        # Said before hours of work, not after them.
        require_h5py()
        if hdf5.exists() and not arguments.overwrite:
            raise OutputError(hdf5, "the file exists", action="give --overwrite to replace it")
    counts, failed = represent_exposures(
        Representing(
            exposures=arguments.exposures,
            catalogue=arguments.catalogue,
            som=arguments.som,
            output=arguments.output,
            pick=arguments.pick,
            seed=arguments.seed,
            exptime_s=arguments.exptime_s,
            pixel_scale_arcsec=arguments.pixel_scale_arcsec,
            workers=arguments.workers,
            scheduler=arguments.scheduler,
            overwrite=arguments.overwrite,
            progress=not arguments.quiet,
        )
    )
    path = arguments.output / FILE_NAME
    if arguments.hdf5:
        write_hdf5(path, hdf5, overwrite=arguments.overwrite)
    drawn: list[str] = []
    if arguments.png is not None:
        from cfht_iqa.report.representative_figure import draw_representatives

        drawn = [
            str(item)
            for item in draw_representatives(path, arguments.png, overwrite=arguments.overwrite)
        ]
    if arguments.json:
        reasons = [
            {"exposure": item.unit, "file": item.file, "reason": item.reason} for item in failed
        ]
        print_json(
            {
                "output": str(path),
                "hdf5": str(hdf5) if arguments.hdf5 else None,
                **counts,
                "figures": drawn,
                "failed": reasons,
            }
        )
    else:
        print(f"{path}: {counts['n_ccds']} CCDs of {counts['n_exposures']} exposures")
    return PARTLY_FAILED if failed else DONE
