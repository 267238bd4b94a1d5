"""``cfht-iqa predict``: verdicts for a stacking pipeline."""

from __future__ import annotations

import argparse
import csv
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from astro_common.command import (
    DONE,
    FAILED,
    PARTLY_FAILED,
    add_common_options,
    add_unit_options,
    print_json,
)
from cfht_iqa.commands.options import add_exposures, add_header_values, fraction
from cfht_iqa.commands.train import require_model_extra

if TYPE_CHECKING:
    from cfht_iqa.model.prediction import ExposureVerdict

__all__ = ["add_parser"]


def add_parser(verbs: Any) -> None:
    """Add the verb to the command's parser."""
    parser: argparse.ArgumentParser = verbs.add_parser(
        "predict",
        help="judge exposures (needs cfht-iqa[model])",
        description="Find the sources of exposures and print a verdict on each, with reasons.",
    )
    add_exposures(parser)
    parser.add_argument("--model", type=Path, required=True, metavar="DIR")
    parser.add_argument("--csv", action="store_true", help="print a table, one line per exposure")
    parser.add_argument(
        "--reject-below",
        type=fraction,
        metavar="P",
        help="confidence below which an exposure is marked as rejected; by default the model's",
    )
    parser.add_argument(
        "--failures", type=Path, metavar="FILE", help="also list failed exposures here"
    )
    add_header_values(parser)
    add_unit_options(parser)
    add_common_options(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Judge; exit status 3 if some exposures failed, 1 if all did."""
    require_model_extra()
    import torch

    from cfht_iqa.classes import CLASSES
    from cfht_iqa.model.prediction import Predicting, predict_exposures

    torch.set_num_threads(1)
    verdicts, outcome = predict_exposures(
        Predicting(
            exposures=arguments.exposures,
            model=arguments.model,
            exptime_s=arguments.exptime_s,
            pixel_scale_arcsec=arguments.pixel_scale_arcsec,
            reject_below=arguments.reject_below,
            workers=arguments.workers,
            scheduler=arguments.scheduler,
            progress=not arguments.quiet,
            failures=arguments.failures,
        )
    )
    if arguments.json:
        failed = [
            {"exposure": item.unit, "file": item.file, "reason": item.reason}
            for item in outcome.failed
        ]
        print_json({"exposures": [item.as_json() for item in verdicts], "failed": failed})
    elif arguments.csv:
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(["exposure", "verdict", "rejected", *CLASSES, "support", "reasons"])
        for item in verdicts:
            shares = [f"{item.probabilities[name]:.4f}" for name in CLASSES]
            rejected = "yes" if item.is_rejected else "no"
            reasons = "; ".join(item.reasons)
            row = [item.exposure, item.verdict, rejected, *shares, item.support, reasons]
            writer.writerow(row)
    else:
        for item in verdicts:
            print(f"{item.exposure}: {_headline(item)}: {item.reasons[0]}")
    if not outcome.failed:
        return DONE
    return PARTLY_FAILED if verdicts else FAILED


def _headline(item: ExposureVerdict) -> str:
    share = f"{item.probabilities[item.verdict]:.2f}"
    if item.standing == "not judged":
        return f"not judged (the network alone: {item.verdict}, {share})"
    return f"{item.verdict} ({share}{', ' if item.standing else ''}{item.standing})"
