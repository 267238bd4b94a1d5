"""``scone-io evaluate``: predictions against labels."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from astro_common.command import DONE, add_common_options, positive_int, print_json
from scone_io.commands.shard_options import add_files, add_on_bad

__all__ = ["add_parser"]


def add_parser(verbs: Any) -> None:
    """Add the verb to the command's parser."""
    parser: argparse.ArgumentParser = verbs.add_parser(
        "evaluate",
        help="compare predictions with labels: confusion matrix, ROC, calibration, worst events",
        description="Join a table snid,PROB_SCONE with the labels of shards (1 is SN Ia) and print "
        "confusion matrix [[TN, FP], [FN, TP]] at 0.5, accuracy, area under the ROC, calibration "
        "and the worst predictions.",
    )
    add_files(parser)
    parser.add_argument("--predictions", type=Path, required=True, metavar="CSV")
    parser.add_argument(
        "--prob-column", default="PROB_SCONE", metavar="NAME", help="column (PROB_SCONE)"
    )
    parser.add_argument(
        "--worst", type=positive_int, default=20, metavar="N", help="worst events to list (20)"
    )
    parser.add_argument(
        "-o", "--output", type=Path, metavar="PNG", help="also draw the result, PNG or PDF"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace PNG if it exists")
    add_on_bad(parser)
    add_common_options(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Evaluate."""
    from astro_common.atomic import atomic_path
    from astro_common.errors import ConfigurationError, OutputError
    from scone_io.evaluation import evaluate, read_predictions
    from scone_io.shards import open_shards

    output: Path | None = arguments.output
    if output is not None and output.suffix not in (".png", ".pdf"):
        raise ConfigurationError("-o", str(output), "a name that ends in .png or .pdf")
    if output is not None and output.exists() and not arguments.overwrite:
        raise OutputError(output, "the file exists", action="give --overwrite to replace it")
    prediction = read_predictions(arguments.predictions, arguments.prob_column)
    shards = open_shards(arguments.files, on_bad=arguments.on_bad, say_assumed=False)
    result = evaluate(shards, prediction, num_worst=arguments.worst)
    if output is not None:
        from scone_io.plots.evaluation_figure import evaluation_figure

        picture = evaluation_figure(
            result, source=arguments.predictions.name, kind=output.suffix.removeprefix(".")
        )
        with atomic_path(output, overwrite=arguments.overwrite) as partial:
            partial.write_bytes(picture)
    if arguments.json:
        print_json(result)
    else:
        _print(result)
    return DONE


def _print(result: dict[str, Any]) -> None:
    (true_negative, false_positive), (false_negative, true_positive) = result["confusion_matrix"]
    low, high = result["accuracy_interval_95"]
    area = result["roc_auc"]
    print(f"events with a prediction: {result['num_matched']}")
    print(f"accuracy: {result['accuracy']:.4f} (95 %: {low:.4f} .. {high:.4f})")
    print(f"area under the ROC: {'one class only' if area is None else f'{area:.4f}'}")
    print(f"label 1: {true_positive} found, {false_negative} missed")
    print(f"other labels: {true_negative} right, {false_positive} taken for SN Ia")
    for item in result["worst"]:
        kind = "SN Ia" if item["is_ia"] else "not SN Ia"
        print(f"  SNID {item['snid']}: {kind}, probability {item['probability']:.4f}")
