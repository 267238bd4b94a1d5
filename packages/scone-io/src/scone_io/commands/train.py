"""``scone-io train``: SCONE's network, on labelled shards."""

from __future__ import annotations

import argparse
from typing import Any

from astro_common.command import DONE, add_common_options, positive_int, print_json
from astro_common.errors import ConfigurationError
from scone_io.commands.shard_options import add_files, add_grid, add_output, add_seed

__all__ = ["add_parser", "require_torch"]


def add_parser(verbs: Any) -> None:
    """Add the verb to the command's parser."""
    parser: argparse.ArgumentParser = verbs.add_parser(
        "train",
        help="train SCONE's network on labelled shards (needs scone-io[model])",
        description="Train SCONE's network; 80 % of the supernovae are for training, 10 % for "
        "validation, and 10 % are held out and say how good it is.",
    )
    add_files(parser)
    add_output(parser, "DIR", "folder of the model")
    parser.add_argument("--epochs", type=positive_int, default=50, metavar="N", help="(50)")
    parser.add_argument("--batch-size", type=positive_int, default=32, metavar="N", help="(32)")
    parser.add_argument("--learning-rate", type=float, default=5e-5, metavar="X", help="(5e-5)")
    add_seed(parser, "weights, split and order", default=42)
    parser.add_argument(
        "--unbalanced", action="store_true", help="use all events of the commoner classes"
    )
    parser.add_argument("--with-redshift", action="store_true", help="also use z and z_err")
    parser.add_argument(
        "--fold",
        type=_fold,
        metavar="K/N",
        help="hold out the K-th of N parts in place of a tenth, to cross-validate small samples",
    )
    add_grid(parser)
    add_common_options(parser)
    parser.set_defaults(run=run)


def _fold(text: str) -> tuple[int, int]:
    number, slash, count = text.partition("/")
    if not (slash and number.isdecimal() and count.isdecimal()):
        raise argparse.ArgumentTypeError(f"{text!r}; expected K/N, as in 1/10")
    fold = int(number), int(count)
    if not (1 <= fold[0] <= fold[1] and fold[1] >= 2):
        raise argparse.ArgumentTypeError(f"{text!r}; expected K from 1 to N, N from 2 on")
    return fold


def require_torch() -> None:
    """Raise a `ConfigurationError` if the extra is not installed."""
    from importlib.util import find_spec

    for name in ("torch", "safetensors"):
        if find_spec(name) is None:
            raise ConfigurationError(
                "the network",
                f"the package {name} is not installed",
                action="install scone-io[model]",
            )


def run(arguments: argparse.Namespace) -> int:
    """Train."""
    require_torch()
    from scone_io.model.training import Training, train
    from scone_io.shards import open_shards

    if not 0.0 < arguments.learning_rate < 1.0:
        raise ConfigurationError(
            "--learning-rate", str(arguments.learning_rate), "above 0, below 1"
        )
    training = Training(
        num_epochs=arguments.epochs,
        batch_size=arguments.batch_size,
        learning_rate=arguments.learning_rate,
        seed=arguments.seed,
        balanced=not arguments.unbalanced,
        with_redshift=arguments.with_redshift,
        fold=arguments.fold,
    )
    shards = open_shards(arguments.files, grid=arguments.grid)
    result = train(shards, training, arguments.output, overwrite=arguments.overwrite)
    if arguments.json:
        print_json({"output": str(arguments.output), "held_out": result})
    else:
        low, high = result["accuracy_interval_95"]
        area = result["roc_auc"]
        print(
            f"{arguments.output}: accuracy {result['accuracy']:.3f} "
            f"(95 %: {low:.3f} .. {high:.3f}),"
            f" area {'-' if area is None else f'{area:.4f}'}, of {result['num_matched']} events "
            "held out"
        )
    return DONE
