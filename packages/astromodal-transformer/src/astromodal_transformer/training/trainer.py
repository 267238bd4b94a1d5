"""Lightning's trainer, with its errors in the words of the configuration."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import lightning

from astro_common.errors import ConfigurationError
from astromodal_transformer.configuration import Configuration
from astromodal_transformer.training.module import TrainingModule, raise_out_of_memory
from astromodal_transformer.training.order import BatchLoader
from astromodal_transformer.training.recorder import Recorder

__all__ = ["fit", "make_trainer", "quiet_lightning"]

_PRECISIONS = {"fp32": "32-true", "bf16": "bf16-mixed", "fp16": "16-mixed"}
# Modules of the errors that torch.compile raises.
_COMPILERS = ("torch._dynamo", "torch._inductor")
_LOGGERS = ("lightning", "lightning.pytorch", "lightning.fabric", "lightning_fabric")


def make_trainer(configuration: Configuration, recorder: Recorder) -> lightning.Trainer:
    """A trainer that leaves logs, validation and checkpoints to the recorder.

    Raises
    ------
    ConfigurationError
        If the machine lacks what the configuration asks for.
    """
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


def fit(
    trainer: lightning.Trainer,
    module: TrainingModule,
    loader: BatchLoader,
    configuration: Configuration,
) -> None:
    """Run all steps.

    Raises
    ------
    InputError
        If memory does not suffice.
    ConfigurationError
        If the model cannot be compiled here.
    """
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


@contextmanager
def quiet_lightning() -> Iterator[None]:
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
