"""The package MiniSom as engine, and its weights read and written."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from astro_common.atomic import atomic_path
from astro_common.errors import ConfigurationError, InputError

if TYPE_CHECKING:
    from cfht_iqa.som.map import SelfOrganizingMap

__all__ = ["from_minisom", "read_weights", "to_minisom", "train_with_minisom", "write_weights"]


def train_with_minisom(
    som: SelfOrganizingMap, data: npt.NDArray[np.float32]
) -> npt.NDArray[np.float32]:
    """Train with MiniSom's `train_batch`; arguments and result as of the native engine.

    Raises
    ------
    ConfigurationError
        If MiniSom is not installed.
    """
    peer = _new(som, data.shape[1])
    wide = data.astype(np.float64)
    if som.initialisation == "pca" and data.shape[1] > 1:
        peer.pca_weights_init(wide)
    else:
        peer.random_weights_init(wide)
    peer.train_batch(wide, som.epochs * len(wide))
    return np.ascontiguousarray(peer.get_weights(), np.float32)


def to_minisom(som: SelfOrganizingMap) -> Any:
    """Make a `minisom.MiniSom` with the weights of a map.

    Parameters
    ----------
    som : SelfOrganizingMap
        Trained. Its rows become MiniSom's x, its columns y.

    Returns
    -------
    minisom.MiniSom

    Raises
    ------
    ConfigurationError
        If MiniSom is not installed.
    """
    peer = _new(som, som.n_features_in_)
    peer._weights = som.weights_.astype(np.float64)
    return peer


def from_minisom(peer: Any) -> SelfOrganizingMap:
    """Make a map with the weights of a `minisom.MiniSom`."""
    from cfht_iqa.som.map import SelfOrganizingMap

    weights = peer.get_weights()
    topology = "hexagonal" if getattr(peer, "topology", "") == "hexagonal" else "rectangular"
    return SelfOrganizingMap(*weights.shape[:2], topology=topology).set_weights(weights)


def read_weights(path: Path, topology: str = "rectangular") -> SelfOrganizingMap:
    """Read weights that were saved with `numpy.save`, as users of MiniSom and SOMPY do.

    Parameters
    ----------
    path : Path
        ``.npy`` with an array of shape (height, width, n_features).
    topology : str, optional
        Of the map; the file does not say.

    Returns
    -------
    SelfOrganizingMap

    Raises
    ------
    InputError
        If the file is missing, damaged, or no such array.
    """
    from cfht_iqa.som.map import SelfOrganizingMap

    try:
        weights = np.load(path, allow_pickle=False)
        height, width = weights.shape[:2]
        return SelfOrganizingMap(height, width, topology=topology).set_weights(weights)
    except OSError as error:
        raise InputError(path, f"cannot be read ({error.strerror or error})", "weights") from error
    except (ValueError, EOFError, AttributeError) as error:
        raise InputError(
            path, f"no weights of a map ({error})", "an array (height, width, n_features)"
        ) from error


def write_weights(som: SelfOrganizingMap, path: Path, *, overwrite: bool = False) -> None:
    """Write weights as `numpy.save` does; OutputError if the file exists or cannot be written."""
    with atomic_path(path, overwrite=overwrite) as partial, partial.open("wb") as file:
        np.save(file, som.weights_.astype(np.float64), allow_pickle=False)


def _new(som: SelfOrganizingMap, n_features: int) -> Any:
    try:
        from minisom import MiniSom
    except ImportError as error:
        raise ConfigurationError(
            "--engine minisom", "the package minisom is not installed", action="install it"
        ) from error
    radius = som.radius_start or min(som.height, som.width) / 2.0
    return MiniSom(
        som.height,
        som.width,
        n_features,
        # MiniSom refuses a radius that reaches over the whole map.
        sigma=max(0.5, min(radius, min(som.height, som.width) - 0.1)),
        learning_rate=0.5,
        topology=som.topology,
        random_seed=som.seed,
    )
