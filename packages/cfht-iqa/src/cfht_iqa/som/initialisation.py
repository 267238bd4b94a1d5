"""Where the nodes of a map start."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["pca_start", "random_start"]


def pca_start(data: npt.NDArray[np.float32], height: int, width: int) -> npt.NDArray[np.float64]:
    """Spread the nodes over the plane of the first two principal components.

    Parameters
    ----------
    data : ndarray of float32, shape (n, n_features)
        Sources.
    height, width : int
        Of the map; the longer side runs along the first component.

    Returns
    -------
    ndarray of float64, shape (height * width, n_features)
        Within two standard deviations of the mean along both components.
    """
    mean = data.mean(axis=0, dtype=np.float64)
    centred = data - mean.astype(np.float32)
    covariance = (centred.T @ centred).astype(np.float64) / max(1, len(data) - 1)
    values, vectors = np.linalg.eigh(covariance)
    order = np.argsort(values)[::-1]
    axes = (vectors * np.sqrt(np.clip(values, 0.0, None))).T[order]
    # An eigenvector's sign is arbitrary; with it fixed, all machines start alike.
    axes = np.stack([axis if axis[np.abs(axis).argmax()] >= 0 else -axis for axis in axes])
    second = axes[1] if len(axes) > 1 else np.zeros(data.shape[1])
    along_rows, along_columns = (axes[0], second) if height > width else (second, axes[0])
    rows = _steps(height)[:, None, None] * along_rows
    columns = _steps(width)[None, :, None] * along_columns
    return np.asarray((mean + rows + columns).reshape(height * width, -1), np.float64)


def _steps(count: int) -> npt.NDArray[np.float64]:
    return np.linspace(-2.0, 2.0, count) if count > 1 else np.zeros(1)


def random_start(
    data: npt.NDArray[np.float32], n_nodes: int, generator: np.random.Generator
) -> npt.NDArray[np.float64]:
    """Start each node at a source drawn at random, none twice where there are enough of them.

    Parameters
    ----------
    data : ndarray of float32, shape (n, n_features)
        Sources.
    n_nodes : int
        Of the map.
    generator : numpy.random.Generator
        Draws them.

    Returns
    -------
    ndarray of float64, shape (n_nodes, n_features)
    """
    chosen = generator.choice(len(data), n_nodes, replace=len(data) < n_nodes)
    return data[chosen].astype(np.float64)
