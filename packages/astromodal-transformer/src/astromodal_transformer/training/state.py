"""What training needs to continue exactly where it was: weights, optimiser, random numbers."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from astro_common.errors import InputError
from astromodal_transformer.checkpoints import read_checkpoint, read_state

__all__ = ["collect_state", "restore_model", "restore_optimizer", "restore_random"]


def collect_state(
    parameters: Mapping[str, Tensor], optimizer: Mapping[str, Any]
) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors and JSON of the state.

    Parameters
    ----------
    parameters : mapping of str to Tensor
        Weights that are being trained (the checkpoint itself holds their running average).
    optimizer : mapping
        ``state_dict`` of the optimiser.

    Returns
    -------
    dict of str to Tensor
    dict
    """
    tensors = {f"weights.{name}": _plain(value) for name, value in parameters.items()}
    for index, own in optimizer["state"].items():
        for key, value in own.items():
            tensors[f"optimizer.{index}.{key}"] = _plain(torch.as_tensor(value))
    tensors["random.cpu"] = torch.get_rng_state()
    if torch.cuda.is_available():
        for device, value in enumerate(torch.cuda.get_rng_state_all()):
            tensors[f"random.cuda.{device}"] = value
    return tensors, {"optimizer_groups": optimizer["param_groups"]}


def restore_model(
    path: Path, model: torch.nn.Module
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Put the weights of a checkpoint into a model.

    Parameters
    ----------
    path : Path
        Folder of a checkpoint that has been checked.
    model : Module

    Returns
    -------
    dict of str to Tensor
        Running average of the weights.
    dict of str to Tensor
        The state, for the other functions.

    Raises
    ------
    InputError
        If the weights are those of a model of another shape.
    """
    tensors = read_state(path)
    own = {
        name.removeprefix("weights."): value
        for name, value in tensors.items()
        if name.startswith("weights.")
    }
    found, wanted = _shapes(own), _shapes(dict(model.named_parameters()))
    if found != wanted:
        raise InputError(
            path,
            "weights of another model",
            "those of the model, data and sequences sections of the configuration",
            "restore these sections, or give --overwrite to begin anew",
        )
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.copy_(own[name])
    average = read_checkpoint(path).tensors
    return {name: average[name].clone() for name in own}, tensors


def restore_optimizer(tensors: Mapping[str, Tensor], record: Mapping[str, Any]) -> dict[str, Any]:
    """The ``state_dict`` of the optimiser."""
    state: dict[int, dict[str, Tensor]] = {}
    for name, value in tensors.items():
        kind, *rest = name.split(".", 2)
        if kind == "optimizer":
            state.setdefault(int(rest[0]), {})[rest[1]] = value
    groups = [
        {k: tuple(v) if k == "betas" else v for k, v in group.items()}
        for group in record["optimizer_groups"]
    ]
    return {"state": state, "param_groups": groups}


def restore_random(tensors: Mapping[str, Tensor]) -> None:
    """Continue the random numbers of PyTorch (dropout) where they were."""
    torch.set_rng_state(tensors["random.cpu"])
    if torch.cuda.is_available():
        for device in range(torch.cuda.device_count()):
            value = tensors.get(f"random.cuda.{device}")
            if value is not None:
                torch.cuda.set_rng_state(value, device)


def _plain(value: Tensor) -> Tensor:
    # A copy: safetensors stores no two tensors that share memory.
    return value.detach().cpu().clone().contiguous()


def _shapes(tensors: Mapping[str, Tensor]) -> dict[str, tuple[int, ...]]:
    return {name: tuple(value.shape) for name, value in tensors.items()}
