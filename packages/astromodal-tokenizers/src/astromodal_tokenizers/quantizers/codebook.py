"""A free table of vectors, learned by k-means: the default quantiser."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from astromodal_tokenizers.quantizers.assignment import nearest_centroids
from astromodal_tokenizers.quantizers.base import Quantizer, as_tensor
from astromodal_tokenizers.quantizers.kmeans import MiniBatchKMeans

__all__ = ["KMeansQuantizer"]


class KMeansQuantizer(Quantizer):
    """Each vector gets the code of the nearest table entry.

    Parameters
    ----------
    size, seed : int
    epochs : int
        Passes of k-means.
    """

    name = "kmeans"

    def __init__(self, size: int, seed: int = 0, epochs: int = 12) -> None:
        super().__init__(size, seed)
        self.epochs = epochs

    def fit(self, vectors: NDArray[np.float32]) -> None:
        """Learn the table."""
        model = MiniBatchKMeans(
            self.size,
            batch_size=max(4096, 4 * self.size),
            max_iter=self.epochs,
            random_state=self.seed % 2**32,
            max_no_improvement=None,
            compute_labels=False,
        )
        model.fit(np.asarray(vectors, dtype=np.float32))
        centers: NDArray[Any] = model.cluster_centers_
        # Neighbouring codes then stand for similar vectors, which makes tokens easier to read.
        self.codebook = np.ascontiguousarray(centers[np.argsort(centers[:, 0], kind="stable")])

    def encode(self, vectors: NDArray[np.float32]) -> NDArray[np.int64]:
        """The nearest table entry."""
        labels = nearest_centroids(as_tensor(vectors), as_tensor(self.codebook))
        return np.asarray(labels.numpy())
