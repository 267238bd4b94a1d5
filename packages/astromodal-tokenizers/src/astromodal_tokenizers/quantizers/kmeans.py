"""Mini-batch k-means in torch, with the interface of scikit-learn.

Batches move the centroids by Sculley's rule (2010, Proc. 19th WWW, 1177) with counts that forget,
so that later passes come close to Lloyd's algorithm. Centroids that nobody uses are put where the
error is largest. Memory is that of one batch besides the data.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from astromodal_tokenizers.quantizers.assignment import nearest_centroids
from astromodal_tokenizers.quantizers.kernels import moves_kernel, spread_kernel

__all__ = ["MiniBatchKMeans"]

# Points per centroid among which k-means++ chooses, and how many at least.
_INIT_POINTS = 3
_FEWEST_INIT_POINTS = 2048
# A centroid with less than this share of the mean count counts as dead.
_DEAD_SHARE = 0.02
# What remains of the counts of earlier passes when a new one begins.
_MEMORY = 0.2
_BATCHES_PER_REVIVAL = 20
# Relative fall of the smoothed inertia that counts as progress.
_PROGRESS = 1e-4


class MiniBatchKMeans:
    """Clusters points around centroids.

    Parameters
    ----------
    n_clusters : int
    batch_size : int
        Points per step.
    max_iter : int
        Passes over the data at most.
    init : {'k-means++', 'random'} or ndarray of shape (n_clusters, d)
        How the first centroids are chosen: far from each other (Arthur & Vassilvitskii 2007, Proc.
        18th SODA, 1027), at random, or as given.
    random_state : int, numpy.random.RandomState or None
    device : str
        Where it computes, such as ``cpu`` or ``cuda``.
    max_no_improvement : int or None
        Steps without a smaller smoothed inertia after which it ends; None works through all passes.
    compute_labels : bool
        Assign all points at the end of `fit`, for ``labels_`` and ``inertia_``.

    Attributes
    ----------
    cluster_centers_ : ndarray of float32 or float64, shape (n_clusters, d)
    labels_ : ndarray of int32, shape (n,)
    inertia_ : float
        Sum of squared distances to the nearest centroid.
    n_iter_ : int
        Passes begun.
    n_steps_ : int
    n_features_in_ : int
    counts_ : ndarray of float64, shape (n_clusters,)
        Points that each centroid stands for, as far as they are remembered.
    """

    def __init__(
        self,
        n_clusters: int = 8,
        batch_size: int = 2048,
        max_iter: int = 100,
        init: str | ArrayLike = "k-means++",
        random_state: int | np.random.RandomState | None = None,
        device: str = "cpu",
        max_no_improvement: int | None = 10,
        compute_labels: bool = True,
    ) -> None:
        self.n_clusters = n_clusters
        self.batch_size = batch_size
        self.max_iter = max_iter
        self.init = init
        self.random_state = random_state
        self.device = device
        self.max_no_improvement = max_no_improvement
        self.compute_labels = compute_labels

    def fit(self, X: ArrayLike, y: object = None) -> MiniBatchKMeans:
        """Learn the centroids.

        Parameters
        ----------
        X : array-like of shape (n, d)
            Finite numbers.
        y : object
            Ignored; there for scikit-learn.

        Returns
        -------
        MiniBatchKMeans
            This object.

        Raises
        ------
        ValueError
            If there are fewer points than clusters, or values are not finite numbers.
        """
        points = self._points(X, fitting=True)
        random = self._stream = _random(self.random_state)
        self._centroids = self._start(points, random)
        self._counts = torch.zeros(self.n_clusters, dtype=torch.float64)
        self._learn(points, random)
        self._publish()
        if self.compute_labels:
            labels, inertia = self._assign(points)
            self.labels_ = labels.astype(np.int32)
            self.inertia_ = inertia
        return self

    def partial_fit(self, X: ArrayLike, y: object = None) -> MiniBatchKMeans:
        """Learn from one more batch; the first needs as many points as there are clusters."""
        first = not hasattr(self, "cluster_centers_")
        points = self._points(X, fitting=first)
        if first:
            self._stream = _random(self.random_state)
            self._centroids = self._start(points, self._stream)
            self._counts = torch.zeros(self.n_clusters, dtype=torch.float64)
            self.n_steps_ = self.n_iter_ = 0
        batch = points.to(self.device)
        labels, inertia = self._step(batch)
        self._revive(batch, self._stream)
        self.n_steps_ += 1
        self.n_iter_ += 1
        self._publish()
        self.labels_ = labels.cpu().numpy().astype(np.int32)
        self.inertia_ = inertia
        return self

    def predict(self, X: ArrayLike) -> NDArray[np.int32]:
        """Index of the nearest centroid of each point (ndarray of int32, shape (n,))."""
        self._require_fitted()
        points = self._points(X)
        return self._labels(points).astype(np.int32)

    def fit_predict(self, X: ArrayLike, y: object = None) -> NDArray[np.int32]:
        """Learn the centroids and return the index of the nearest one of each point."""
        self.fit(X)
        return self.labels_ if self.compute_labels else self.predict(X)

    def transform(self, X: ArrayLike) -> NDArray[Any]:
        """Distance to every centroid (ndarray, shape (n, n_clusters))."""
        self._require_fitted()
        points = self._points(X)
        parts = [
            torch.cdist(
                part.to(self.device),
                self._device_centroids(),
                # The product is faster, and wrong by far where coordinates are large.
                compute_mode="donot_use_mm_for_euclid_dist",
            ).cpu()
            for part in _parts(points, self.batch_size)
        ]
        return np.asarray(torch.cat(parts).numpy())

    def fit_transform(self, X: ArrayLike, y: object = None) -> NDArray[Any]:
        """Learn the centroids and return the distance of each point to every one."""
        return self.fit(X).transform(X)

    def score(self, X: ArrayLike, y: object = None) -> float:
        """Negative sum of squared distances to the nearest centroids (float)."""
        self._require_fitted()
        return -self._assign(self._points(X))[1]

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """The parameters that this object was made with."""
        names = inspect.signature(type(self).__init__).parameters
        return {name: getattr(self, name) for name in names if name != "self"}

    def set_params(self, **parameters: Any) -> MiniBatchKMeans:
        """Change parameters; they count from the next `fit` on."""
        known = self.get_params()
        for name, value in parameters.items():
            if name not in known:
                raise ValueError(
                    f"Invalid parameter {name!r} for estimator {type(self).__name__}. Valid "
                    f"parameters are: {sorted(known)}."
                )
            setattr(self, name, value)
        return self

    def __sklearn_tags__(self) -> Any:
        """What scikit-learn asks of its estimators."""
        # Not imported by name: the package works without scikit-learn.
        tags = importlib.import_module("sklearn.utils")
        return tags.Tags(
            estimator_type="clusterer",
            target_tags=tags.TargetTags(required=False),
            transformer_tags=tags.TransformerTags(preserves_dtype=["float64", "float32"]),
            input_tags=tags.InputTags(),
            non_deterministic=False,
        )

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "cluster_centers_")

    def __repr__(self) -> str:
        defaults = inspect.signature(type(self).__init__).parameters
        changed = [
            f"{name}={value!r}"
            for name, value in self.get_params().items()
            if isinstance(value, np.ndarray) or value != defaults[name].default
        ]
        return f"{type(self).__name__}({', '.join(changed)})"

    def _points(self, X: ArrayLike, *, fitting: bool = False) -> Tensor:
        if isinstance(X, Tensor):
            X = X.detach().cpu().numpy()
        if hasattr(X, "toarray"):
            raise TypeError(
                "Sparse data was passed, but dense data is required: convert it with .toarray()."
            )
        values = np.asarray(X)
        if np.iscomplexobj(values):
            raise ValueError("Complex data not supported")
        if values.dtype not in (np.float32, np.float64):
            values = values.astype(np.float64)
        if values.ndim != 2:
            raise ValueError(
                f"Expected 2D array, got {values.ndim}D array instead. Reshape your data either "
                "using array.reshape(-1, 1) or array.reshape(1, -1)."
            )
        for axis, what in ((0, "sample"), (1, "feature")):
            if not values.shape[axis]:
                raise ValueError(
                    f"Found array with 0 {what}(s) (shape={values.shape}) while a minimum of 1 is "
                    f"required by {type(self).__name__}."
                )
        # A sum overflows or is NaN if and only if a value may be at fault: one pass, no copy.
        with np.errstate(over="ignore", invalid="ignore"):
            sound = bool(np.isfinite(values.sum(dtype=np.float64)))
        if not sound and not np.isfinite(values).all():
            raise ValueError(f"Input X contains NaN or infinity. {type(self).__name__} needs none.")
        if fitting:
            self._check_parameters(values)
            self.n_features_in_ = int(values.shape[1])
        elif values.shape[1] != self.n_features_in_:
            raise ValueError(
                f"X has {values.shape[1]} features, but {type(self).__name__} is expecting "
                f"{self.n_features_in_} features as input"
            )
        foreign = not values.dtype.isnative
        if foreign or not (values.flags.writeable and values.flags.c_contiguous):
            values = np.array(values, dtype=values.dtype.newbyteorder("="), order="C")
        return torch.from_numpy(values)

    def _check_parameters(self, values: NDArray[Any]) -> None:
        for name in ("n_clusters", "batch_size", "max_iter"):
            number = getattr(self, name)
            if not isinstance(number, (int, np.integer)) or number < 1:
                raise ValueError(f"{name} is {number!r}, expected a whole number of at least 1")
        if len(values) < self.n_clusters:
            raise ValueError(f"n_samples={len(values)} should be >= n_clusters={self.n_clusters}.")

    def _start(self, points: Tensor, random: np.random.RandomState) -> Tensor:
        if not isinstance(self.init, str):
            given = torch.from_numpy(np.array(self.init, dtype=points.numpy().dtype))
            if given.shape != (self.n_clusters, points.shape[1]):
                raise ValueError(f"init has shape {tuple(given.shape)}")
            return given.to(self.device)
        if self.init not in ("k-means++", "random"):
            raise ValueError(f"init is {self.init!r}, expected 'k-means++', 'random' or an array")
        wanted = self.n_clusters
        if self.init == "k-means++":
            wanted = max(_INIT_POINTS * self.n_clusters, _FEWEST_INIT_POINTS)
        rows = _distinct(random, len(points), min(wanted, len(points)))
        some = points[torch.from_numpy(rows)].to(self.device)
        return some if self.init == "random" else _spread_out(some, self.n_clusters, random)

    def _learn(self, points: Tensor, random: np.random.RandomState) -> None:
        smooth, best, idle = None, np.inf, 0
        share = min(1.0, 2.0 * self.batch_size / len(points))
        self.n_steps_ = 0
        for epoch in range(self.max_iter):
            self.n_iter_ = epoch + 1
            self._counts *= _MEMORY
            order = torch.from_numpy(random.permutation(len(points)))
            for rows in _parts(order, self.batch_size):
                batch = points[rows].to(self.device)
                _, inertia = self._step(batch)
                self.n_steps_ += 1
                if self.n_steps_ % _BATCHES_PER_REVIVAL == 0:
                    self._revive(batch, random)
                mean = inertia / len(batch)
                smooth = mean if smooth is None else smooth * (1.0 - share) + mean * share
                if smooth < best * (1.0 - _PROGRESS):
                    best, idle = smooth, 0
                    continue
                idle += 1
                if self.max_no_improvement is not None and idle >= self.max_no_improvement:
                    return
            if len(points) <= self.batch_size * _BATCHES_PER_REVIVAL:
                self._revive(batch, random)
            if best == 0.0:
                return

    def _step(self, batch: Tensor) -> tuple[Tensor, float]:
        """Move the centroids towards the means of their points in the batch."""
        labels = nearest_centroids(batch, self._centroids)
        moves, number, inertia = self._moves(batch, labels)
        self._counts += number
        weight = self._counts.to(moves.device).clamp(min=1.0)[:, None]
        self._centroids = self._centroids + (moves / weight).to(self._centroids.dtype)
        return labels, inertia

    def _moves(self, batch: Tensor, labels: Tensor) -> tuple[Tensor, Tensor, float]:
        """Sum of the offsets from each centroid, number of its points, and inertia."""
        if batch.device.type == "cpu":
            moves = np.zeros((self.n_clusters, batch.shape[1]))
            counts = np.zeros(self.n_clusters)
            centroids = self._centroids.numpy()
            inertia = moves_kernel()(batch.numpy(), labels.numpy(), centroids, moves, counts)
            return torch.from_numpy(moves), torch.from_numpy(counts), inertia
        offsets = batch - self._centroids[labels]
        inertia = float((offsets.double() ** 2).sum())
        number = torch.bincount(labels, minlength=self.n_clusters)
        # A fixed order of summation makes a run repeatable on a GPU too.
        order = torch.argsort(labels, stable=True)
        ends = torch.cumsum(number, 0)
        running = torch.cumsum(offsets[order].double(), dim=0)
        running = torch.cat([running.new_zeros(1, batch.shape[1]), running])
        return running[ends] - running[ends - number], number.cpu().double(), inertia

    def _revive(self, batch: Tensor, random: np.random.RandomState) -> None:
        """Put dead centroids on points of the batch, the sooner the farther they lie off."""
        dead = (self._counts < _DEAD_SHARE * self._counts.mean()).nonzero()[:, 0]
        if not len(dead):
            return
        labels = nearest_centroids(batch, self._centroids)
        distance = ((batch - self._centroids[labels]).double() ** 2).sum(dim=1).cpu().numpy()
        possible = np.flatnonzero(distance > 0.0)
        count = min(len(dead), len(possible))
        if not count:
            return
        share = distance[possible] / distance[possible].sum()
        rows = random.choice(possible, size=count, replace=False, p=share)
        dead = dead[:count]
        self._centroids[dead.to(batch.device)] = batch[torch.from_numpy(rows).to(batch.device)]
        # It starts with a typical weight, or the next point would carry it away.
        self._counts[dead] = float(self._counts.mean())

    def _publish(self) -> None:
        self.cluster_centers_ = self._centroids.cpu().numpy()
        self.counts_ = self._counts.numpy()
        self._n_features_out = self.n_clusters

    def _device_centroids(self) -> Tensor:
        return torch.from_numpy(np.asarray(self.cluster_centers_)).to(self.device)

    def _labels(self, points: Tensor) -> NDArray[np.int64]:
        centroids = self._device_centroids()
        points = points.to(centroids.dtype) if points.dtype != centroids.dtype else points
        if torch.device(self.device).type == "cpu":
            return nearest_centroids(points, centroids).numpy()
        labels = [
            nearest_centroids(part.to(self.device), centroids).cpu()
            for part in _parts(points, 1 << 22)
        ]
        return torch.cat(labels).numpy()

    def _assign(self, points: Tensor) -> tuple[NDArray[np.int64], float]:
        labels = self._labels(points)
        centroids = torch.from_numpy(self.cluster_centers_)
        inertia = 0.0
        for start in range(0, len(points), 1 << 18):
            part = slice(start, start + (1 << 18))
            offsets = points[part] - centroids[torch.from_numpy(labels[part])]
            inertia += float((offsets.double() ** 2).sum())
        return labels, inertia

    def _require_fitted(self) -> None:
        if not hasattr(self, "cluster_centers_"):
            raise _not_fitted(
                f"This {type(self).__name__} instance is not fitted yet. Call 'fit' first."
            )


class _NotFittedError(ValueError, AttributeError):
    """An estimator is used before it has learned."""


def _not_fitted(message: str) -> Exception:
    try:
        error: type[Exception] = importlib.import_module("sklearn.exceptions").NotFittedError
    except ImportError:
        error = _NotFittedError
    return error(message)


def _parts(rows: Tensor, size: int) -> Iterator[Tensor]:
    for start in range(0, len(rows), size):
        yield rows[start : start + size]


def _random(state: int | np.random.RandomState | None) -> np.random.RandomState:
    if isinstance(state, np.random.RandomState):
        return state
    return np.random.RandomState(state)


def _distinct(random: np.random.RandomState, count: int, wanted: int) -> NDArray[np.int64]:
    """Draw row numbers without repetition, without a permutation of all rows."""
    if wanted * 4 >= count:
        return np.asarray(random.permutation(count)[:wanted], dtype=np.int64)
    rows = np.unique(random.randint(0, count, size=wanted * 2, dtype=np.int64))
    while len(rows) < wanted:
        more = random.randint(0, count, size=wanted, dtype=np.int64)
        rows = np.unique(np.concatenate([rows, more]))
    return np.asarray(random.permutation(rows)[:wanted], dtype=np.int64)


def _spread_out(points: Tensor, count: int, random: np.random.RandomState) -> Tensor:
    """Choose points in turn, each with a chance that grows with its squared distance."""
    draws = random.uniform(size=count)
    chosen = torch.empty(count, dtype=torch.int64)
    by_feature = np.ascontiguousarray(points.cpu().numpy().T)
    spread_kernel()(by_feature, draws, chosen.numpy())
    return points[chosen.to(points.device)].clone()
