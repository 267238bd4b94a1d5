"""Where the nodes of a map are, and which of them are neighbours."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

__all__ = ["TOPOLOGIES", "are_neighbours", "grid_distances", "node_positions"]

TOPOLOGIES: Final = ("rectangular", "hexagonal")

Floats = npt.NDArray[np.float64]


def node_positions(height: int, width: int, topology: str) -> Floats:
    """Place the nodes in a plane.

    Parameters
    ----------
    height, width : int
        Rows and columns of nodes.
    topology : str
        ``rectangular``; or ``hexagonal``, where odd rows are shifted by half a step and rows are
        sqrt(3)/2 apart, so that the six neighbours of a node are at distance 1.

    Returns
    -------
    ndarray of float64, shape (height * width, 2)
        y and x of each node, row by row.
    """
    row, column = np.divmod(np.arange(height * width), width)
    if topology == "rectangular":
        return np.stack([row, column], axis=1).astype(np.float64)
    return np.stack([row * np.sqrt(0.75), column + 0.5 * (row % 2)], axis=1)


def grid_distances(height: int, width: int, topology: str) -> Floats:
    """Distances between nodes in the plane.

    Parameters
    ----------
    height, width, topology
        As of `node_positions`.

    Returns
    -------
    ndarray of float64, shape (n_nodes, n_nodes)
    """
    places = node_positions(height, width, topology)
    return np.asarray(np.sqrt(((places[:, None] - places[None]) ** 2).sum(axis=-1)), np.float64)


def are_neighbours(height: int, width: int, topology: str) -> npt.NDArray[np.bool_]:
    """Which pairs of nodes touch: eight neighbours on a rectangular map, six on a hexagonal one.

    Parameters
    ----------
    height, width, topology
        As of `node_positions`.

    Returns
    -------
    ndarray of bool, shape (n_nodes, n_nodes)
        False on the diagonal.
    """
    distance = grid_distances(height, width, topology)
    limit = 1.42 if topology == "rectangular" else 1.01
    return (distance > 0.0) & (distance < limit)
