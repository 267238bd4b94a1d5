"""``cfht-iqa train``: the network of two inputs."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from astro_common.command import DONE, add_common_options, positive_int, print_json
from astro_common.errors import ConfigurationError
from cfht_iqa.commands.options import add_output, add_seed

__all__ = ["add_parser", "add_tables", "require_model_extra"]


def require_model_extra() -> None:
    """Raise a `ConfigurationError` if the extra is not installed."""
    from importlib.util import find_spec

    for name in ("torch", "lightning"):
        if find_spec(name) is None:
            raise ConfigurationError(
                "model", f"the package {name} is not installed", action="install cfht-iqa[model]"
            )


def add_tables(parser: argparse.ArgumentParser) -> None:
    """Add the tables that training and evaluation read."""
    parser.add_argument(
        "--representatives",
        type=Path,
        required=True,
        metavar="PATH",
        help="representatives.parquet, or its folder",
    )
    parser.add_argument("--labels", type=Path, required=True, metavar="F.csv")
    parser.add_argument("--splits", type=Path, required=True, metavar="F.csv")


def add_parser(verbs: Any) -> None:
    """Add the verb to the command's parser."""
    parser: argparse.ArgumentParser = verbs.add_parser(
        "train",
        help="train the network (needs cfht-iqa[model])",
        description="Train on the exposures of split train, and choose the best epoch and the "
        "calibration by those of split validation.",
    )
    add_tables(parser)
    parser.add_argument("--som", type=Path, required=True, metavar="DIR", help="folder of the map")
    add_output(parser, "DIR", "folder of the model")
    parser.add_argument("--epochs", type=positive_int, default=30, metavar="N", help="at most (30)")
    parser.add_argument("--patience", type=positive_int, default=15, metavar="N", help="(15)")
    inputs = parser.add_mutually_exclusive_group()
    inputs.add_argument("--pixels-only", action="store_true", help="image alone")
    inputs.add_argument("--hits-only", action="store_true", help="hits alone")
    parser.add_argument("--threads", type=positive_int, default=1, metavar="N", help="(1)")
    add_seed(parser, "everything")
    add_common_options(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Train."""
    require_model_extra()
    import torch

    from cfht_iqa.labels import read_labels_csv
    from cfht_iqa.model.building import build_model
    from cfht_iqa.model.training import Training
    from cfht_iqa.splits import read_splits

    torch.set_num_threads(arguments.threads)
    model = build_model(
        arguments.representatives,
        read_labels_csv(arguments.labels),
        read_splits(arguments.splits),
        arguments.som,
        arguments.output,
        Training(
            epochs=arguments.epochs,
            patience=arguments.patience,
            seed=arguments.seed,
            use_image=not arguments.hits_only,
            use_hits=not arguments.pixels_only,
            use_statistics=not (arguments.pixels_only or arguments.hits_only),
        ),
        overwrite=arguments.overwrite,
    )
    record = {key: value for key, value in model.record.items() if key != "provenance"}
    if arguments.json:
        print_json({"output": str(arguments.output), **record, "temperature": model.temperature})
    else:
        best = record["history"][record["best_epoch"] - 1]
        losses = ", ".join(f"{name.replace('_', ' ')} {value:.3f}" for name, value in best.items())
        print(
            f"{arguments.output}: {record['n_train_ccds']} CCDs, epoch {record['best_epoch']} of "
            f"{len(record['history'])} kept, {losses}"
        )
    return DONE
