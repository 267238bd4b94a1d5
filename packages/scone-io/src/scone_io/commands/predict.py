"""``scone-io predict``: probabilities of a trained network."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from astro_common.command import DONE, add_common_options, print_json
from scone_io.commands.shard_options import add_files, add_grid, add_on_bad, add_output
from scone_io.commands.train import require_torch

__all__ = ["add_parser"]


def add_parser(verbs: Any) -> None:
    """Add the verb to the command's parser."""
    parser: argparse.ArgumentParser = verbs.add_parser(
        "predict",
        help="probabilities that events are SN Ia, by a trained network (needs scone-io[model])",
        description="Write a table snid,PROB_SCONE of all events of shards.",
    )
    add_files(parser)
    parser.add_argument("--model", type=Path, required=True, metavar="DIR", help="made by train")
    add_output(parser, "CSV", "the table")
    parser.add_argument(
        "--prob-column", default="PROB_SCONE", metavar="NAME", help="column (PROB_SCONE)"
    )
    add_grid(parser)
    add_on_bad(parser)
    add_common_options(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Predict."""
    require_torch()
    from scone_io.model.files import load_model
    from scone_io.model.prediction import predict
    from scone_io.model.training import write_predictions
    from scone_io.shards import open_shards

    model = load_model(arguments.model)
    shards = open_shards(arguments.files, grid=arguments.grid, on_bad=arguments.on_bad)
    prediction = predict(model, shards)
    write_predictions(
        prediction,
        arguments.output,
        column=arguments.prob_column,
        overwrite=arguments.overwrite,
    )
    if arguments.json:
        print_json({"output": str(arguments.output), "events": len(prediction.snid)})
    else:
        print(f"{arguments.output}: {len(prediction.snid)} events")
    return DONE
