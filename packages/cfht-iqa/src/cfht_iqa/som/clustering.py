"""Groups of nodes, the second stage after the map (Vesanto & Alhoniemi 2000, IEEE TNN 11, 586)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from astro_common.errors import ConfigurationError

__all__ = ["cluster_nodes"]


def cluster_nodes(weights: npt.NDArray[np.float32], n_clusters: int) -> npt.NDArray[np.int32]:
    """Group the nodes of a map by Ward's method (Ward 1963, JASA 58, 236).

    Parameters
    ----------
    weights : ndarray of float32, shape (height, width, n_features)
        The nodes.
    n_clusters : int
        Number of groups; as many as nodes makes each node its own group.

    Returns
    -------
    ndarray of int32, shape (height, width)
        From 0 to ``n_clusters - 1``, in the order of each group's mean first feature.

    Raises
    ------
    ConfigurationError
        If there are fewer nodes than groups.
    """
    height, width, n_features = weights.shape
    n_nodes = height * width
    if not 1 <= n_clusters <= n_nodes:
        raise ConfigurationError(
            "--clusters", str(n_clusters), f"from 1 to the {n_nodes} nodes of the map"
        )
    if n_clusters == n_nodes:
        return np.arange(n_nodes, dtype=np.int32).reshape(height, width)
    from sklearn.cluster import AgglomerativeClustering

    flat = weights.reshape(n_nodes, n_features).astype(np.float64)
    labels = AgglomerativeClustering(n_clusters=n_clusters, linkage="ward").fit_predict(flat)
    means = np.array([flat[labels == label, 0].mean() for label in range(n_clusters)])
    rank = np.empty(n_clusters, np.int32)
    rank[np.argsort(means, kind="stable")] = np.arange(n_clusters)
    return np.asarray(rank[labels].reshape(height, width), np.int32)
