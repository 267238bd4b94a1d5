"""What the network sees of a CCD, as arrays.

Input 1 is the representative image. Input 2 is the hits, and the statistics of
`cfht_iqa.model.statistics`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from astro_common.errors import InputError
from astro_common.parquet import parquet_errors, read_metadata
from cfht_iqa.model.statistics import background_numbers, exposure_numbers, source_numbers
from cfht_iqa.quality import CcdQuality
from cfht_iqa.repeated_images import N_CELLS, PairOffsets
from cfht_iqa.representatives import CUTOUT_PX, Representative

__all__ = ["CcdInputs", "exposures_of", "inputs_of", "read_inputs", "read_measures"]

_FIELDS: Final = tuple(CcdQuality(0).as_json())

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class CcdInputs:
    """What the network sees of many CCDs.

    Attributes
    ----------
    exposures, ccds : list of str
        Whose they are.
    images : ndarray of float32, shape (n, 25, 25 n_clusters)
        Representative images, in ADU above the background; NaN where a pixel says nothing.
    hits : ndarray of float32, shape (n, n_clusters + n_nodes)
        Shares of the sources by group, then by node.
    statistics : ndarray of float32, shape (n, N_STATISTICS)
        `background_numbers`, `source_numbers` and `exposure_numbers`, one after the other.
    """

    exposures: list[str]
    ccds: list[str]
    images: Floats
    hits: Floats
    statistics: Floats

    def __len__(self) -> int:
        """Number of CCDs."""
        return len(self.ccds)

    def take(self, rows: Sequence[int] | npt.NDArray[np.intp]) -> CcdInputs:
        """Return some of the CCDs."""
        index = np.asarray(rows, np.intp)
        return CcdInputs(
            [self.exposures[row] for row in index],
            [self.ccds[row] for row in index],
            self.images[index],
            self.hits[index],
            self.statistics[index],
        )


def inputs_of(
    exposure: str,
    names: Sequence[str],
    rows: Sequence[Representative],
    measured: Sequence[CcdQuality],
) -> CcdInputs:
    """Make the network's inputs of the representative images of an exposure.

    Parameters
    ----------
    exposure : str
        Its name.
    names : sequence of str
        Names of the CCDs.
    rows : sequence of Representative
        CCDs without sources are left out.
    measured : sequence of CcdQuality
        What was measured of each CCD.

    Returns
    -------
    CcdInputs
    """
    kept = [
        (name, row, quality)
        for name, row, quality in zip(names, rows, measured, strict=True)
        if row.cluster_hits is not None and row.node_hits is not None
    ]
    if not kept:
        empty = np.empty((0, 0), np.float32)
        return CcdInputs([], [], empty[None][:0], empty, empty)
    hits = [np.concatenate([row.cluster_hits, row.node_hits]) for _, row, _ in kept]
    whole = exposure_numbers(measured)
    numbers = [
        np.concatenate(
            [
                background_numbers(row.image, row.x, row.y, row.background),
                source_numbers(quality),
                whole,
            ]
        )
        for _, row, quality in kept
    ]
    return CcdInputs(
        [exposure] * len(kept),
        [name for name, _, _ in kept],
        np.stack([row.image for _, row, _ in kept]),
        np.stack(hits).astype(np.float32),
        np.stack(numbers),
    )


def read_inputs(path: Path) -> tuple[CcdInputs, dict[str, Any]]:
    """Read the network's inputs from a table of representative images.

    Parameters
    ----------
    path : Path
        ``representatives.parquet``, or its folder, with ``summary.parquet`` beside it.

    Returns
    -------
    CcdInputs
        Of the CCDs that have sources.
    dict
        What the file says of how it was made.

    Raises
    ------
    InputError
        If the file is damaged, lacks a column, or has no CCD with sources.
    """
    if not path.exists():
        raise InputError(path, "no such file or folder", "what cfht-iqa represent has made")
    path = path / "representatives.parquet" if path.is_dir() else path
    wanted = ["exposure", "ccd", "image", "cluster_hits", "node_hits", "n_sources"]
    wanted += ["cutout_x", "cutout_y", "cutout_background"]
    notes = read_metadata(path)
    with parquet_errors(path):
        table = pq.read_table(path, columns=wanted)
    if table.column_names != wanted:
        raise InputError(path, "columns are missing", ", ".join(wanted))
    table = table.filter(table["cluster_hits"].is_valid())
    if not table.num_rows:
        raise InputError(path, "no CCD with sources", "at least one")

    def lists(name: str, dtype: Any) -> npt.NDArray[Any]:
        column = table[name].combine_chunks()
        if not pa.types.is_fixed_size_list(column.type):
            raise InputError(path, f"column {name} of type {column.type}", "lists of one size")
        size = column.type.list_size
        values = column.flatten().to_numpy(zero_copy_only=False)
        # Arrow lends its memory to be read alone, and PyTorch wants to write.
        return np.array(values, dtype).reshape(table.num_rows, size)

    images = lists("image", np.float32).reshape(table.num_rows, CUTOUT_PX, -1)
    x, y, level = (lists(f"cutout_{name}", np.float64) for name in ("x", "y", "background"))
    measures = read_measures(path.with_name("summary.parquet"))
    wholes = {exposure: exposure_numbers(ccds) for exposure, ccds in exposures_of(measures).items()}
    names = zip(table["exposure"].to_pylist(), table["ccd"].to_pylist(), strict=True)
    numbers = []
    for row, name in enumerate(names):
        if name not in measures:
            raise InputError(
                path.with_name("summary.parquet"),
                f"no row of {' '.join(name)}",
                "a row for each CCD, as cfht-iqa represent writes it",
            )
        own = background_numbers(images[row], x[row], y[row], level[row])
        numbers.append(np.concatenate([own, source_numbers(measures[name]), wholes[name[0]]]))
    hits = np.concatenate(
        [lists("cluster_hits", np.float32), lists("node_hits", np.float32)], axis=1
    )
    inputs = CcdInputs(
        table["exposure"].to_pylist(), table["ccd"].to_pylist(), images, hits, np.stack(numbers)
    )
    return inputs, notes


def read_measures(path: Path) -> dict[tuple[str, str], CcdQuality]:
    """Read what was measured of each CCD.

    Parameters
    ----------
    path : Path
        ``summary.parquet``.

    Returns
    -------
    dict of (str, str) to CcdQuality
        By exposure and CCD.

    Raises
    ------
    InputError
        If the file is damaged or lacks a column.
    """
    wanted = ["exposure", "ccd", *_FIELDS, "pair_places", "pair_counts"]
    with parquet_errors(path):
        table = pq.read_table(path, columns=wanted)
    missing = [name for name in wanted if name not in table.column_names]
    if missing:
        raise InputError(path, f"no column {missing[0]}", "a table made by cfht-iqa represent")
    counts = table["pair_counts"].combine_chunks().flatten().to_numpy().reshape(-1, N_CELLS)
    rows = table.drop_columns(["pair_counts"]).to_pylist()
    return {
        (row["exposure"], row["ccd"]): _quality(row, own)
        for row, own in zip(rows, counts, strict=True)
    }


def exposures_of(
    measures: Mapping[tuple[str, str], CcdQuality],
) -> dict[str, list[CcdQuality]]:
    """Gather what `read_measures` returned by exposure."""
    gathered: dict[str, list[CcdQuality]] = {}
    for (exposure, _), measured in measures.items():
        gathered.setdefault(exposure, []).append(measured)
    return gathered


def _quality(row: dict[str, Any], counts: npt.NDArray[np.int32]) -> CcdQuality:
    numbers: dict[str, Any] = {name: np.nan if row[name] is None else row[name] for name in _FIELDS}
    places = row["pair_places"]
    return CcdQuality(**numbers, offsets=None if places is None else PairOffsets(places, counts))
