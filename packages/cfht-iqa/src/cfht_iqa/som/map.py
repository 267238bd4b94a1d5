"""A self-organising map with the interface of scikit-learn, trained in batches.

The batch rule (Kohonen 2001, Self-Organizing Maps, section 3.6) moves each node to the mean of the
sources, weighted by the neighbourhood of their nearest nodes. The sources enter through their sums
by node alone, so a pass costs one search for the nearest node.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, ClusterMixin, TransformerMixin

from cfht_iqa.som.initialisation import pca_start, random_start
from cfht_iqa.som.search import Search
from cfht_iqa.som.topology import TOPOLOGIES, are_neighbours, grid_distances

__all__ = ["SelfOrganizingMap"]

# Several updates in an epoch, each from a part of the sources, unfold the map sooner; the last
# epochs use all of them. A part holds this many sources for each node at least.
_MOST_UPDATES: Final = 8
_SOURCES_PER_NODE: Final = 50
_WHOLE_EPOCHS: Final = 0.25


class SelfOrganizingMap(BaseEstimator, ClusterMixin, TransformerMixin):  # type: ignore[misc]
    """A map of nodes on which similar sources lie side by side.

    Parameters
    ----------
    height, width : int
        Rows and columns of nodes.
    topology : str
        ``rectangular`` or ``hexagonal``.
    initialisation : str
        ``pca`` or ``random``.
    epochs : int
        Times that all sources are presented.
    radius_start : float or None
        First radius of the neighbourhood, in steps of the grid; by default half the longer side.
    radius_end : float
        Last radius.
    seed : int
        Of the random start and of the order of the sources.
    threads : int
        That work side by side; they do not change the result.
    engine : str
        ``native``, or ``minisom`` for that package's `train_batch`.

    Attributes
    ----------
    weights_ : ndarray of float32, shape (height, width, n_features)
        The nodes.
    n_presented_ : int
        Sources presented in all.
    """

    def __init__(
        self,
        height: int = 15,
        width: int = 15,
        *,
        topology: str = "rectangular",
        initialisation: str = "pca",
        epochs: int = 20,
        radius_start: float | None = None,
        radius_end: float = 0.3,
        seed: int = 42,
        threads: int = 1,
        engine: str = "native",
    ) -> None:
        self.height = height
        self.width = width
        self.topology = topology
        self.initialisation = initialisation
        self.epochs = epochs
        self.radius_start = radius_start
        self.radius_end = radius_end
        self.seed = seed
        self.threads = threads
        self.engine = engine

    @property
    def n_nodes(self) -> int:
        """Number of nodes (int)."""
        return self.height * self.width

    def fit(self, X: Any, y: Any = None) -> Self:
        """Train the map.

        Parameters
        ----------
        X : array-like, shape (n, n_features)
            Finite numbers; converted to float32.
        y : None
            Not used.

        Returns
        -------
        SelfOrganizingMap
            Itself.

        Raises
        ------
        ValueError
            If X is empty or holds NaN, or a parameter is not one of those named above.
        """
        self._check_parameters()
        data = _checked(X)
        if self.engine == "minisom":
            from cfht_iqa.som.minisom_engine import train_with_minisom

            self.weights_ = train_with_minisom(self, data)
        else:
            self.weights_ = self._train(data)
        self.n_features_in_ = data.shape[1]
        self.n_presented_ = self.epochs * len(data)
        return self

    def partial_fit(self, X: Any, y: Any = None) -> Self:
        """Move the nodes by one batch, with the last radius; the first batch trains the map.

        Earlier batches keep their weight: each node stands for the sources it has taken so far.

        Parameters
        ----------
        X, y
            As of `fit`.

        Returns
        -------
        SelfOrganizingMap
            Itself.
        """
        if not hasattr(self, "weights_"):
            self.fit(X)
            flat = self._flat()
            self._sums, self._counts = Search(self.threads).sums(_checked(X), flat)
            return self
        data = _checked(X, self.n_features_in_)
        sums, counts = Search(self.threads).sums(data, self._flat())
        self._sums = getattr(self, "_sums", np.zeros_like(sums)) + sums
        self._counts = getattr(self, "_counts", np.zeros_like(counts)) + counts
        weights = self._flat().astype(np.float64)
        weights = _update(weights, self._sums, self._counts, self._neighbourhood(self.radius_end))
        self.weights_ = self._shaped(weights)
        self.n_presented_ += len(data)
        return self

    def predict(self, X: Any) -> npt.NDArray[np.int32]:
        """Find the nearest node of each source.

        Parameters
        ----------
        X : array-like, shape (n, n_features)
            Finite numbers.

        Returns
        -------
        ndarray of int32, shape (n,)
            ``row * width + column`` of the node.
        """
        return Search(self.threads).nearest(_checked(X, self.n_features_in_), self._flat())

    def transform(self, X: Any) -> npt.NDArray[np.float32]:
        """Distances to all nodes.

        Parameters
        ----------
        X : array-like, shape (n, n_features)
            Finite numbers.

        Returns
        -------
        ndarray of float32, shape (n, height * width)
        """
        data, flat = _checked(X, self.n_features_in_), self._flat()
        distances = np.empty((len(data), len(flat)), np.float32)
        for start in range(0, len(data), 8192):
            rows = slice(start, start + 8192)
            steps = data[rows, None, :] - flat[None]
            np.sqrt((steps * steps).sum(axis=-1), out=distances[rows])
        return distances

    def quantisation_error(self, X: Any) -> float:
        """Mean Euclidean distance of sources to their nearest nodes."""
        found = Search(self.threads).two_nearest(_checked(X, self.n_features_in_), self._flat())
        return float(found.distance.mean())

    def topographic_error(self, X: Any) -> float:
        """Share of sources whose two nearest nodes do not touch (Kiviluoto 1996, ICNN 1, 294)."""
        found = Search(self.threads).two_nearest(_checked(X, self.n_features_in_), self._flat())
        touching = are_neighbours(self.height, self.width, self.topology)
        return float(1.0 - touching[found.first, found.second].mean())

    def hits(self, X: Any) -> npt.NDArray[np.int64]:
        """Count sources by nearest node; ndarray of int64, shape (height, width)."""
        counts = np.bincount(self.predict(X), minlength=self.n_nodes)
        return counts.reshape(self.height, self.width).astype(np.int64)

    def u_matrix(self) -> npt.NDArray[np.float64]:
        """Mean distance of each node to those that touch it (Ultsch & Siemon 1990, INNC 305).

        Returns
        -------
        ndarray of float64, shape (height, width)
        """
        flat = self._flat().astype(np.float64)
        touching = are_neighbours(self.height, self.width, self.topology)
        distance = np.sqrt(((flat[:, None] - flat[None]) ** 2).sum(axis=-1))
        number = np.maximum(touching.sum(axis=1), 1)
        mean = (distance * touching).sum(axis=1) / number
        return np.asarray(mean.reshape(self.height, self.width), np.float64)

    def set_weights(self, weights: Any) -> Self:
        """Use nodes that were trained before; float array of shape (height, width, n_features)."""
        array = np.ascontiguousarray(weights, np.float32)
        if array.ndim != 3 or array.shape[:2] != (self.height, self.width):
            raise ValueError(f"weights of shape {array.shape}, not {self.height, self.width, 0}")
        if not np.isfinite(array).all():
            raise ValueError("weights that are not finite")
        self.weights_ = array
        self.n_features_in_ = array.shape[2]
        self.n_presented_ = 0
        return self

    def _check_parameters(self) -> None:
        choices = (
            ("topology", self.topology, TOPOLOGIES),
            ("initialisation", self.initialisation, ("pca", "random")),
            ("engine", self.engine, ("native", "minisom")),
        )
        for name, value, allowed in choices:
            if value not in allowed:
                raise ValueError(f"{name} {value!r} is not one of {', '.join(allowed)}")
        if min(self.height, self.width, self.epochs, self.threads) < 1:
            raise ValueError("height, width, epochs and threads are at least 1")
        if self.radius_end <= 0.0 or (self.radius_start is not None and self.radius_start <= 0.0):
            raise ValueError("radii are above 0")

    def _train(self, data: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        generator = np.random.default_rng(self.seed)
        if self.initialisation == "pca":
            weights = pca_start(data, self.height, self.width)
        else:
            weights = random_start(data, self.n_nodes, generator)
        # Sources lie in the file exposure by exposure; a part of an epoch must hold them all.
        parts = self._updates_per_epoch(len(data))
        mixed = data[generator.permutation(len(data))] if parts > 1 else data
        radii = self._radii(parts)
        search = Search(self.threads)
        bounds = np.linspace(0, len(data), parts + 1).astype(int)
        step = 0
        for epoch in range(self.epochs):
            whole = epoch >= self.epochs * (1.0 - _WHOLE_EPOCHS)
            cuts = [(0, len(data))] if whole else list(pairwise(bounds))
            for low, high in cuts:
                sums, counts = search.sums(mixed[low:high], weights.astype(np.float32))
                neighbourhood = self._neighbourhood(radii[step])
                weights = _update(weights, sums, counts, neighbourhood)
                step += parts if whole else 1
        return self._shaped(weights)

    def _updates_per_epoch(self, n_sources: int) -> int:
        return int(np.clip(n_sources // (_SOURCES_PER_NODE * self.n_nodes), 1, _MOST_UPDATES))

    def _radii(self, parts: int) -> npt.NDArray[np.float64]:
        count = self.epochs * parts
        start = self.radius_start or max(self.height, self.width) / 2.0
        start = max(start, self.radius_end)
        # The last epochs all have the last radius, so that the nodes settle.
        falling = max(1, int(count * (1.0 - _WHOLE_EPOCHS)))
        radii = np.full(count, self.radius_end)
        radii[:falling] = np.geomspace(start, self.radius_end, falling)
        return radii

    def _neighbourhood(self, radius: float) -> npt.NDArray[np.float64]:
        distance = grid_distances(self.height, self.width, self.topology)
        return np.asarray(np.exp(-0.5 * (distance / radius) ** 2), np.float64)

    def _flat(self) -> npt.NDArray[np.float32]:
        if not hasattr(self, "weights_"):
            raise ValueError("the map has not been trained: call fit first")
        return np.ascontiguousarray(self.weights_.reshape(self.n_nodes, -1), np.float32)

    def _shaped(self, weights: npt.NDArray[np.float64]) -> npt.NDArray[np.float32]:
        return weights.astype(np.float32).reshape(self.height, self.width, -1)


def _update(
    weights: npt.NDArray[np.float64],
    sums: npt.NDArray[np.float64],
    counts: npt.NDArray[np.int64],
    neighbourhood: npt.NDArray[np.float64],
) -> npt.NDArray[np.float64]:
    weight = neighbourhood @ counts
    moved = (neighbourhood @ sums) / np.where(weight > 0.0, weight, 1.0)[:, None]
    # A node that no source reaches stays where it is.
    return np.where((weight > 1e-12)[:, None], moved, weights)


def _checked(X: Any, n_features: int | None = None) -> npt.NDArray[np.float32]:
    data = np.ascontiguousarray(X, np.float32)
    if data.ndim != 2 or not data.size:
        raise ValueError(f"data of shape {data.shape}, not (n, n_features)")
    if n_features is not None and data.shape[1] != n_features:
        raise ValueError(f"{data.shape[1]} features, where the map has {n_features}")
    # A sum is finite unless a term is not, and needs no array of booleans.
    if not np.isfinite(data.sum(dtype=np.float64)):
        raise ValueError("data that are not finite")
    return data
