"""Representative images: one source of each group of the map, side by side.

For each CCD and each group of nodes one source is chosen and cut out, its background taken off.
Next to the image go the hits, the shares of the CCD's sources by group and by node.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from astro_common.parquet import described
from cfht_iqa.cutouts import cutouts_at, is_inside
from cfht_iqa.features import Scaling
from cfht_iqa.som.files import TrainedMap

__all__ = ["CUTOUT_PX", "FILE_NAME", "PICKS", "CcdSources", "Representative", "choose", "schema"]

FILE_NAME: Final = "representatives.parquet"
CUTOUT_PX: Final = 25
_HALF: Final = CUTOUT_PX // 2
PICKS: Final = ("largest", "centroid", "random")

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class CcdSources:
    """The sources of a CCD.

    Attributes
    ----------
    exposure, ccd : str
        Whose they are.
    x, y : ndarray of float64, shape (n,)
        1-based positions.
    iso0, background : ndarray of float64, shape (n,)
        Area, and background at the source.
    features : dict of str to ndarray of float64, shape (n,)
        What the map needs.
    """

    exposure: str
    ccd: str
    x: Floats
    y: Floats
    iso0: Floats
    background: Floats
    features: dict[str, Floats]


@dataclass(frozen=True, eq=False)
class Representative:
    """The representative image of a CCD.

    Attributes
    ----------
    image : ndarray of float32, shape (25, 25 n_clusters)
        Tile k is of group k; zeros for a group without an eligible source.
    cluster_hits, node_hits : ndarray of float64 or None
        Shares of the sources; None for a CCD without sources.
    n_sources : int
        Sources on the CCD.
    x, y, background : ndarray of float64, shape (n_clusters,)
        Of the source on each tile; NaN where there is none.
    """

    image: npt.NDArray[np.float32]
    cluster_hits: Floats | None
    node_hits: Floats | None
    n_sources: int
    x: Floats
    y: Floats
    background: Floats


def schema(n_clusters: int, n_nodes: int) -> pa.Schema:
    """Columns of a table of representative images."""
    side = CUTOUT_PX
    return pa.schema(
        [
            described("exposure", pa.string(), description="Name of the exposure", nullable=False),
            described("ccd", pa.string(), description="EXTNAME of the CCD", nullable=False),
            described(
                "image",
                pa.list_(pa.float32(), side * side * n_clusters),
                unit="count",
                description=f"{side} x {side * n_clusters} pixels row by row; tile k is group k",
            ),
            described(
                "cluster_hits",
                pa.list_(pa.float64(), n_clusters),
                description="Share of the sources in each group",
            ),
            described(
                "node_hits",
                pa.list_(pa.float64(), n_nodes),
                description="Share of the sources at each node, row by row",
            ),
            described("n_sources", pa.int32(), description="Sources on the CCD"),
            described(
                "cutout_x",
                pa.list_(pa.float64(), n_clusters),
                unit="pixel",
                description="Position of each tile's source, 1-based, in DATASEC",
            ),
            described(
                "cutout_y",
                pa.list_(pa.float64(), n_clusters),
                unit="pixel",
                description="Position of each tile's source, 1-based, in DATASEC",
            ),
            described(
                "cutout_background",
                pa.list_(pa.float32(), n_clusters),
                unit="count",
                description="What was taken off each tile",
            ),
        ]
    )


def choose(
    sources: CcdSources,
    pixels: npt.NDArray[np.float32],
    trained: TrainedMap,
    *,
    pick: str = "largest",
    seed: int = 42,
) -> Representative:
    """Choose the sources of a CCD and cut them out.

    Only sources whose middle pixel ``floor(x - 0.5)`` is at least 12 pixels from every edge are
    eligible; hits count all sources of which the map's features are known.

    Parameters
    ----------
    sources : CcdSources
        Of the CCD.
    pixels : ndarray of float32, shape (n_y, n_x)
        The trimmed image.
    trained : TrainedMap
        Nodes and groups.
    pick : str, optional
        ``largest`` area; nearest to the ``centroid`` of the group's nodes; or ``random``.
    seed : int, optional
        Of ``random``, together with the names of exposure and CCD: the order of work is of no
        matter. Ties go to the source that comes first.

    Returns
    -------
    Representative
    """
    n_clusters, n_nodes = trained.n_clusters, trained.som.n_nodes
    flat = trained.node_cluster.ravel()
    one_ccd = np.zeros(len(sources.x), np.intp)
    nodes = trained.nodes(sources.features, one_ccd)
    known = nodes >= 0
    clusters = np.where(known, flat[np.maximum(nodes, 0)], -1)
    empty = np.full(n_clusters, np.nan)
    result = Representative(
        np.zeros((CUTOUT_PX, CUTOUT_PX * n_clusters), np.float32),
        _shares(clusters[known], n_clusters),
        _shares(nodes[known], n_nodes),
        len(sources.x),
        empty.copy(),
        empty.copy(),
        empty.copy(),
    )
    eligible = known & is_inside(pixels.shape, sources.x, sources.y, _HALF)
    order = _order(sources, trained, clusters, pick, seed)
    for cluster in range(n_clusters):
        members = np.flatnonzero(eligible & (clusters == cluster))
        if not len(members):
            continue
        best = members[np.argmin(order[members])]
        result.x[cluster] = sources.x[best]
        result.y[cluster] = sources.y[best]
        result.background[cluster] = sources.background[best]
    _fill(result, pixels)
    return result


def _shares(numbers: npt.NDArray[np.integer], count: int) -> Floats | None:
    if not len(numbers):
        return None
    return np.asarray(np.bincount(numbers, minlength=count) / len(numbers), np.float64)


def _order(
    sources: CcdSources,
    trained: TrainedMap,
    clusters: npt.NDArray[np.integer],
    pick: str,
    seed: int,
) -> Floats:
    """A number by source; the least of a group's eligible sources is chosen."""
    if pick == "largest":
        return -sources.iso0
    if pick == "random":
        name = f"{seed}/{sources.exposure}/{sources.ccd}"
        digest = hashlib.sha256(name.encode()).digest()
        return np.random.default_rng(int.from_bytes(digest[:8])).random(len(sources.x))
    scaling: Scaling = trained.scaling
    data = scaling.apply(sources.features, np.zeros(len(sources.x), np.intp)).astype(np.float64)
    weights = trained.som.weights_.reshape(trained.som.n_nodes, -1).astype(np.float64)
    flat = trained.node_cluster.ravel()
    centroids = np.stack([weights[flat == k].mean(axis=0) for k in range(trained.n_clusters)])
    distance = ((data - centroids[np.maximum(clusters, 0)]) ** 2).sum(axis=1)
    return np.asarray(np.nan_to_num(distance, nan=np.inf), np.float64)


def _fill(result: Representative, pixels: npt.NDArray[np.float32]) -> None:
    filled = np.flatnonzero(np.isfinite(result.x))
    if not len(filled):
        return
    stamps = cutouts_at(pixels, result.x[filled], result.y[filled], _HALF)
    stamps = stamps - result.background[filled].astype(np.float32)[:, None, None]
    for cluster, stamp in zip(filled, stamps, strict=True):
        result.image[:, CUTOUT_PX * cluster : CUTOUT_PX * (cluster + 1)] = stamp
