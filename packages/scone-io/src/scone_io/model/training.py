"""Train SCONE's network on labelled shards."""

from __future__ import annotations

import copy
import csv
import json
import logging
import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from astro_common.atomic import atomic_path, output_error
from astro_common.errors import InputError, OutputError
from scone_io.evaluation import Prediction, evaluate
from scone_io.model.files import DESCRIPTION_NAME, WEIGHTS_NAME, TrainedModel, save_model
from scone_io.model.network import NetworkConfiguration, SconeNetwork
from scone_io.model.prediction import probabilities
from scone_io.shards import Shards
from scone_io.torch_data import HeatmapDataset

__all__ = ["Training", "split_by_snid", "train", "write_predictions"]

logger = logging.getLogger(__name__)

Rows = npt.NDArray[np.int64]

HISTORY_NAME, HELD_OUT_NAME = "history.json", "held_out_predictions.csv"
_TRAIN_SHARE, _VALIDATION_SHARE = 0.8, 0.1


@dataclass(frozen=True)
class Training:
    """How to train; the defaults are SCONE's, but for the number of epochs (400 there).

    Attributes
    ----------
    num_epochs, batch_size : int
    learning_rate : float
    seed : int
    balanced : bool
        Train on as many events of each class as the rarest has.
    with_redshift : bool
    fold : (int, int) or None
        See `split_by_snid`.
    """

    num_epochs: int = 50
    batch_size: int = 32
    learning_rate: float = 5e-5
    seed: int = 42
    balanced: bool = True
    with_redshift: bool = False
    fold: tuple[int, int] | None = None


def split_by_snid(
    snids: npt.NDArray[np.int64], seed: int, fold: tuple[int, int] | None = None
) -> tuple[Rows, Rows, Rows]:
    """Divide events into 80 % for training, 10 % for validation and 10 % held out.

    Parameters
    ----------
    snids : ndarray of int64, shape (n,)
        Events of one supernova go the same way.
    seed : int
    fold : (int, int), optional
        Hold out the k-th of n parts instead; the others are divided 8 to 1.

    Returns
    -------
    training, validation, held_out : ndarray of int64
        Rows.
    """
    unique, inverse = np.unique(snids, return_inverse=True)
    order = np.random.default_rng(seed).permutation(len(unique))
    if fold is None:
        first = round(_TRAIN_SHARE * len(unique))
        second = round((_TRAIN_SHARE + _VALIDATION_SHARE) * len(unique))
    else:
        number, count = fold
        out = np.arange(len(order)) % count == number - 1
        order = np.concatenate([order[~out], order[out]])
        second = len(order) - int(out.sum())
        first = round(_TRAIN_SHARE / (_TRAIN_SHARE + _VALIDATION_SHARE) * second)
    part = np.empty(len(unique), dtype=np.int64)
    part[order[:first]], part[order[first:second]], part[order[second:]] = 0, 1, 2
    rows = [np.flatnonzero(part[inverse] == number) for number in range(3)]
    return rows[0], rows[1], rows[2]


