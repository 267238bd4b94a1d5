"""Train a model: from a configuration to checkpoints and a learning curve."""

from __future__ import annotations

import logging
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import torch

from astro_common.atomic import atomic_path, output_error
from astro_common.configuration import as_yaml
from astro_common.errors import ConfigurationError, InputError, OutputError
from astromodal_transformer.batches import Batch, Batcher
from astromodal_transformer.checkpoints import newest_checkpoint
from astromodal_transformer.configuration import Configuration
from astromodal_transformer.figures import learning_curve, save
from astromodal_transformer.project import Project, model_record
from astromodal_transformer.questions import question_slots
from astromodal_transformer.store import TokenStore
from astromodal_transformer.training.balance import balanced_rows
from astromodal_transformer.training.frequencies import (
    block_weights,
    code_counts,
    start_from_frequencies,
)
from astromodal_transformer.training.metrics import METRICS_FILE, PROGRESS_FILE, read_metrics
from astromodal_transformer.training.module import TrainingModule, raise_out_of_memory
from astromodal_transformer.training.order import BatchLoader, Order
from astromodal_transformer.training.recorder import Recorder
from astromodal_transformer.training.schedule import make_schedule
from astromodal_transformer.training.state import (
    restore_model,
    restore_optimizer,
    restore_random,
)
from astromodal_transformer.training.stopping import listening
from astromodal_transformer.training.trainer import fit, make_trainer, quiet_lightning

__all__ = ["train"]

logger = logging.getLogger(__name__)

_BUDGETS = {"tiny": (128, 64), "small": (256, 128), "base": (4096, 4096), "large": (4096, 4096)}


