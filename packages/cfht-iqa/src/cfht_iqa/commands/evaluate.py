"""``cfht-iqa evaluate``: how good a model is."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from astro_common.command import DONE, add_common_options, positive_int, print_json
from cfht_iqa.commands.train import add_tables, require_model_extra

__all__ = ["add_parser"]


def add_parser(verbs: Any) -> None:
    """Add the verb to the command's parser."""
    parser: argparse.ArgumentParser = verbs.add_parser(
        "evaluate",
        help="score a model on the exposures of a split (needs cfht-iqa[model])",
        description="Score verdicts on exposures: confusion, accuracy with its interval, precision "
        "and recall, calibration, and what rejecting uncertain exposures gives.",
    )
    parser.add_argument("--model", type=Path, required=True, metavar="DIR")
    add_tables(parser)
    parser.add_argument(
        "--split", choices=("train", "validation", "test"), default="test", help="(test)"
    )
    parser.add_argument(
        "--baselines", action="store_true", help="also train and score the baselines"
    )
    parser.add_argument(
        "--cross-validate",
        type=positive_int,
        metavar="K",
        help="also train K networks, each judged on exposures that it has not seen",
    )
    parser.add_argument("--threads", type=positive_int, default=1, metavar="N", help="(1)")
    add_common_options(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Evaluate."""
    require_model_extra()
    import torch

    from cfht_iqa.labels import read_labels_csv
    from cfht_iqa.model.building import checked_inputs
    from cfht_iqa.model.evaluation import evaluate_model
    from cfht_iqa.model.files import load_model
    from cfht_iqa.splits import read_splits

    torch.set_num_threads(arguments.threads)
    model = load_model(arguments.model)
    labels = read_labels_csv(arguments.labels)
    splits = read_splits(arguments.splits)
    inputs, _ = checked_inputs(arguments.representatives, model.trained_map)
    scores = evaluate_model(model, inputs, labels, splits, arguments.split)
    result: dict[str, Any] = {"split": arguments.split, **scores.as_json()}
    if arguments.baselines:
        from cfht_iqa.model.baselines import score_baselines
        from cfht_iqa.model.comparison import compare

        baselines = score_baselines(
            arguments.representatives, inputs, labels, splits, arguments.split, model
        )
        result["baselines"] = {
            name: {**own.as_json(), "network_against_it": compare(scores, own)}
            for name, own in baselines.items()
        }
    if arguments.cross_validate:
        from cfht_iqa.model.cross_validation import cross_validate

        result["cross_validation"] = cross_validate(inputs, labels, arguments.cross_validate, model)
    if arguments.json:
        print_json(result)
    else:
        _show(result)
    return DONE


def _show(result: dict[str, Any]) -> None:
    low, high = result["accuracy_interval_95"]
    print(
        f"{len(result['exposures'])} exposures: accuracy {result['accuracy']:.3f} "
        f"(95 %: {low:.3f} .. {high:.3f}), balanced {result['balanced_accuracy']:.3f}"
    )
    names = result["classes"]
    print("true \\ verdict".ljust(16) + "".join(name.rjust(10) for name in names))
    for name, row in zip(names, result["confusion"], strict=True):
        print(name.ljust(16) + "".join(str(count).rjust(10) for count in row))
    for name, scored in result.get("baselines", {}).items():
        gain = scored["network_against_it"]
        low, high = gain["interval_95"]
        print(
            f"baseline {name}: accuracy {scored['accuracy']:.3f}, the network's is "
            f"{gain['difference']:+.3f} (95 %: {low:+.3f} .. {high:+.3f})"
        )
    if "cross_validation" in result:
        crossed = result["cross_validation"]
        low, high = crossed["accuracy_interval_95"]
        print(
            f"{crossed['folds']}-fold: accuracy {crossed['accuracy']:.3f} "
            f"(95 %: {low:.3f} .. {high:.3f})"
        )
