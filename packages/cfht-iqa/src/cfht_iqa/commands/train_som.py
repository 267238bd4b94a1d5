"""``cfht-iqa train-som``: a self-organising map of the sources."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from astro_common.command import DONE, add_common_options, positive_int, print_json
from cfht_iqa.commands.options import add_output, add_seed

__all__ = ["add_parser"]


def add_parser(verbs: Any) -> None:
    """Add the verb to the command's parser."""
    parser: argparse.ArgumentParser = verbs.add_parser(
        "train-som",
        help="train a self-organising map on a catalogue",
        description="Write DIR/som.safetensors (weights, node_cluster) and DIR/som.json.",
    )
    parser.add_argument("catalogue", type=Path, metavar="F.parquet", help="the catalogue")
    add_output(parser, "DIR", "folder of the map")
    parser.add_argument(
        "--features",
        default="iso0,ellipticity,class_star,background",
        metavar="a,b",
        help="columns of the catalogue (iso0,ellipticity,class_star,background)",
    )
    parser.add_argument(
        "--scale",
        choices=("none", "default"),
        default="default",
        help="none uses the columns as they are; default logs areas, relates the background to its "
        "CCD and brings all to unit variance",
    )
    parser.add_argument("--height", type=positive_int, default=15, metavar="N", help="(15)")
    parser.add_argument("--width", type=positive_int, default=15, metavar="N", help="(15)")
    parser.add_argument(
        "--clusters", type=positive_int, default=20, metavar="N", help="groups of nodes (20)"
    )
    parser.add_argument(
        "--topology", choices=("rectangular", "hexagonal"), default="rectangular", help="of nodes"
    )
    parser.add_argument(
        "--initialisation", choices=("pca", "random"), default="pca", help="of the nodes (pca)"
    )
    parser.add_argument("--epochs", type=positive_int, default=20, metavar="N", help="(20)")
    add_seed(parser, "order and random start")
    parser.add_argument(
        "--engine", choices=("native", "minisom"), default="native", help="trains the map (native)"
    )
    parser.add_argument("--threads", type=positive_int, default=1, metavar="N", help="(1)")
    add_common_options(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Train the map."""
    from cfht_iqa.map_training import MapTraining, train_map

    record = train_map(
        arguments.catalogue,
        arguments.output,
        MapTraining(
            features=tuple(name.strip() for name in arguments.features.split(",")),
            scale=arguments.scale,
            clusters=arguments.clusters,
            height=arguments.height,
            width=arguments.width,
            topology=arguments.topology,
            initialisation=arguments.initialisation,
            epochs=arguments.epochs,
            seed=arguments.seed,
            threads=arguments.threads,
            engine=arguments.engine,
        ),
        overwrite=arguments.overwrite,
    )
    if arguments.json:
        print_json({"output": str(arguments.output), **record})
    else:
        print(
            f"{arguments.output}: quantisation error {record['quantisation_error']:.4f}, "
            f"topographic error {record['topographic_error']:.4f}, "
            f"{record['n_samples']} sources, {record['n_presented']} presented"
        )
    return DONE
