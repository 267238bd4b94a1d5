"""``manga-ssftt predict``: the map of one galaxy."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from astro_common.command import DONE, add_common_options, print_json
from astro_common.errors import OutputError

__all__ = ["add_parser"]


def add_parser(verbs: Any) -> None:
    """Add the verb to the command's parser."""
    parser: argparse.ArgumentParser = verbs.add_parser(
        "predict",
        help="predict the map of one galaxy as FITS",
        description="Predict every spaxel of a processed galaxy that has a spectrum. The FITS file "
        "has the HDUs PRED, PROB (one plane per class) and LABEL, all with coordinates.",
    )
    parser.add_argument("galaxy", type=Path, metavar="H5", help="a processed galaxy")
    parser.add_argument("--checkpoint", type=Path, required=True, metavar="FILE")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="FITS")
    parser.add_argument("--overwrite", action="store_true", help="replace a file that exists")
    add_common_options(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Predict."""
    from manga_ssftt.checkpoints import load_checkpoint
    from manga_ssftt.prediction_map import predict_map, write_prediction_map

    if arguments.output.exists() and not arguments.overwrite:
        raise OutputError(
            arguments.output, "the file exists", action="give --overwrite to replace it"
        )
    model = load_checkpoint(arguments.checkpoint)
    found = predict_map(model, arguments.galaxy)
    write_prediction_map(arguments.output, found, model, overwrite=arguments.overwrite)
    if arguments.json:
        print_json(
            {
                "output": str(arguments.output),
                "plateifu": found.plateifu,
                "task": model.target.task,
                "n_spaxels": found.n_spaxels,
            }
        )
    else:
        print(f"{arguments.output}: {model.target.task} of {found.n_spaxels} spaxels")
    return DONE
