"""A trained model in a folder: ``model.safetensors`` and ``model.json``."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save

from astro_common.atomic import atomic_path
from astro_common.errors import ConfigurationError, InputError
from scone_io.grid import GridSpec
from scone_io.model.network import NetworkConfiguration, SconeNetwork

__all__ = ["TrainedModel", "load_model", "save_model"]

SCHEMA_VERSION = "1.0"
WEIGHTS_NAME, DESCRIPTION_NAME = "model.safetensors", "model.json"

# What a damaged description raises, or that of something else; RuntimeError is also recursion.
_NO_MODEL = (ValueError, KeyError, TypeError, RuntimeError, ConfigurationError)


@dataclass(frozen=True, eq=False)
class TrainedModel:
    """A network and the grid for which it was trained.

    Attributes
    ----------
    network : SconeNetwork
    grid : GridSpec
    record : dict
        How it was trained.
    """

    network: SconeNetwork
    grid: GridSpec
    record: dict[str, Any]


def save_model(model: TrainedModel, folder: Path, *, overwrite: bool = False) -> None:
    """Write a model.

    Parameters
    ----------
    model : TrainedModel
    folder : Path
    overwrite : bool
        Replace files that exist.

    Raises
    ------
    OutputError
        If a file exists or cannot be written.
    """
    state = {name: value.contiguous() for name, value in model.network.state_dict().items()}
    description = {
        "schema_version": SCHEMA_VERSION,
        "network": model.network.configuration.as_json(),
        "grid": model.grid.as_json(),
        "training": model.record,
    }
    with atomic_path(folder / WEIGHTS_NAME, overwrite=overwrite) as partial:
        partial.write_bytes(save(state))
    with atomic_path(folder / DESCRIPTION_NAME, overwrite=overwrite) as partial:
        partial.write_text(json.dumps(description, indent=1) + "\n", encoding="utf-8")


def load_model(folder: str | os.PathLike[str]) -> TrainedModel:
    """Read a model.

    Parameters
    ----------
    folder : path-like

    Returns
    -------
    TrainedModel
        Its network is set to predict.

    Raises
    ------
    InputError
        If a file is missing, damaged, or not of such a network.
    """
    path = Path(folder) / DESCRIPTION_NAME
    weights = Path(folder) / WEIGHTS_NAME
    try:
        description = json.loads(path.read_bytes())
        network = SconeNetwork(NetworkConfiguration(**description["network"]))
        grid = GridSpec.from_json(description["grid"], path)
        record = dict(description.get("training", {}))
        made_for = network.configuration.num_wavelength_bins, network.configuration.num_time_bins
        if grid.shape != made_for:
            raise ValueError(f"a grid of {grid.shape} bins, a network for {made_for}")
    except OSError as error:
        raise InputError(path, f"cannot be read ({error.strerror})", "a trained model") from error
    except _NO_MODEL as error:
        raise InputError(path, f"no description of a model ({error})", "a trained model") from error
    try:
        state: dict[str, torch.Tensor] = load_file(weights)
        network.load_state_dict(state)
    except (OSError, SafetensorError, RuntimeError) as error:
        raise InputError(weights, f"cannot be read ({error})", "the weights of a model") from error
    network.eval()
    return TrainedModel(network, grid, record)
