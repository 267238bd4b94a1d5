"""From a catalogue of sources to a map in a folder."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from astro_common.errors import ConfigurationError, InputError
from astro_common.parquet import read_metadata
from astro_common.provenance import provenance
from cfht_iqa.features import DEFAULT_FEATURES, check_features, fit_scaling, read_features
from cfht_iqa.som.clustering import cluster_nodes
from cfht_iqa.som.files import TrainedMap, check_free, save_map
from cfht_iqa.som.map import SelfOrganizingMap
from cfht_iqa.som.search import Search
from cfht_iqa.som.topology import are_neighbours

__all__ = ["MapTraining", "train_map"]

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class MapTraining:
    """How a map is trained.

    Attributes
    ----------
    features : sequence of str
        Columns of the catalogue.
    scale : str
        ``none`` or ``default``; see `cfht_iqa.features`.
    clusters : int
        Groups of nodes.
    height, width, topology, initialisation, epochs, seed, threads, engine
        See `SelfOrganizingMap`.
    """

    features: Sequence[str] = DEFAULT_FEATURES
    scale: str = "default"
    clusters: int = 20
    height: int = 15
    width: int = 15
    topology: str = "rectangular"
    initialisation: str = "pca"
    epochs: int = 20
    seed: int = 42
    threads: int = 1
    engine: str = "native"


def train_map(
    catalogue: Path, output: Path, training: MapTraining, *, overwrite: bool = False
) -> dict[str, Any]:
    """Train a map on the sources of a catalogue.

    Parameters
    ----------
    catalogue : Path
        Made by `build_catalogue`.
    output : Path
        Folder of the map.
    training : MapTraining
        Features, size and the like.
    overwrite : bool, optional
        Replace a map.

    Returns
    -------
    dict
        ``quantisation_error`` (mean Euclidean distance in scaled features), ``topographic_error``,
        ``hits`` (sources by node, row by row), ``n_samples``, ``n_presented``, ``n_incomplete``.

    Raises
    ------
    ConfigurationError
        If a feature is not known, or there are more groups than nodes.
    InputError
        If the catalogue is damaged, or no source has all features.
    OutputError
        If a map exists or cannot be written.
    """
    features = check_features(training.features)
    check_free(output, overwrite=overwrite)
    if training.clusters > training.height * training.width:
        raise ConfigurationError(
            "--clusters",
            str(training.clusters),
            f"at most the {training.height * training.width} nodes of the map",
        )
    columns, ccds = read_features(catalogue, features)
    scaling = fit_scaling(features, training.scale, columns, ccds)
    data = scaling.apply(columns, ccds)
    whole = np.asarray(np.isfinite(data).all(axis=1))
    n_incomplete = int(len(whole) - whole.sum())
    if n_incomplete:
        logger.warning("%d sources lack a feature and are left out", n_incomplete)
        data = np.ascontiguousarray(data[whole])
    if not len(data):
        raise InputError(catalogue, "no source with all features", f"{', '.join(features)}")
    del columns, ccds
    som = SelfOrganizingMap(
        training.height,
        training.width,
        topology=training.topology,
        initialisation=training.initialisation,
        epochs=training.epochs,
        seed=training.seed,
        threads=training.threads,
        engine=training.engine,
    ).fit(data)
    found = Search(training.threads).two_nearest(data, som.weights_.reshape(som.n_nodes, -1))
    touching = are_neighbours(som.height, som.width, som.topology)
    record = {
        "quantisation_error": float(found.distance.mean()),
        "topographic_error": float(1.0 - touching[found.first, found.second].mean()),
        "hits": np.bincount(found.first, minlength=som.n_nodes).tolist(),
        "n_samples": len(data),
        "n_presented": som.n_presented_,
        "n_incomplete": n_incomplete,
    }
    settings = {
        "engine": training.engine,
        "epochs": training.epochs,
        "seed": training.seed,
        "initialisation": training.initialisation,
    }
    description = {
        **record,
        "training": settings,
        "synthetic": bool(read_metadata(catalogue).get("synthetic")),
        "provenance": provenance("cfht-iqa", settings, [catalogue]),
    }
    clusters = cluster_nodes(som.weights_, training.clusters)
    save_map(TrainedMap(som, scaling, clusters, description), output, overwrite=overwrite)
    return record
