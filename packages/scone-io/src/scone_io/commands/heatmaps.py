"""``scone-io heatmaps``: a shard made of light curves."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Any

from astro_common.command import (
    DONE,
    PARTLY_FAILED,
    add_common_options,
    add_unit_options,
    print_json,
)
from astro_common.errors import ConfigurationError
from scone_io.commands.shard_options import add_output

__all__ = ["add_parser"]


def add_parser(verbs: Any) -> None:
    """Add the verb to the command's parser."""
    parser: argparse.ArgumentParser = verbs.add_parser(
        "heatmaps",
        help="make a shard of light curves: SNANA HEAD and PHOT files, or CSV tables",
        description="Make heatmaps of light curves with a Gaussian process over time and "
        "wavelength, as SCONE does. Each HEAD file has its PHOT file beside it.",
    )
    parser.add_argument(
        "heads", nargs="+", type=Path, metavar="HEAD", help="*HEAD.FITS, *HEAD.FITS.gz or *HEAD.csv"
    )
    add_output(parser, "OUT.tfrecord", "the shard")
    parser.add_argument(
        "--grid", default="scone", metavar="GRID", help="legacy, scone (default) or a JSON file"
    )
    parser.add_argument(
        "--band-wavelengths",
        metavar="B=A,...",
        help="mean wavelengths in angstrom, as in g=4866.46,r=6214.62; bands not named are left "
        "out; by default those of the survey",
    )
    parser.add_argument("--survey", metavar="NAME", help="in place of the one in the HEAD file")
    parser.add_argument(
        "--no-optimize", action="store_true", help="keep the starting kernel: 20 d, 6000 angstrom"
    )
    dust = parser.add_mutually_exclusive_group()
    dust.add_argument("--no-extinction", action="store_true", help="leave the Milky Way's dust in")
    dust.add_argument(
        "--scone-extinction",
        action="store_true",
        help="add magnitudes to fluxes, as SCONE's published heatmaps have it",
    )
    parser.add_argument(
        "--days-after-trigger",
        type=float,
        metavar="D",
        help="leave out what was observed later than this after the trigger",
    )
    parser.add_argument(
        "--ia-types",
        metavar="N[,N]",
        help="type codes that get the label 1, also of real data (1,90,101 of simulations)",
    )
    add_unit_options(parser)
    add_common_options(parser)
    parser.set_defaults(run=run)


# Read by the linear algebra libraries when they are loaded. Matrices are small, so one thread is
# fastest, and the last digits of a result depend on how many there are.
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def run(arguments: argparse.Namespace) -> int:
    """Make the shard; exit status 3 if events failed."""
    for name in _THREADS:
        os.environ[name] = "1"
    from scone_io.grid import named_grid
    from scone_io.light_curves import band_wavelengths
    from scone_io.making.run import Making, make_shard

    days = arguments.days_after_trigger
    if days is not None and not -1e6 < days < 1e6:
        raise ConfigurationError("--days-after-trigger", str(days), "a number of days")
    extinction = "none" if arguments.no_extinction else "physical"
    named = arguments.band_wavelengths
    making = Making(
        heads=arguments.heads,
        output=arguments.output,
        grid=named_grid(arguments.grid),
        wavelengths=None if named is None else band_wavelengths(named),
        survey=arguments.survey,
        optimize=not arguments.no_optimize,
        extinction="scone" if arguments.scone_extinction else extinction,
        days_after_trigger=days,
        sn_ia_types=_types(arguments.ia_types),
        workers=arguments.workers,
        scheduler=arguments.scheduler,
        overwrite=arguments.overwrite,
        progress=not arguments.quiet,
    )
    outcome = make_shard(making)
    if arguments.json:
        failed = [_as_json(failure) for failure in outcome.failed]
        print_json({"output": str(making.output), "records": outcome.records, "failed": failed})
    else:
        print(f"{making.output}: {outcome.records} events, {len(outcome.failed)} failed")
    return PARTLY_FAILED if outcome.failed else DONE


def _as_json(failure: Any) -> dict[str, Any]:
    """A failure as JSON."""
    return {"event": failure.unit, "file": failure.file, "reason": failure.reason}


def _types(text: str | None) -> frozenset[int] | None:
    if text is None:
        return None
    try:
        return frozenset(int(part) for part in text.split(","))
    except ValueError as error:
        raise ConfigurationError("--ia-types", repr(text), "integers, as in 1,101") from error
