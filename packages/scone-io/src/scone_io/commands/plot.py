"""``scone-io plot``: figures of events and of samples."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from astro_common.command import DONE, add_common_options, positive_int, print_json
from astro_common.errors import ConfigurationError
from scone_io.commands.shard_options import (
    add_files,
    add_grid,
    add_labels,
    add_on_bad,
    add_output,
    add_seed,
    snid_list,
)

__all__ = ["add_parser"]

_DEFAULT_SAMPLES = 5


def add_parser(verbs: Any) -> None:
    """Add the verb to the command's parser."""
    parser: argparse.ArgumentParser = verbs.add_parser(
        "plot",
        help="draw events, and the statistics of a random sample, with a page that shows them",
        description="Draw events in five panels each, and the statistics of a random sample in "
        "six; DIR/index.html shows them. Without --snid, --num-samples or --statistics, five "
        "random events are drawn.",
    )
    add_files(parser, least="*")
    add_output(parser, "DIR", "folder of the figures")
    parser.add_argument("--snid", metavar="N[,N]", help="these supernovae")
    parser.add_argument(
        "--num-samples", type=positive_int, metavar="N", help="so many events at random"
    )
    parser.add_argument("--statistics", action="store_true", help="the statistics of a sample")
    parser.add_argument(
        "--stat-samples",
        type=positive_int,
        default=1000,
        metavar="N",
        help="size of that sample (1000)",
    )
    add_seed(parser, "the samples")
    parser.add_argument("--index", type=Path, metavar="FILE", help="find --snid by this index")
    parser.add_argument("--pdf", action="store_true", help="PDF instead of PNG")
    add_grid(parser)
    add_labels(parser)
    add_on_bad(parser)
    add_common_options(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Draw."""
    from scone_io.plots.run import Plotting, plot
    from scone_io.shards import Shards, open_shards

    snids = () if arguments.snid is None else tuple(snid_list(arguments.snid))
    sampling = arguments.num_samples is not None or arguments.statistics
    if not arguments.files and (arguments.index is None or not snids or sampling):
        raise ConfigurationError("plot", "no shard", "shards, or --index with --snid alone")
    samples = arguments.num_samples or 0
    if not snids and not sampling:
        samples = _DEFAULT_SAMPLES
    plotting = Plotting(
        folder=arguments.output,
        snids=snids,
        num_samples=samples,
        statistics=arguments.statistics,
        stat_samples=arguments.stat_samples,
        seed=arguments.seed,
        index=arguments.index,
        kind="pdf" if arguments.pdf else "png",
        labels=arguments.labels,
        grid=arguments.grid,
        overwrite=arguments.overwrite,
    )
    shards = Shards([])
    if arguments.files:
        shards = open_shards(arguments.files, grid=arguments.grid, on_bad=arguments.on_bad)
    written = [str(path) for path in plot(shards, plotting)]
    if arguments.json:
        print_json({"outputs": written})
    else:
        print("\n".join(written))
    return DONE
