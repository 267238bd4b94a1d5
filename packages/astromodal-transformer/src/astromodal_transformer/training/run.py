"""Train a model: from a configuration to checkpoints and a learning curve."""

from __future__ import annotations

import logging
import os
import shutil
import signal
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import lightning
import numpy as np
import torch
from numpy.typing import NDArray

from astro_common.atomic import atomic_path, output_error
from astro_common.configuration import as_yaml
from astro_common.errors import ConfigurationError, InputError, OutputError
from astromodal_transformer.batches import Batch, Batcher
from astromodal_transformer.checkpoints import newest_checkpoint
from astromodal_transformer.configuration import Configuration
from astromodal_transformer.figures import learning_curve, save
from astromodal_transformer.model import Transformer
from astromodal_transformer.project import Project, model_record
from astromodal_transformer.questions import question_slots
from astromodal_transformer.store import TokenStore
from astromodal_transformer.training.balance import balanced_rows
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
from astromodal_transformer.training.stopping import SIGNALS, Stopping

__all__ = ["block_weights", "train"]

logger = logging.getLogger(__name__)

_BUDGETS = {"tiny": (128, 64), "small": (256, 128), "base": (4096, 4096), "large": (4096, 4096)}
_PRECISIONS = {"fp32": "32-true", "bf16": "bf16-mixed", "fp16": "16-mixed"}
# Sources from which frequencies of codes are counted.
_COUNTED = 8192
_LARGEST_WEIGHT = 10.0
# Modules of the errors that torch.compile raises.
_COMPILERS = ("torch._dynamo", "torch._inductor")
_LOGGERS = ("lightning", "lightning.pytorch", "lightning.fabric", "lightning_fabric")


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
    counts = _code_counts(project, store, rows)
    weights = block_weights(project, counts)
    try:
        model = project.new_model()
    except RuntimeError as error:
        raise_out_of_memory(error, configuration)
        raise
    _start_from_frequencies(model, counts)
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
    with _stopping() as stopping, _quiet():
        recorder = Recorder(
            folder,
            record,
            _validation(batcher, configuration),
            loader,
            last_step,
            progress,
            stopping,
        )
        trainer = _trainer(configuration, recorder)
        if settings.compile:
            for layer in model.layers:
                layer.compile()
        if found is not None:
            restore_random(tensors)
        if first:
            _write_configuration(configuration)
        _fit(trainer, module, loader, configuration)
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


def block_weights(project: Project, counts: NDArray[np.int64]) -> torch.Tensor:
    """Weight of a query of each codebook in the loss.

    A codebook of which there are few tokens gets a larger one: the power ``loss.balance`` of the
    ratio of the most frequent to its own count per slot, ten at most, times the configured factor.

    Parameters
    ----------
    project : Project
    counts : ndarray of int64, shape (vocabulary,)
        How often each code occurs.

    Returns
    -------
    Tensor of float32, shape (codebooks + 1,)
        The last, of BOS, is 0.
    """
    settings = project.configuration.loss
    blocks = project.vocabulary.blocks
    slots = np.bincount(project.layout.block, minlength=len(blocks) + 1)[: len(blocks)]
    totals = np.array([counts[b.offset : b.offset + b.size].sum() for b in blocks])
    share = totals / np.maximum(slots, 1)
    ratio = share.max() / np.maximum(share, 1.0)
    weights = np.minimum(ratio**settings.balance, _LARGEST_WEIGHT)
    for pattern, factor in settings.weights.items():
        chosen = project.layout.slots(project.layout.matching([pattern], "loss.weights"))
        weights[np.unique(project.layout.block[chosen])] *= factor
    return torch.tensor([*weights.tolist(), 0.0], dtype=torch.float32)


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


def _code_counts(project: Project, store: TokenStore, rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """How often each code of the vocabulary occurs among some of the training sources."""
    random = np.random.default_rng(project.configuration.seed)
    some = rows if len(rows) <= _COUNTED else random.choice(rows, _COUNTED, replace=False)
    offsets = np.array([block.offset for block in project.vocabulary.blocks] + [0])
    counts = np.zeros(project.vocabulary.size, dtype=np.int64)
    for part in np.array_split(np.sort(some), -(-len(some) // 512)):
        codes = store.codes(part)
        known = codes != project.vocabulary.missing
        numbers = codes.astype(np.int64) + offsets[project.layout.block]
        counts += np.bincount(numbers[known], minlength=len(counts))
    return counts


def _start_from_frequencies(model: Transformer, counts: NDArray[np.int64]) -> None:
    """Let an untrained model answer with the frequencies of the codes."""
    with torch.no_grad():
        for block in model.vocabulary.blocks:
            own = counts[block.offset : block.offset + block.size] + 0.5
            frequency = torch.from_numpy(np.log(own / own.mean())).float()
            model.output_bias[block.offset : block.offset + block.size] = frequency


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


def _trainer(configuration: Configuration, recorder: Recorder) -> lightning.Trainer:
    settings = configuration.training
    logger_: Any = False
    if settings.tensorboard:
        from lightning.pytorch.loggers import TensorBoardLogger

        logger_ = TensorBoardLogger(configuration.output, name="tensorboard", version="")
    try:
        return lightning.Trainer(
            accelerator=settings.accelerator,
            devices=settings.devices,
            strategy=settings.strategy,
            precision=_PRECISIONS[settings.precision],  # type: ignore[arg-type]
            max_epochs=1,
            min_epochs=0,
            max_steps=-1,
            accumulate_grad_batches=settings.accumulate,
            gradient_clip_val=settings.clip or None,
            callbacks=[recorder],
            logger=logger_,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            use_distributed_sampler=False,
            limit_val_batches=0,
            num_sanity_val_steps=0,
        )
    except (
        ValueError,
        RuntimeError,
        ImportError,
        lightning.fabric.utilities.exceptions.MisconfigurationException,
    ) as error:
        raise ConfigurationError(
            "training.accelerator, devices, strategy or precision",
            str(error),
            "what this machine has",
        ) from error


def _fit(
    trainer: lightning.Trainer,
    module: TrainingModule,
    loader: BatchLoader,
    configuration: Configuration,
) -> None:
    try:
        trainer.fit(module, train_dataloaders=loader)
    except RuntimeError as error:
        raise_out_of_memory(error, configuration)
        if configuration.training.compile and type(error).__module__.startswith(_COMPILERS):
            first = next((line for line in str(error).splitlines() if line.strip()), "no message")
            raise ConfigurationError(
                "training.compile",
                f"true, and PyTorch cannot compile the model here ({first[:200]})",
                "a C++ compiler with the headers of Python, or Triton on a GPU",
                "set it to false, or install them",
            ) from error
        raise


def _write_configuration(configuration: Configuration) -> None:
    with atomic_path(configuration.output / "config.yaml", overwrite=True) as partial:
        partial.write_text(as_yaml(configuration), encoding="utf-8")


@contextmanager
def _stopping() -> Iterator[Stopping]:
    """Turn signals into a wish to stop after the step; afterwards they are what they were."""
    before = {number: signal.getsignal(number) for number in SIGNALS}
    stopping = Stopping()
    stopping.listen()
    try:
        yield stopping
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep what Lightning says about itself off the terminal; its errors remain."""
    levels = {name: logging.getLogger(name).level for name in _LOGGERS}
    for name in _LOGGERS:
        logging.getLogger(name).setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module=r"lightning(_fabric)?\b.*")
            yield
    finally:
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)
