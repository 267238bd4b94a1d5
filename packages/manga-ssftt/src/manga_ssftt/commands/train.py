"""``manga-ssftt train``: train a network on patches that are cut from the HDF5 files."""

from __future__ import annotations

import argparse
import math
from pathlib import Path
from typing import Any

from astro_common.command import DONE, add_common_options, positive_int, print_json
from astro_common.errors import ConfigurationError
from manga_ssftt.commands.options import add_root, add_seed, odd_int
from manga_ssftt.layout import PATCH_NORMS

__all__ = ["add_parser"]


def add_parser(verbs: Any) -> None:
    """Add the verb to the command's parser."""
    parser: argparse.ArgumentParser = verbs.add_parser(
        "train",
        help="train a network",
        description="Train a network on the labelled spaxels of a split. The best epoch by "
        "validation is DIR/best.ckpt, and its weights are DIR/best.safetensors.",
    )
    add_root(parser)
    parser.add_argument("--split-dir", type=Path, required=True, metavar="DIR")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR")
    task = parser.add_argument_group("what")
    task.add_argument("--label-task", choices=("BPT", "logOH", "joint"), default="BPT")
    task.add_argument(
        "--head",
        choices=("classification", "ordinal", "regression"),
        help="of abundances: bins, ordered bins, or values with their errors (default)",
    )
    task.add_argument(
        "--bins", choices=("default", "extra"), default="default", help="of abundances: 6 or 8"
    )
    task.add_argument("--patch-norm", choices=PATCH_NORMS, default="spectral")
    task.add_argument("--stats", type=Path, metavar="F", help="what stats writes, for PCA")
    task.add_argument("--patch-size", type=odd_int, default=7, metavar="P", help="odd (7)")
    how = parser.add_argument_group("how")
    how.add_argument("--model", choices=("ssftt", "spectral", "simplenet"), default="ssftt")
    how.add_argument("--epochs", type=positive_int, default=50, metavar="N", help="(50)")
    how.add_argument("--max-time-s", type=float, metavar="S", help="stop after this time")
    how.add_argument("--batch-size", type=positive_int, default=128, metavar="N", help="(128)")
    how.add_argument("--lr", type=float, default=1e-3, metavar="R", help="(0.001)")
    how.add_argument("--weight-decay", type=float, default=1e-4, metavar="W", help="(0.0001)")
    how.add_argument("--dropout", type=float, default=0.1, metavar="P", help="(0.1)")
    how.add_argument("--schedule", choices=("cosine", "plateau"), default="cosine")
    how.add_argument(
        "--balance",
        choices=("none", "weights", "sampling"),
        default="none",
        help="what is done about rare classes",
    )
    how.add_argument("--no-augment", action="store_true", help="do not turn or mirror patches")
    how.add_argument(
        "--patience",
        type=int,
        default=0,
        metavar="N",
        help="stop after this many epochs without a better validation score (0: never)",
    )
    add_seed(how)
    how.add_argument(
        "--precision",
        choices=("32-true", "bf16-mixed"),
        default="32-true",
        help="bf16 computes in half the bytes where the processor supports it",
    )
    how.add_argument("--accelerator", default="auto", metavar="NAME", help="as Lightning has it")
    how.add_argument(
        "--strategy", default="auto", metavar="NAME", help="as Lightning has it, such as ddp"
    )
    how.add_argument("--devices", type=positive_int, default=1, metavar="N")
    how.add_argument(
        "--pool-mb",
        type=positive_int,
        default=2048,
        metavar="MB",
        help="memory for spectra; galaxies beyond it are read anew each epoch (2048)",
    )
    there = parser.add_mutually_exclusive_group()
    there.add_argument("--resume", action="store_true", help="go on from DIR/last.ckpt")
    there.add_argument("--overwrite", action="store_true", help="replace a model in DIR")
    add_common_options(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Train."""
    _check(arguments)
    import numpy as np

    from manga_ssftt.galaxy_file import GalaxyFile
    from manga_ssftt.layout import Tree
    from manga_ssftt.patch_loader import PatchRecipe, find_samples
    from manga_ssftt.splits import read_split
    from manga_ssftt.targets import make_target
    from manga_ssftt.training import Training, train
    from manga_ssftt.training_statistics import read_statistics

    tree = Tree(arguments.root)
    map_task = "BPT" if arguments.label_task == "joint" else arguments.label_task
    training_samples = find_samples(tree, read_split(arguments.split_dir, "train"), map_task)
    validation_samples = find_samples(tree, read_split(arguments.split_dir, "val"), map_task)
    statistics = None
    if arguments.patch_norm == "PCA":
        statistics = read_statistics(arguments.stats)
    log_oh = np.concatenate([sample.log_oh for sample in training_samples])
    head = arguments.head or ("regression" if arguments.label_task == "logOH" else "classification")
    target = make_target(
        arguments.label_task,
        head,
        arguments.bins,
        np.concatenate([sample.label for sample in training_samples]),
        log_oh[np.isfinite(log_oh)],
    )
    with GalaxyFile(training_samples[0].path) as file:
        wave = file.read("wave")
    training = Training(
        architecture=arguments.model,
        epochs=arguments.epochs,
        batch_size=arguments.batch_size,
        max_time_s=arguments.max_time_s,
        learning_rate=arguments.lr,
        weight_decay=arguments.weight_decay,
        dropout=arguments.dropout,
        schedule=arguments.schedule,
        balance=arguments.balance,
        augment=not arguments.no_augment,
        patience=arguments.patience,
        seed=arguments.seed,
        precision=arguments.precision,
        accelerator=arguments.accelerator,
        strategy=arguments.strategy,
        devices=arguments.devices,
        pool_bytes=arguments.pool_mb << 20,
        resume=arguments.resume,
    )
    found = train(
        training_samples,
        validation_samples,
        PatchRecipe(arguments.patch_norm, arguments.patch_size, statistics),
        target,
        training,
        arguments.out,
        window=(float(wave[0]), float(wave[-1])),
        overwrite=arguments.overwrite,
    )
    if not found.pop("is_first_rank"):
        return DONE  # one process of several speaks
    if arguments.json:
        print_json({**found, "target": target.as_json()})
    else:
        print(
            f"{found['checkpoint']}: {found['n_parameters']} parameters, {found['epochs']} epochs, "
            f"{found['n_train']} training and {found['n_val']} validation spaxels"
        )
    return DONE


def _check(arguments: argparse.Namespace) -> None:
    if arguments.max_time_s is not None and not 0 < arguments.max_time_s < math.inf:
        raise ConfigurationError("--max-time-s", str(arguments.max_time_s), "a positive time")
    if not 0 < arguments.lr < 1:
        raise ConfigurationError("--lr", str(arguments.lr), "between 0 and 1")
    if not 0 <= arguments.dropout < 1:
        raise ConfigurationError("--dropout", str(arguments.dropout), "at least 0 and below 1")
    if not 0 <= arguments.weight_decay < math.inf:
        raise ConfigurationError("--weight-decay", str(arguments.weight_decay), "0 or more")
    if arguments.patience < 0:
        raise ConfigurationError("--patience", str(arguments.patience), "0 or more")
    if arguments.patch_norm == "PCA" and arguments.stats is None:
        raise ConfigurationError("--stats", "not given", "what the verb stats writes, for PCA")
    if arguments.head not in (None, "classification") and arguments.label_task != "logOH":
        raise ConfigurationError(
            "--head", f"{arguments.head} with {arguments.label_task}", "classification"
        )
