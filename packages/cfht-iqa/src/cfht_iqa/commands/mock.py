"""``cfht-iqa mock``: synthetic exposures of the five classes."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from astro_common.command import (
    DONE,
    add_common_options,
    add_unit_options,
    positive_int,
    print_json,
)
from astro_common.errors import ConfigurationError
from cfht_iqa.commands.options import add_seed, fraction, positive_float

__all__ = ["add_parser"]


def add_parser(verbs: Any) -> None:
    """Add the verb to the command's parser."""
    parser: argparse.ArgumentParser = verbs.add_parser(
        "mock",
        help="write synthetic exposures of the five classes",
        description="Write raw MegaCam-like exposures with DIR/labels.txt and DIR/truth.json. They "
        "say that they are synthetic.",
    )
    parser.add_argument("directory", type=Path, metavar="DIR", help="folder to make")
    parser.add_argument(
        "--per-class", type=positive_int, default=2, metavar="N", help="exposures of each class (2)"
    )
    parser.add_argument(
        "--classes", metavar="A,B", help="only these of GOOD, B_SEEING, BGP, BT and RBT"
    )
    parser.add_argument("--ccds", type=positive_int, default=36, metavar="N", help="up to 40 (36)")
    parser.add_argument(
        "--ccd-size", type=_size, default=(2048, 4612), metavar="XxY", help="pixels (2048x4612)"
    )
    parser.add_argument(
        "--sources-per-ccd",
        type=positive_float,
        default=6000.0,
        metavar="N",
        help="stars and galaxies on a CCD of full size, most of them found (6000)",
    )
    parser.add_argument(
        "--star-share", type=fraction, default=0.6, metavar="V", help="stars among them (0.6)"
    )
    parser.add_argument(
        "--margin",
        choices=("clear", "narrow"),
        default="clear",
        help="how far the classes keep from the limits between them (clear)",
    )
    parser.add_argument("--filters", metavar="A,B", help="such as r.MP9601; by default any")
    parser.add_argument(
        "--exptime-s", type=positive_float, metavar="V", help="of all; by default 60 to 600"
    )
    parser.add_argument(
        "--pixel-scale-arcsec",
        type=positive_float,
        default=0.187,
        metavar="V",
        help="of another camera (0.187)",
    )
    parser.add_argument(
        "--format", choices=("fits", "fits.fz", "fits.gz"), default="fits", help="(fits)"
    )
    parser.add_argument("--dead-ccd", type=int, default=-1, metavar="N", help="is dead")
    parser.add_argument("--half-dead-ccd", type=int, default=-1, metavar="N", help="is half dead")
    add_seed(parser, "everything")
    parser.add_argument("--overwrite", action="store_true", help="replace what exists")
    add_unit_options(parser)
    add_common_options(parser)
    parser.set_defaults(run=run)


def _size(text: str) -> tuple[int, int]:
    x, cross, y = text.partition("x")
    if not (cross and x.isdecimal() and y.isdecimal()) or not 128 <= min(int(x), int(y)) <= 20000:
        raise argparse.ArgumentTypeError(f"{text!r}; expected XxY from 128x128 on")
    return int(x), int(y)


def run(arguments: argparse.Namespace) -> int:
    """Write the exposures."""
    from cfht_iqa.classes import CLASSES
    from cfht_iqa.mock import MockPlan, write_mock
    from cfht_iqa.mock.detector import FILTERS

    classes = _chosen("--classes", arguments.classes, CLASSES) or CLASSES
    if arguments.ccds > 40:
        raise ConfigurationError("--ccds", str(arguments.ccds), "at most 40")
    n_x, n_y = arguments.ccd_size
    paths = write_mock(
        arguments.directory,
        MockPlan(
            per_class=arguments.per_class,
            classes=classes,
            n_ccds=arguments.ccds,
            shape=(n_y, n_x),
            sources_per_ccd=arguments.sources_per_ccd,
            filters=_chosen("--filters", arguments.filters, tuple(FILTERS)),
            exptime_s=arguments.exptime_s,
            layout=arguments.format,
            dead=arguments.dead_ccd,
            half_dead=arguments.half_dead_ccd,
            star_share=arguments.star_share,
            margin=arguments.margin,
            pixel_scale_arcsec=arguments.pixel_scale_arcsec,
            seed=arguments.seed,
        ),
        workers=arguments.workers,
        scheduler=arguments.scheduler,
        overwrite=arguments.overwrite,
        progress=not arguments.quiet,
    )
    labels = arguments.directory / "labels.txt"
    if arguments.json:
        print_json({"outputs": list(map(str, paths)), "labels": str(labels), "synthetic": True})
    else:
        print("\n".join([*map(str, paths), str(labels)]))
    return DONE


def _chosen(option: str, text: str | None, allowed: tuple[str, ...]) -> tuple[str, ...]:
    if text is None:
        return ()
    names = tuple(name.strip() for name in text.split(","))
    for name in names:
        if name not in allowed:
            raise ConfigurationError(option, repr(name), f"some of {', '.join(allowed)}")
    return names
