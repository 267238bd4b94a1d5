"""A free table of vectors, learned by k-means: the default quantiser."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from astromodal_tokenizers.quantizers.assignment import nearest_centroids
from astromodal_tokenizers.quantizers.base import Quantizer, as_tensor
from astromodal_tokenizers.quantizers.kmeans import MiniBatchKMeans

__all__ = ["KMeansQuantizer"]

# Outer codes begin where so many of a thousand vectors lie beyond, since k-means has few codes for
# these and they are as far apart as they like; they end at so many times the largest distance.
_BEYOND_PER_MILLE = 5.0
_FARTHEST = 10.0


class KMeansQuantizer(Quantizer):
    """Each vector gets the code of the nearest table entry.

    Parameters
    ----------
    size, seed : int
    epochs : int
        Passes of k-means.
    outer : int
        Codes of the table that are not learned. They lie at distances that grow by a constant
        factor, beyond those that are common, along the first half of the features: a vector farther
        out than all that taught then decodes with a bounded relative error.
    """

    name = "kmeans"

    def __init__(self, size: int, seed: int = 0, epochs: int = 12, outer: int = 0) -> None:
        super().__init__(size, seed)
        self.outer = outer
        self.epochs = epochs

    def fit(self, vectors: NDArray[np.float32]) -> None:
        """Learn the table."""
        learned = self.size - self.outer
        model = MiniBatchKMeans(
            learned,
            batch_size=max(4096, 4 * learned),
            max_iter=self.epochs,
            random_state=self.seed % 2**32,
            max_no_improvement=None,
            compute_labels=False,
        )
        model.fit(np.asarray(vectors, dtype=np.float32))
        centers: NDArray[Any] = model.cluster_centers_
        if self.outer:
            centers = np.concatenate([centers, _outer_codes(vectors, self.outer)])
        # Neighbouring codes then stand for similar vectors, which makes tokens easier to read.
        self.codebook = np.ascontiguousarray(centers[np.argsort(centers[:, 0], kind="stable")])

    def encode(self, vectors: NDArray[np.float32]) -> NDArray[np.int64]:
        """The nearest table entry."""
        labels = nearest_centroids(as_tensor(vectors), as_tensor(self.codebook))
        return np.asarray(labels.numpy())


def _outer_codes(vectors: NDArray[np.float32], count: int) -> NDArray[np.float32]:
    """Vectors on both sides along the first half of the features, the others at their mean."""
    half = max(1, vectors.shape[1] // 2)
    distance = np.abs(vectors[:, :half].mean(axis=1))
    largest = max(float(distance.max()), 1e-6)
    first = max(float(np.percentile(distance, 100.0 - _BEYOND_PER_MILLE / 10.0)), 0.01 * largest)
    steps = np.geomspace(first, _FARTHEST * largest, count - count // 2)
    codes = np.repeat(vectors.mean(axis=0, dtype=np.float64)[None], count, axis=0)
    codes[:, :half] = np.concatenate([steps, -steps[: count // 2]])[:, None]
    return codes.astype(np.float32)
