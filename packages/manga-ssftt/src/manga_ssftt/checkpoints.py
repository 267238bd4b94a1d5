"""Trained networks on disk: Lightning checkpoints, read without running any code of theirs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from safetensors.torch import save_file
from torch import nn

from astro_common.atomic import atomic_path
from astro_common.errors import InputError
from astro_common.jsonable import json_text
from manga_ssftt.model import SSFTT, SimpleNet, SpectralNet
from manga_ssftt.patch_loader import PatchRecipe
from manga_ssftt.targets import Target
from manga_ssftt.training_statistics import Statistics

__all__ = [
    "ARCHITECTURES",
    "CONFIGURATION_KEY",
    "SCHEMA_VERSION",
    "TrainedModel",
    "build_network",
    "export_weights",
    "load_checkpoint",
]

SCHEMA_VERSION: Final = "1.0"
CONFIGURATION_KEY: Final = "configuration"
ARCHITECTURES: Final[dict[str, type[nn.Module]]] = {
    "ssftt": SSFTT,
    "spectral": SpectralNet,
    "simplenet": SimpleNet,
}
_STATISTICS = ("mean", "std", "components")


@dataclass(frozen=True, eq=False)
class TrainedModel:
    """A network and what its input and output mean.

    Attributes
    ----------
    network : torch.nn.Module
        Set to predict.
    target : Target
    recipe : PatchRecipe
    architecture : str
    window : (float, float)
        Rest-frame wavelength of the first and the last pixel, angstrom.
    n_wave : int
    configuration : dict
        As it was saved.
    """

    network: nn.Module
    target: Target
    recipe: PatchRecipe
    architecture: str
    window: tuple[float, float]
    n_wave: int
    configuration: dict[str, Any]


def build_network(
    architecture: str, n_bands: int, patch_size: int, n_outputs: int, dropout: float
) -> nn.Module:
    """Make a network by the name of its architecture; ValueError if it does not fit the input."""
    return ARCHITECTURES[architecture](n_bands, patch_size, n_outputs, dropout)


def load_checkpoint(path: Path) -> TrainedModel:
    """Read a checkpoint of this package.

    Parameters
    ----------
    path : Path

    Returns
    -------
    TrainedModel

    Raises
    ------
    InputError
        If the file is missing, damaged, holds anything but tensors and plain values, or is no
        checkpoint of this package.
    """
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise InputError(
            path, "no such file", "a checkpoint, as the verb train writes it"
        ) from error
    except OSError as error:
        raise InputError(path, f"cannot be read ({error})", "a checkpoint") from error
    except Exception as error:
        # PyTorch's own message may advise to run whatever code the file holds.
        raise InputError(
            path,
            f"no whole checkpoint of tensors and plain values ({type(error).__name__})",
            "one that the verb train writes",
        ) from error
    try:
        configuration = dict(content["hyper_parameters"][CONFIGURATION_KEY])
        state: Mapping[str, torch.Tensor] = content["state_dict"]
        version = str(configuration["schema_version"])
        if version.split(".")[0] != SCHEMA_VERSION.split(".")[0]:
            raise InputError(path, f"schema version {version}", f"version {SCHEMA_VERSION}")
        target = Target.from_json(configuration["target"])
        network = build_network(
            configuration["architecture"],
            int(configuration["n_bands"]),
            int(configuration["patch_size"]),
            target.n_outputs,
            float(configuration["dropout"]),
        )
        network.load_state_dict(
            {
                name.removeprefix("network."): value
                for name, value in state.items()
                if name.startswith("network.")
            }
        )
        low, high = configuration["window"]
        model = TrainedModel(
            network=network.eval(),
            target=target,
            recipe=PatchRecipe(
                str(configuration["norm"]), int(configuration["patch_size"]), _statistics(state)
            ),
            architecture=str(configuration["architecture"]),
            window=(float(low), float(high)),
            n_wave=int(configuration["n_wave"]),
            configuration=configuration,
        )
    except (KeyError, TypeError, ValueError, RuntimeError, AttributeError) as error:
        message = " ".join(str(error).split())[:300]
        raise InputError(
            path, f"no checkpoint of this package ({message})", "one that the verb train writes"
        ) from error
    if not all(bool(torch.isfinite(value).all()) for value in state.values()):
        raise InputError(
            path,
            "weights that are not finite: the training diverged",
            "finite weights",
            "train again with a lower --lr",
        )
    return model


def _statistics(state: Mapping[str, torch.Tensor]) -> Statistics | None:
    if "stats_mean" not in state:
        return None
    tensors = [state[f"stats_{name}"].numpy().astype(np.float64) for name in _STATISTICS]
    return Statistics(tensors[0], tensors[1], tensors[2], {})


def export_weights(checkpoint: Path, path: Path) -> None:
    """Write the tensors of a checkpoint as safetensors, with its configuration as metadata.

    Raises
    ------
    InputError
        As for `load_checkpoint`.
    OutputError
        If the file cannot be written.
    """
    model = load_checkpoint(checkpoint)
    tensors = {
        f"network.{name}": value.contiguous() for name, value in model.network.state_dict().items()
    }
    if model.recipe.statistics is not None:
        for name in _STATISTICS:
            values = np.ascontiguousarray(getattr(model.recipe.statistics, name))
            tensors[f"stats_{name}"] = torch.from_numpy(values)
    metadata = {CONFIGURATION_KEY: json_text(model.configuration)}
    with atomic_path(path, overwrite=True) as partial:
        save_file(tensors, partial, metadata=metadata)
