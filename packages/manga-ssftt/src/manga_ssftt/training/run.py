"""A whole training run: checkpoints, resuming, early stopping."""

from __future__ import annotations

import json
import logging
import warnings
from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import lightning
import numpy as np
import torch
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.callbacks import EarlyStopping, ModelCheckpoint, Timer

from astro_common.atomic import atomic_path
from astro_common.errors import ConfigurationError, InputError, OutputError
from astro_common.jsonable import json_text, jsonable
from manga_ssftt.checkpoints import SCHEMA_VERSION, export_weights, load_checkpoint
from manga_ssftt.model.ssftt import SpectralStem
from manga_ssftt.normalize import output_bands
from manga_ssftt.patch_loader import PatchLoader, PatchRecipe, Sample
from manga_ssftt.targets import Target
from manga_ssftt.training.data import PatchData
from manga_ssftt.training.module import PatchModule
from manga_ssftt.training.recipe import Training

__all__ = ["BEST_NAME", "HISTORY_NAME", "LAST_NAME", "train"]

BEST_NAME: Final = "best.ckpt"
LAST_NAME: Final = "last.ckpt"
WEIGHTS_NAME: Final = "best.safetensors"
HISTORY_NAME: Final = "history.json"
# From which a stem's principal components are found.
_MAX_STEM_SPECTRA: Final = 8192


def train(
    training_samples: Sequence[Sample],
    validation_samples: Sequence[Sample],
    recipe: PatchRecipe,
    target: Target,
    training: Training,
    folder: Path,
    *,
    window: tuple[float, float],
    overwrite: bool = False,
) -> dict[str, Any]:
    """Train a network.

    Parameters
    ----------
    training_samples, validation_samples : sequence of Sample
    recipe : PatchRecipe
    target : Target
    training : Training
    folder : Path
        Where ``best.ckpt``, ``last.ckpt``, ``best.safetensors`` and ``history.json`` go.
    window : (float, float)
        Rest-frame wavelength of the first and the last pixel, angstrom.
    overwrite : bool, optional
        Replace a model that is there.

    Returns
    -------
    dict
        ``is_first_rank``, ``checkpoint``, ``epochs``, ``best_score``, ``n_parameters``,
        ``n_train`` and ``n_val``.

    Raises
    ------
    ConfigurationError
        If the network does not suit the input, or Lightning does not find the hardware.
    InputError
        If ``last.ckpt`` is damaged, or of a network or data other than those of this run, or the
        training diverged.
    OutputError
        If a model is there, and neither replaced nor resumed, or a file cannot be written.
    KeyboardInterrupt
        On Ctrl-C; ``last.ckpt`` is that of the last whole epoch.
    """
    best, last = folder / BEST_NAME, folder / LAST_NAME
    if best.exists() and not (overwrite or training.resume):
        raise OutputError(
            best, "the file exists", action="give --overwrite to replace it, or --resume to go on"
        )
    lightning.seed_everything(training.seed, verbose=False)
    n_wave = training_samples[0].shape[2]
    configuration: dict[str, Any] = {
        "schema_version": SCHEMA_VERSION,
        "architecture": training.architecture,
        "n_bands": output_bands(recipe.norm, n_wave, recipe.statistics),
        "patch_size": recipe.patch_size,
        "dropout": training.dropout,
        "norm": recipe.norm,
        "target": target.as_json(),
        "window": [float(value) for value in window],
        "n_wave": n_wave,
        "training_plateifus": sorted(sample.plateifu for sample in training_samples),
        "seed": training.seed,
        "synthetic": any(sample.synthetic for sample in training_samples),
    }
    resume_from = last if training.resume and last.exists() else None
    if resume_from is not None:
        _require_same(resume_from, configuration)
    weights = _class_weights(training_samples, target) if training.balance == "weights" else None
    try:
        module = PatchModule(configuration, training, recipe.statistics, weights)
    except ValueError as error:
        raise ConfigurationError("--model", f"{training.architecture}: {error}") from error
    stem = getattr(module.network, "stem", None)
    if isinstance(stem, SpectralStem):
        stem.initialise(_centre_spectra(training_samples, recipe, target, training))
    data = PatchData(training_samples, validation_samples, recipe, target, training)
    checkpoint = ModelCheckpoint(
        dirpath=folder,
        filename=Path(BEST_NAME).stem,
        monitor="val_score",
        mode="max",
        save_top_k=1,
        save_last=True,
        enable_version_counter=False,
    )
    callbacks: list[Any] = [checkpoint]
    if training.max_time_s is not None:
        callbacks.append(Timer(timedelta(seconds=training.max_time_s), verbose=False))
    if training.patience:
        callbacks.append(EarlyStopping("val_score", mode="max", patience=training.patience))
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        # Advice about workers, loggers and folders that does not apply here.
        warnings.filterwarnings("ignore", module="lightning")
        warnings.filterwarnings("ignore", message=".*LeafSpec.*")
        trainer = _trainer(training, callbacks)
        folder.mkdir(parents=True, exist_ok=True)
        if not training.resume:
            for name in (BEST_NAME, LAST_NAME, WEIGHTS_NAME, HISTORY_NAME):
                (folder / name).unlink(missing_ok=True)
        try:
            trainer.fit(
                module,
                datamodule=data,
                ckpt_path=None if resume_from is None else str(resume_from),
                weights_only=True,
            )
        except SystemExit as exit_:
            # Lightning leaves with status 1 on Ctrl-C.
            if trainer.interrupted:
                raise KeyboardInterrupt from exit_
            raise
        if not best.exists():  # the time was over before the first validation
            trainer.save_checkpoint(best)
    if trainer.is_global_zero:
        export_weights(best, folder / WEIGHTS_NAME)
        with atomic_path(folder / HISTORY_NAME, overwrite=True) as partial:
            text = json.dumps(jsonable(module.history), indent=1, allow_nan=False)
            partial.write_text(text + "\n", encoding="utf-8")
    score = checkpoint.best_model_score
    return {
        "is_first_rank": trainer.is_global_zero,
        "checkpoint": str(best),
        "epochs": trainer.current_epoch,
        "best_score": None if score is None else float(score),
        "n_parameters": sum(p.numel() for p in module.network.parameters()),
        "n_train": sum(map(len, training_samples)),
        "n_val": sum(map(len, validation_samples)),
    }