def train(
    shards: Shards, training: Training, folder: Path, *, overwrite: bool = False
) -> dict[str, Any]:
    """Train a network and say how good it is on events that it has not seen.

    Parameters
    ----------
    shards : Shards
        Plain shards with labels.
    training : Training
    folder : Path
        Made if it does not exist; gets the model, its history and the predictions of the events
        that were held out.
    overwrite : bool
        Replace files that exist.

    Returns
    -------
    dict
        The evaluation of the held-out events, see `scone_io.evaluation.evaluate`.

    Raises
    ------
    InputError
        If the labels are of one class, there are too few events, or the training diverges.
    OutputError
        If a file exists or cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise output_error(folder, error) from error
    for name in (WEIGHTS_NAME, DESCRIPTION_NAME, HISTORY_NAME, HELD_OUT_NAME):
        if (folder / name).exists() and not overwrite:
            raise OutputError(
                folder / name, "the file exists", action="give --overwrite to replace it"
            )
    labels = _labels(shards)
    # Label 1 is SN Ia, the others are not; more classes need more outputs.
    num_classes = max(2, int(labels.max(initial=0)) + 1)
    source = ", ".join(map(str, shards.paths))
    if labels.min(initial=0) < 0 or len(np.unique(labels)) < 2:
        found = ", ".join(map(str, np.unique(labels)[:5].tolist())) or "none"
        raise InputError(source, f"labels {found}", "labels from 0 on, of two classes or more")
    rows, validation, held_out = split_by_snid(shards.snids, training.seed, training.fold)
    if not (len(rows) and len(validation) and len(held_out)):
        raise InputError(source, f"{len(labels)} events", "ten or more to train on")
    torch.manual_seed(training.seed)
    grid = shards.grid
    configuration = NetworkConfiguration(
        grid.num_wavelength_bins, grid.num_time_bins, num_classes, training.with_redshift
    )
    network = SconeNetwork(configuration)
    rng = np.random.default_rng(training.seed)
    if training.balanced:
        rows = _balanced(rows, labels[rows], rng)
    if num_classes > 2:
        logger.warning(
            "%s: %d classes: label 1 is taken for SN Ia; in categorical shards it is SLSN-1",
            source,
            num_classes,
        )
    history, best = _fit(network, HeatmapDataset(shards), rows, validation, training, rng)
    if not history[-1]["val_loss"] < math.inf:
        raise InputError(
            source,
            f"a validation loss of {history[-1]['val_loss']} in epoch {len(history)}",
            "a training that converges",
            "give a lower --learning-rate",
        )
    network.load_state_dict(best)
    network.eval()
    record = {
        **asdict(training),
        "num_training": len(rows),
        "num_validation": len(validation),
        "held_out_snids": np.unique(shards.snids[held_out]).tolist(),
    }
    model = TrainedModel(network, grid, record)
    scores = probabilities(model, HeatmapDataset(shards), held_out)
    prediction = Prediction(*_unique(shards.snids[held_out], scores))
    save_model(model, folder, overwrite=overwrite)
    with atomic_path(folder / HISTORY_NAME, overwrite=overwrite) as partial:
        partial.write_text(json.dumps(history, indent=1) + "\n", encoding="utf-8")
    write_predictions(prediction, folder / HELD_OUT_NAME, overwrite=overwrite)
    return evaluate(shards, prediction)


def _unique(snids: Rows, scores: npt.NDArray[np.float64]) -> tuple[Rows, Any]:
    unique, first = np.unique(snids, return_index=True)
    return unique, scores[first]


def _labels(shards: Shards) -> Rows:
    parts = [batch.label for batch in shards.batches()]
    return np.concatenate([np.empty(0, dtype=np.int64), *parts])


def _balanced(rows: Rows, labels: Rows, rng: np.random.Generator) -> Rows:
    classes, counts = np.unique(labels, return_counts=True)
    chosen = [
        rng.choice(rows[labels == label], size=counts.min(), replace=False) for label in classes
    ]
    return np.sort(np.concatenate(chosen))


def _fit(
    network: SconeNetwork,
    data: HeatmapDataset,
    rows: Rows,
    validation: Rows,
    training: Training,
    rng: np.random.Generator,
) -> tuple[list[dict[str, float]], dict[str, torch.Tensor]]:
    """Train; return the history and the weights of the epoch with the least validation loss.

    The history ends with the epoch in which that loss is not finite.
    """
    optimiser = torch.optim.Adam(network.parameters(), lr=training.learning_rate)
    history: list[dict[str, float]] = []
    best, least = copy.deepcopy(network.state_dict()), float("inf")
    for epoch in range(training.num_epochs):
        network.train()
        total = 0.0
        order = rng.permutation(rows)
        for start in range(0, len(order), training.batch_size):
            images, redshifts, labels = gathered(data, order[start : start + training.batch_size])
            optimiser.zero_grad()
            loss = _loss(network(images, redshifts), labels, network.configuration.num_classes)
            torch.autograd.backward(loss)
            optimiser.step()
            total += float(loss.detach()) * len(labels)
        value, accuracy = _validate(network, data, validation, training.batch_size)
        history.append({"loss": total / len(rows), "val_loss": value, "val_accuracy": accuracy})
        if not math.isfinite(value):
            return history, best
        if value < least:
            best, least = copy.deepcopy(network.state_dict()), value
        logger.info(
            "epoch %d of %d: loss %.4f, validation loss %.4f, accuracy %.3f",
            epoch + 1,
            training.num_epochs,
            total / len(rows),
            value,
            accuracy,
        )
    return history, best


def gathered(data: HeatmapDataset, rows: Rows) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Some events as tensors: images, redshifts, labels."""
    items = [data[int(row)] for row in rows]
    return (
        torch.stack([item[0] for item in items]),
        torch.stack([item[1] for item in items]),
        torch.tensor([item[2] for item in items]),
    )


def _loss(logits: torch.Tensor, labels: torch.Tensor, num_classes: int) -> torch.Tensor:
    if num_classes == 2:
        return nn.functional.binary_cross_entropy_with_logits(logits, labels.float())
    return nn.functional.cross_entropy(logits, labels)


def _validate(
    network: SconeNetwork, data: HeatmapDataset, rows: Rows, batch_size: int
) -> tuple[float, float]:
    network.eval()
    total, right = 0.0, 0
    num_classes = network.configuration.num_classes
    with torch.no_grad():
        for start in range(0, len(rows), batch_size):
            images, redshifts, labels = gathered(data, rows[start : start + batch_size])
            logits = network(images, redshifts)
            total += float(_loss(logits, labels, num_classes)) * len(labels)
            called = (logits > 0.0).long() if num_classes == 2 else logits.argmax(dim=1)
            right += int((called == labels).sum())
    return total / len(rows), right / len(rows)


def write_predictions(
    prediction: Prediction, path: Path, *, column: str = "PROB_SCONE", overwrite: bool = False
) -> None:
    """Write a table of predictions.

    Parameters
    ----------
    prediction : Prediction
    path : Path
    column : str
        Name of the second column; the first is ``snid``.
    overwrite : bool
        Replace a file that exists.

    Raises
    ------
    OutputError
        If the file exists or cannot be written.
    """
    with (
        atomic_path(path, overwrite=overwrite) as partial,
        partial.open("w", encoding="utf-8", newline="") as file,
    ):
        lines = csv.writer(file, lineterminator="\n")
        lines.writerow(("snid", column))
        lines.writerows(zip(prediction.snid.tolist(), prediction.probability.tolist(), strict=True))