def train(
    configuration: Configuration, *, resume: bool = False, overwrite: bool = False
) -> dict[str, Any]:
    """Train the model of a configuration.

    Parameters
    ----------
    configuration : Configuration
    resume : bool
        Continue from the newest whole checkpoint of the run, if there is one.
    overwrite : bool
        Begin anew in a folder that holds a run.

    Returns
    -------
    dict
        ``output``, ``steps``, ``train_loss``, ``validation_loss``, ``best_validation_loss``,
        ``parameters``, ``sources``, ``elapsed_seconds``.

    Raises
    ------
    AstroError
        If tokens are missing or damaged, the folder holds a run, the loss becomes NaN, or memory
        does not suffice.
    KeyboardInterrupt
        After a signal to stop; the state has been saved.
    """
    settings = configuration.training
    if settings.threads is not None:
        torch.set_num_threads(settings.threads)
    folder = configuration.output
    first = int(os.environ.get("LOCAL_RANK", "0")) == 0
    _prepare(folder, resume, overwrite, first)
    project = Project.open(configuration)
    store = project.store(settings.fields)
    rows = store.rows("train")
    if not len(rows):
        raise InputError(
            configuration.tokens, "no source in the training part of the sky", "at least one"
        )
    counts = code_counts(project, store, rows)
    weights = block_weights(project, counts)
    try:
        model = project.new_model()
    except RuntimeError as error:
        raise_out_of_memory(error, configuration)
        raise
    start_from_frequencies(model, counts)
    model.gradient_checkpointing = settings.gradient_checkpointing
    order = Order(
        balanced_rows(store, rows, configuration.data.balance),
        settings.batch_size,
        configuration.data.block_rows,
        configuration.seed,
    )
    schedule = make_schedule(configuration, -(-order.batches_per_pass // settings.accumulate))
    module = TrainingModule(model, configuration, weights, schedule)
    progress: dict[str, Any] = {}
    found = newest_checkpoint(folder / "checkpoints") if resume else None
    if found is not None:
        path, progress = found
        module.average, tensors = restore_model(path, model)
        if not settings.ema:
            module.average = {}
        module.resumed_optimizer = restore_optimizer(tensors, progress)
        module.first_step = int(progress["step"])
        module.elapsed_before = float(progress["elapsed_seconds"])
        logger.info("continuing from step %d (%s)", module.first_step, path)
    elif resume:
        logger.info("no checkpoint in %s: beginning at the first step", folder)
    last_step = settings.max_steps or settings.schedule_steps
    if last_step is None and settings.max_minutes is None:
        last_step = schedule.steps
    result: dict[str, Any] = {
        "output": str(folder),
        "parameters": model.num_parameters,
        "sources": len(rows),
    }
    if last_step is not None and module.first_step >= last_step:
        logger.info("nothing to do: %d steps are done", module.first_step)
        return _finished(result, progress)
    rank, world = _ranks(configuration)
    batcher = _batcher(store, configuration, weights)
    loader = BatchLoader(
        batcher,
        order,
        module.first_step * settings.accumulate,
        workers=settings.workers,
        rank=rank,
        world=world,
    )
    record = model_record(project, store.synthetic)
    with listening() as stopping, quiet_lightning():
        recorder = Recorder(
            folder,
            record,
            _validation(batcher, configuration),
            loader,
            last_step,
            progress,
            stopping,
        )
        trainer = make_trainer(configuration, recorder)
        if settings.compile:
            for layer in model.layers:
                layer.compile()
        if found is not None:
            restore_random(tensors)
        if first:
            _write_configuration(configuration)
        fit(trainer, module, loader, configuration)
        if stopping.wanted:
            if first:
                logger.info("stopped at step %d; continue with --resume", recorder.step)
            raise KeyboardInterrupt
    progress = {
        "step": recorder.step,
        "train_loss": recorder.train_loss,
        "validation_loss": recorder.validation_loss,
        "best_validation_loss": recorder.best,
        "elapsed_seconds": module.elapsed,
    }
    if first:
        curve = learning_curve(read_metrics(folder / METRICS_FILE), store.synthetic)
        save(curve, folder / "learning_curve.png")
    return _finished(result, progress)


def _finished(result: dict[str, Any], progress: dict[str, Any]) -> dict[str, Any]:
    keys = ("train_loss", "validation_loss", "best_validation_loss", "elapsed_seconds")
    return {**result, "steps": progress["step"], **{key: progress.get(key) for key in keys}}


def _prepare(folder: Path, resume: bool, overwrite: bool, first: bool) -> None:
    if not first:
        return
    checkpoints = folder / "checkpoints"
    try:
        if checkpoints.exists() and not resume:
            if not overwrite:
                raise OutputError(
                    folder,
                    "the folder holds a run",
                    action="give --resume to continue it or --overwrite to begin anew",
                )
            shutil.rmtree(checkpoints)
        if not resume:
            for name in (METRICS_FILE, PROGRESS_FILE):
                (folder / name).unlink(missing_ok=True)
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise output_error(folder, error) from error


def _batcher(store: TokenStore, configuration: Configuration, weights: torch.Tensor) -> Batcher:
    sequences = configuration.sequences
    visible, queries = _BUDGETS[configuration.model.preset]
    return Batcher(
        store,
        configuration,
        sequences.visible_tokens or visible,
        sequences.query_tokens or queries,
        # What weighs more in the loss is also asked for more often.
        weights.double().numpy()[store.layout.block],
        question_slots(configuration, store.layout) if configuration.masking.questions else None,
    )


def _validation(batcher: Batcher, configuration: Configuration) -> list[Batch]:
    """Held-out sources with what is hidden of them, the same at every validation."""
    rows = batcher.store.rows("validation")
    most = configuration.training.validation_sources
    if len(rows) > most:
        rows = np.sort(np.random.default_rng(configuration.seed).permutation(rows)[:most])
    if not len(rows):
        if most:
            logger.warning("no source in the validation part of the sky: no validation loss")
        return []
    turn = 2**31
    drawn = batcher.drawn(rows, turn)
    order = np.argsort(drawn.visible.lengths, kind="stable")
    parts = np.array_split(order, -(-len(rows) // configuration.training.batch_size))
    return [batcher.assembled(drawn, part) for part in parts]


def _ranks(configuration: Configuration) -> tuple[int, int]:
    """Which of how many processes this is, before Lightning has started the others."""
    devices = configuration.training.devices
    world = int(os.environ.get("WORLD_SIZE", "0"))
    if not world:
        world = int(devices) if str(devices).isdigit() else 1
        if str(devices) in ("auto", "-1"):
            world = max(1, torch.cuda.device_count())
    rank = int(os.environ.get("RANK", os.environ.get("LOCAL_RANK", "0")))
    size = configuration.training.batch_size
    if size % world:
        raise ConfigurationError(
            "training.batch_size", f"{size} with {world} processes", "a multiple of their number"
        )
    return rank, world


def _write_configuration(configuration: Configuration) -> None:
    with atomic_path(configuration.output / "config.yaml", overwrite=True) as partial:
        partial.write_text(as_yaml(configuration), encoding="utf-8")