def _require_same(last: Path, configuration: Mapping[str, Any]) -> None:
    """A run goes on only with the network and the galaxies that it began with."""
    found = load_checkpoint(last).configuration
    for key, wanted in configuration.items():
        if json_text(found.get(key)) != json_text(wanted):
            raise InputError(
                last,
                f"a run that differs in {key}",
                "that of the same command",
                "give its options again, or --overwrite to start anew",
            )


def _trainer(training: Training, callbacks: list[Any]) -> lightning.Trainer:
    try:
        return lightning.Trainer(
            max_epochs=training.epochs,
            accelerator=training.accelerator,
            strategy=training.strategy,
            devices=training.devices,
            precision=training.precision,  # type: ignore[arg-type]
            logger=False,
            callbacks=callbacks,
            enable_progress_bar=False,
            enable_model_summary=False,
            num_sanity_val_steps=0,
            use_distributed_sampler=False,
        )
    except (MisconfigurationException, ValueError, RuntimeError) as error:
        hardware = f"{training.accelerator}, {training.strategy}, {training.devices} devices"
        reason = " ".join(str(error).split())
        raise ConfigurationError(
            "--accelerator, --strategy, --devices", f"{hardware} ({reason})", "what Lightning finds"
        ) from error


def _centre_spectra(
    samples: Sequence[Sample], recipe: PatchRecipe, target: Target, training: Training
) -> torch.Tensor:
    """Spectra of labelled training spaxels, up to some thousand."""
    # A loader of its own: the spectra that it keeps go with it, before the training reads them.
    loader = PatchLoader(
        samples,
        recipe,
        target,
        training.batch_size,
        shuffle=True,
        seed=training.seed,
        pool_bytes=training.pool_bytes,
    )
    found: list[torch.Tensor] = []
    count, middle = 0, recipe.patch_size // 2
    for patches, _, _ in loader:
        found.append(patches[:, 0, :, middle, middle].clone())
        count += len(patches)
        if count >= _MAX_STEM_SPECTRA:
            break
    return torch.cat(found)


def _class_weights(samples: Sequence[Sample], target: Target) -> list[float]:
    """Inverse frequency of each class, 1 on average over the spaxels; 0 for one that is absent."""
    index = np.concatenate([target.indices(sample.label) for sample in samples])
    counts = np.bincount(index[index >= 0], minlength=len(target.class_ids))
    present = counts > 0
    weights = np.divide(counts.sum(), counts, out=np.zeros(len(counts)), where=present)
    return [float(value) for value in weights / present.sum()]
