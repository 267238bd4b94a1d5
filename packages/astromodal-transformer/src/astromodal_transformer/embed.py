"""One vector per source, sources that are alike, and a map of all."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from astro_common.errors import ConfigurationError, InputError
from astro_common.parquet import ParquetWriter, described
from astro_common.provenance import provenance
from astromodal_transformer.configuration import Configuration
from astromodal_transformer.figures import embedding_map, save
from astromodal_transformer.predict import METADATA_KEY, load_for_use
from astromodal_transformer.truth import true_columns

__all__ = ["embed", "nearest", "projected"]

_ROWS = 2048
# What umap-learn takes by default.
_UMAP_NEIGHBOURS = 15


def embed(
    configuration: Configuration,
    checkpoint: Path,
    fields: Sequence[str],
    given: Sequence[str],
    path: Path,
    *,
    figure: Path | None = None,
    colour: str | None = None,
    projection: str = "pca",
    neighbours_of: str | None = None,
    count: int = 10,
    overwrite: bool = False,
) -> dict[str, Any]:
    """Write the vector of every source into a Parquet file.

    Parameters
    ----------
    configuration : Configuration
    checkpoint : Path
    fields : sequence of str
        All by default.
    given : sequence of str
        Modalities that are seen, by name or pattern; all without any.
    path : Path
    figure : Path, optional
        PNG with the sources in two dimensions.
    colour : str, optional
        Column by which it is coloured.
    projection : {'pca', 'umap'}
    neighbours_of : str, optional
        Identifier of a source whose nearest neighbours are wanted.
    count : int
        Of neighbours.
    overwrite : bool

    Returns
    -------
    dict
        ``output``, ``rows``, ``dimensions``, ``given`` and, if asked for, ``neighbours``.

    Raises
    ------
    AstroError
        If a name is unknown, an input damaged, or the file exists.
    """
    if figure is not None and projection == "umap":
        _require_umap()
    loaded = load_for_use(configuration, checkpoint)
    layout = loaded.project.layout
    seen = layout.matching(given or ["*"], "--given")
    store = loaded.project.store(fields or None)
    if colour is not None and colour not in loaded.project.books.columns:
        raise ConfigurationError("--colour", colour, "a column of the catalogue")
    ids = store.ids
    width = loaded.answerer.model.shape.d_model
    schema = pa.schema(
        [
            described("field", pa.string(), ucd="meta.id"),
            described("id", pa.string(), ucd="meta.id;meta.main"),
            described(
                "embedding",
                pa.list_(pa.float32(), width),
                description="mean of the final states of what is seen of the source",
            ),
        ]
    )
    footer = {
        "schema_version": 1,
        "synthetic": store.synthetic or bool(loaded.record.get("synthetic")),
        "given": seen,
        "provenance": provenance("astromodal-transformer", {}, [loaded.path / "model.safetensors"]),
    }
    parts = []
    with ParquetWriter(
        path, schema, metadata={METADATA_KEY: footer}, overwrite=overwrite
    ) as writer:
        for start in range(0, len(store), _ROWS):
            rows = np.arange(start, min(start + _ROWS, len(store)))
            codes = store.codes(rows)
            own = loaded.answerer.embeddings(codes, loaded.answerer.visible(codes, seen))
            names = [store.fields[i] for i in np.searchsorted(store.starts, rows, "right") - 1]
            flat = pa.array(own.reshape(-1))
            arrays = [
                pa.array(names, pa.string()),
                pa.array(ids[start : start + len(rows)], pa.string()),
                pa.FixedSizeListArray.from_arrays(flat, width),
            ]
            writer.write(pa.Table.from_arrays(arrays, schema=schema))
            parts.append(own)
    vectors = np.concatenate(parts) if parts else np.empty((0, width), dtype=np.float32)
    result: dict[str, Any] = {
        "output": str(path),
        "rows": len(store),
        "dimensions": width,
        "given": seen,
    }
    if neighbours_of is not None:
        if neighbours_of not in ids:
            raise InputError("--neighbours", f"no source {neighbours_of}", "an id of these fields")
        found, similarity = nearest(vectors, ids.index(neighbours_of), count)
        result["neighbours"] = [
            {"id": ids[row], "similarity": float(own)}
            for row, own in zip(found.tolist(), similarity.tolist(), strict=True)
        ]
    if figure is not None:
        value = true_columns(loaded.project, store, [colour])[colour] if colour else None
        unit = loaded.project.books.columns[colour].unit if colour else ""
        label = f"{colour} ({unit})" if unit else colour
        points, axes = projected(vectors, projection, configuration.seed)
        save(embedding_map(points, axes, value, label, bool(footer["synthetic"])), figure)
        result["figure"] = str(figure)
    return result


def nearest(
    vectors: NDArray[np.float32], row: int, count: int
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """The most similar rows by the cosine between vectors from which the mean is taken off.

    Parameters
    ----------
    vectors : ndarray of float32, shape (n, d)
    row : int
        Whose neighbours are wanted; it is not among them.
    count : int

    Returns
    -------
    ndarray of int64, shape (k,)
        k is `count`, or n - 1 if there are fewer.
    ndarray of float64, shape (k,)
        Cosines, falling.
    """
    centred = vectors.astype(np.float64) - vectors.mean(axis=0, dtype=np.float64)
    centred /= np.maximum(np.linalg.norm(centred, axis=1, keepdims=True), 1e-12)
    cosine = centred @ centred[row]
    cosine[row] = -np.inf
    order = np.argsort(-cosine, kind="stable")[: min(count, len(vectors) - 1)]
    return order, cosine[order]


def projected(
    vectors: NDArray[np.float32], kind: str, seed: int
) -> tuple[NDArray[np.float64], tuple[str, str]]:
    """Vectors in two dimensions (ndarray of float64, shape (n, 2)), and names of the axes.

    Raises
    ------
    ConfigurationError
        If UMAP is asked for and umap-learn is not installed.
    """
    if len(vectors) < 3:
        return np.zeros((len(vectors), 2)), ("", "")
    if kind == "umap":
        _require_umap()
        from umap import UMAP

        near = min(_UMAP_NEIGHBOURS, len(vectors) - 1)
        # Its spectral start needs more sources than it has components.
        start = "spectral" if near == _UMAP_NEIGHBOURS else "random"
        reducer = UMAP(n_neighbors=near, init=start, random_state=seed % 2**32, n_jobs=1)
        return np.asarray(reducer.fit_transform(vectors), np.float64), ("UMAP 1", "UMAP 2")
    centred = vectors.astype(np.float64) - vectors.mean(axis=0, dtype=np.float64)
    u, s, _ = np.linalg.svd(centred, full_matrices=False)
    share = s**2 / max(float((s**2).sum()), 1e-300)
    names = tuple(f"component {i + 1} ({100 * share[i]:.0f} % of the variance)" for i in range(2))
    return np.asarray(u[:, :2] * s[:2]), (names[0], names[1])


def _require_umap() -> None:
    if find_spec("umap") is None:
        raise ConfigurationError(
            "--projection umap",
            "umap-learn is not installed",
            action="install astromodal-transformer[umap], or use pca",
        )
