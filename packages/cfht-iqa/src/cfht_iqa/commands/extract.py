"""``cfht-iqa extract``: source catalogues of exposures."""

from __future__ import annotations

import argparse
from typing import Any

from astro_common.command import (
    DONE,
    FAILED,
    PARTLY_FAILED,
    add_common_options,
    add_unit_options,
    positive_int,
    print_json,
)
from cfht_iqa.commands.options import (
    add_exposures,
    add_header_values,
    add_output,
    positive_float,
)

__all__ = ["add_extraction_options", "add_parser", "settings_of"]


def add_extraction_options(parser: argparse.ArgumentParser) -> None:
    """Add what decides how sources are found."""
    parser.add_argument(
        "--engine", choices=("sep", "sextractor"), default="sep", help="finds the sources (sep)"
    )
    parser.add_argument(
        "--threshold-sigma", type=positive_float, default=5.0, metavar="X", help="(5)"
    )
    parser.add_argument(
        "--min-area-px", type=positive_int, default=5, metavar="N", help="least area (5)"
    )
    parser.add_argument(
        "--mesh-px", type=positive_int, default=64, metavar="N", help="background mesh (64)"
    )
    parser.add_argument(
        "--seeing-arcsec",
        type=positive_float,
        default=0.7,
        metavar="X",
        help="nominal seeing, for CLASS_STAR (0.7)",
    )
    parser.add_argument(
        "--subtract-bias", action="store_true", help="take off the median of the overscan first"
    )


def settings_of(arguments: argparse.Namespace) -> Any:
    """Return the `ExtractionSettings` that the options ask for."""
    from cfht_iqa.extraction.settings import ExtractionSettings

    return ExtractionSettings(
        engine=arguments.engine,
        threshold_sigma=arguments.threshold_sigma,
        min_area_px=arguments.min_area_px,
        mesh_px=arguments.mesh_px,
        seeing_arcsec=arguments.seeing_arcsec,
        subtract_bias=arguments.subtract_bias,
    )


def add_parser(verbs: Any) -> None:
    """Add the verb to the command's parser."""
    parser: argparse.ArgumentParser = verbs.add_parser(
        "extract",
        help="find the sources of exposures, with sep or SExtractor",
        description="Write DIR/<exposure>.cat.fits for each exposure, with the sources of each "
        "CCD. Catalogues of the same input and settings are not made again.",
    )
    add_exposures(parser)
    add_output(parser, "DIR", "folder of the catalogues")
    add_extraction_options(parser)
    parser.add_argument(
        "--format",
        choices=("fits-ldac", "fits-1.0"),
        default="fits-ldac",
        help="layout of the catalogues (fits-ldac)",
    )
    add_header_values(parser)
    add_unit_options(parser)
    add_common_options(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Extract; exit status 3 if some exposures failed, 1 if all did."""
    from cfht_iqa.extracting import Extracting, extract_exposures

    outcome = extract_exposures(
        Extracting(
            exposures=arguments.exposures,
            output=arguments.output,
            settings=settings_of(arguments),
            layout=arguments.format,
            exptime_s=arguments.exptime_s,
            pixel_scale_arcsec=arguments.pixel_scale_arcsec,
            workers=arguments.workers,
            scheduler=arguments.scheduler,
            overwrite=arguments.overwrite,
            progress=not arguments.quiet,
        )
    )
    if arguments.json:
        print_json(
            {
                "exposures": outcome.exposures,
                "failed": [
                    {"exposure": failure.unit, "file": failure.file, "reason": failure.reason}
                    for failure in outcome.failed
                ],
            }
        )
    else:
        for item in outcome.exposures:
            dead = "".join(
                f"; {kind.replace('_', '-')}: {', '.join(item[kind])}"
                for kind in ("dead", "half_dead")
                if item[kind]
            )
            print(
                f"{item['catalogue']}: {item['n_sources']} sources on {item['n_ccds']} CCDs{dead}"
            )
    if not outcome.failed:
        return DONE
    return PARTLY_FAILED if outcome.exposures else FAILED
