"""A trained map in a folder: ``som.safetensors`` and ``som.json``."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError
from safetensors.numpy import load_file, save

from astro_common.atomic import atomic_path
from astro_common.errors import InputError, OutputError
from cfht_iqa.features import Scaling
from cfht_iqa.som.map import SelfOrganizingMap

__all__ = ["MAP_NAMES", "TrainedMap", "load_map", "save_map"]

SCHEMA_VERSION: Final = "1.0"
MAP_NAMES: Final = ("som.safetensors", "som.json")


@dataclass(frozen=True, eq=False)
class TrainedMap:
    """A map, what it was trained on, and its groups of nodes.

    Attributes
    ----------
    som : SelfOrganizingMap
        The map.
    scaling : Scaling
        Features and their scale.
    node_cluster : ndarray of int32, shape (height, width)
        Group of each node, from 0 on.
    record : dict
        Errors, hits and how the map was trained.
    """

    som: SelfOrganizingMap
    scaling: Scaling
    node_cluster: npt.NDArray[np.int32]
    record: Mapping[str, Any] = field(default_factory=dict)

    @property
    def n_clusters(self) -> int:
        """Number of groups (int)."""
        return int(self.node_cluster.max()) + 1

    def nodes(
        self, columns: dict[str, npt.NDArray[np.float64]], ccds: npt.NDArray[np.intp]
    ) -> npt.NDArray[np.int32]:
        """Find the node of each source.

        Parameters
        ----------
        columns : dict of str to ndarray of float64, shape (n,)
            Raw features.
        ccds : ndarray of intp, shape (n,)
            Number of the CCD of each source.

        Returns
        -------
        ndarray of int32, shape (n,)
            ``row * width + column``; -1 for a source of which a feature is missing.
        """
        data = self.scaling.apply(columns, ccds)
        whole = np.isfinite(data).all(axis=1)
        nodes = np.full(len(data), -1, np.int32)
        if whole.any():
            nodes[whole] = self.som.predict(data[whole])
        return nodes


def save_map(trained: TrainedMap, folder: Path, *, overwrite: bool = False) -> None:
    """Write a map.

    Parameters
    ----------
    trained : TrainedMap
        The map.
    folder : Path
        Made if it is not there.
    overwrite : bool, optional
        Replace files that exist.

    Raises
    ------
    OutputError
        If a file exists or cannot be written.
    """
    check_free(folder, overwrite=overwrite)
    folder.mkdir(parents=True, exist_ok=True)
    som = trained.som
    tensors = {
        "weights": np.ascontiguousarray(som.weights_),
        "node_cluster": np.ascontiguousarray(trained.node_cluster, np.int32),
    }
    description = {
        "schema_version": SCHEMA_VERSION,
        **trained.scaling.as_json(),
        "height": som.height,
        "width": som.width,
        "topology": som.topology,
        "clusters": trained.n_clusters,
        **trained.record,
    }
    with atomic_path(folder / MAP_NAMES[0], overwrite=overwrite) as partial:
        partial.write_bytes(save(tensors))
    with atomic_path(folder / MAP_NAMES[1], overwrite=overwrite) as partial:
        partial.write_text(json.dumps(description, indent=1) + "\n", encoding="utf-8")


def check_free(folder: Path, *, overwrite: bool, names: Sequence[str] = MAP_NAMES) -> None:
    """Raise `OutputError` if a file is in the folder that may not be replaced."""
    for name in names:
        if (folder / name).exists() and not overwrite:
            raise OutputError(
                folder / name, "the file exists", action="give --overwrite to replace it"
            )


def load_map(folder: Path) -> TrainedMap:
    """Read a map.

    Parameters
    ----------
    folder : Path
        Or ``som.json`` or ``som.safetensors`` in it.

    Returns
    -------
    TrainedMap

    Raises
    ------
    InputError
        If a file is missing, damaged, or the two do not agree.
    """
    folder = folder.parent if folder.name in MAP_NAMES else folder
    path, weights_path = folder / MAP_NAMES[1], folder / MAP_NAMES[0]
    try:
        description = json.loads(path.read_bytes())
        scaling = Scaling.from_json(description)
        height, width = int(description["height"]), int(description["width"])
        som = SelfOrganizingMap(height, width, topology=str(description["topology"]))
    except OSError as error:
        raise InputError(path, f"cannot be read ({error.strerror})", "a trained map") from error
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(path, f"no description of a map ({error!r})", "a trained map") from error
    try:
        tensors = load_file(weights_path)
        som.set_weights(tensors["weights"])
        clusters = np.asarray(tensors["node_cluster"], np.int32).reshape(height, width)
    except (OSError, SafetensorError, KeyError, ValueError) as error:
        raise InputError(weights_path, f"cannot be read ({error})", "weights of a map") from error
    n_clusters = int(description.get("clusters", clusters.max() + 1))
    sound = clusters.min() >= 0 and clusters.max() < n_clusters
    if som.n_features_in_ != len(scaling.features) or not sound:
        raise InputError(weights_path, "weights of other features or groups", f"those of {path}")
    known = ("schema_version", "height", "width", "topology", "clusters")
    own = {*known, *scaling.as_json()}
    record = {key: value for key, value in description.items() if key not in own}
    return TrainedMap(som, scaling, clusters, record)
