"""A trained model in a folder: the network, its map, and how exposures are to be treated."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save

from astro_common.atomic import atomic_path
from astro_common.errors import InputError
from cfht_iqa.classes import CLASSES
from cfht_iqa.extraction.settings import ExtractionSettings
from cfht_iqa.model.domain import Domain
from cfht_iqa.model.network import IqaNetwork, NetworkConfiguration
from cfht_iqa.som.files import MAP_NAMES, TrainedMap, check_free, load_map, save_map

__all__ = ["MODEL_NAMES", "TrainedModel", "load_model", "save_model"]

SCHEMA_VERSION: Final = "1.2"
# Where weights of models of version 1.1, without bins, have gone.
_MOVED: Final = {
    "statistics_mlp.0.": "statistics_encoding.scale.0.",
    "statistics_mlp.2.": "statistics_mlp.0.",
    "statistics_mlp.4.": "statistics_mlp.2.",
}
_WEIGHTS_NAME, _DESCRIPTION_NAME = "model.safetensors", "model.json"
MODEL_NAMES: Final = (_WEIGHTS_NAME, _DESCRIPTION_NAME, *MAP_NAMES)


@dataclass(frozen=True, eq=False)
class TrainedModel:
    """Everything that a verdict on an exposure needs.

    Attributes
    ----------
    network : IqaNetwork
        Set to predict.
    trained_map : TrainedMap
        The map.
    extraction : ExtractionSettings
        How sources are found.
    pick, seed
        How representative sources are chosen.
    temperature, reject_below : float
        See `cfht_iqa.model.verdict`.
    domain : Domain
        Of what kind the exposures were that it was trained on.
    record : dict
        How it was trained.
    """

    network: IqaNetwork
    trained_map: TrainedMap
    extraction: ExtractionSettings
    pick: str
    seed: int
    temperature: float
    reject_below: float
    domain: Domain
    record: Mapping[str, Any] = field(default_factory=dict)


def save_model(model: TrainedModel, folder: Path, *, overwrite: bool = False) -> None:
    """Write a model.

    Parameters
    ----------
    model : TrainedModel
        The model.
    folder : Path
        Made if it is not there.
    overwrite : bool, optional
        Replace files that exist.

    Raises
    ------
    OutputError
        If a file exists or cannot be written.
    """
    check_free(folder, overwrite=overwrite, names=MODEL_NAMES)
    save_map(model.trained_map, folder, overwrite=overwrite)
    state = {name: value.contiguous() for name, value in model.network.state_dict().items()}
    description = {
        "schema_version": SCHEMA_VERSION,
        "classes": list(CLASSES),
        "network": model.network.configuration.as_json(),
        "extraction": model.extraction.as_json(),
        "pick": model.pick,
        "seed": model.seed,
        "temperature": model.temperature,
        "reject_below": model.reject_below,
        "domain": model.domain.as_json(),
        "training": dict(model.record),
    }
    with atomic_path(folder / _WEIGHTS_NAME, overwrite=overwrite) as partial:
        partial.write_bytes(save(state))
    with atomic_path(folder / _DESCRIPTION_NAME, overwrite=overwrite) as partial:
        partial.write_text(json.dumps(description, indent=1) + "\n", encoding="utf-8")


def load_model(folder: Path) -> TrainedModel:
    """Read a model.

    Parameters
    ----------
    folder : Path
        Where it is.

    Returns
    -------
    TrainedModel

    Raises
    ------
    InputError
        If a file is missing, damaged, or the files do not agree.
    """
    path, weights = folder / _DESCRIPTION_NAME, folder / _WEIGHTS_NAME
    try:
        description = json.loads(path.read_bytes())
        is_old = "bins" not in description["network"]
        network = IqaNetwork(NetworkConfiguration(**{"bins": 0, **description["network"]}))
        extraction = ExtractionSettings(**description["extraction"])
        if tuple(description["classes"]) != CLASSES:
            raise ValueError(f"classes {description['classes']}")
        pick, seed = str(description["pick"]), int(description["seed"])
        numbers = float(description["temperature"]), float(description["reject_below"])
        domain = Domain.from_json(description["domain"])
        record = dict(description.get("training", {}))
    except OSError as error:
        raise InputError(path, f"cannot be read ({error.strerror})", "a trained model") from error
    except (ValueError, KeyError, TypeError, RuntimeError) as error:
        raise InputError(
            path, f"no description of a model ({error!r})", "a trained model"
        ) from error
    trained_map = load_map(folder)
    try:
        state: dict[str, torch.Tensor] = load_file(weights)
        if is_old:
            state = {_moved(name): value for name, value in state.items()}
        network.load_state_dict(state)
    except (OSError, SafetensorError, RuntimeError) as error:
        raise InputError(weights, f"cannot be read ({error})", "the weights of a model") from error
    sizes = network.configuration.n_clusters, network.configuration.n_nodes
    if sizes != (trained_map.n_clusters, trained_map.som.n_nodes):
        raise InputError(path, "a network for another map", f"the map in {folder}")
    network.eval()
    return TrainedModel(network, trained_map, extraction, pick, seed, *numbers, domain, record)


def _moved(name: str) -> str:
    for old, new in _MOVED.items():
        if name.startswith(old):
            return new + name.removeprefix(old)
    return name
