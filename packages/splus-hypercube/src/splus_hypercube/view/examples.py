"""Sources that are good examples of what a hypercube holds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from splus_hypercube.schema import cutout_column
from splus_hypercube.view.cube import Cube, open_cube
from splus_hypercube.view.matches import SURVEY_TITLES

__all__ = ["Example", "best_covered"]

# Candidates of a class for each example that is wanted; their cutouts are looked at.
_LOOKED_AT = 4


@dataclass(frozen=True, slots=True)
class Example:
    """A source worth showing.

    Attributes
    ----------
    path : Path
        Its hypercube.
    row : int
    surveys : int
        Number of surveys with a counterpart.
    epochs : int
        Number of ZTF epochs in all bands.
    spectral_type : str
        Redrock's class; empty without a DESI spectrum.
    complete : bool
        Whether its cutouts have data in every pixel.
    """

    path: Path
    row: int
    surveys: int
    epochs: int
    spectral_type: str
    complete: bool


def best_covered(paths: Sequence[Path], count: int) -> list[Example]:
    """The sources with counterparts in most surveys.

    Parameters
    ----------
    paths : sequence of Path
        Hypercubes.
    count : int

    Returns
    -------
    list of Example
        At most `count`. Each spectral class has its turn, so that stars do not stand for galaxies
        and quasars; within a class, sources with whole cutouts come first, then those with
        counterparts in more surveys, then those with more ZTF epochs.
    """
    candidates: list[Example] = []
    for path in paths:
        with open_cube(path) as cube:
            candidates.extend(_candidates(cube, count))
    candidates.sort(key=lambda item: (not item.complete, -item.surveys, -item.epochs))
    chosen: list[Example] = []
    while candidates and len(chosen) < count:
        seen: set[str] = set()
        for example in list(candidates):
            if example.spectral_type not in seen and len(chosen) < count:
                seen.add(example.spectral_type)
                chosen.append(example)
                candidates.remove(example)
    return chosen


def _candidates(cube: Cube, count: int) -> list[Example]:
    """The best few of each spectral class of one hypercube."""
    if not cube.num_rows:
        return []
    surveys = np.zeros(cube.num_rows, dtype=np.int64)
    for survey in SURVEY_TITLES:
        for name in (f"{survey}_separation_arcsec", f"{survey}_source_id"):
            own = cube.column_name(name)
            if own is not None:
                surveys += _known(cube.columns([own])[own])
                break
    epochs = np.zeros(cube.num_rows, dtype=np.int64)
    for band in ("g", "r", "i"):
        own = cube.column_name(f"ztf_nepochs_{band}")
        if own is not None:
            epochs += cube.columns([own])[own].fill_null(0).to_numpy().astype(np.int64)
    types = _spectral_types(cube)
    # The last key decides first; equal sources stay in catalogue order.
    order = np.lexsort((-epochs, -surveys))
    found: dict[str, list[Example]] = {}
    for row in order.tolist():
        of_class = found.setdefault(types[row], [])
        if len(of_class) < _LOOKED_AT * count:
            example = Example(
                cube.path,
                row,
                int(surveys[row]),
                int(epochs[row]),
                types[row],
                # Once enough are known to be complete, further pixels need not be read.
                sum(item.complete for item in of_class) < count and _is_complete(cube, row),
            )
            of_class.append(example)
    return [example for of_class in found.values() for example in of_class]


def _is_complete(cube: Cube, row: int) -> bool:
    """Whether the first band with a cutout has data in all of its pixels; true without images."""
    names = [cutout_column(str(band)) for band in cube.metadata.get("bands", [])]
    for name in names:
        cutout = cube.row(row, [name])[name][0]
        if cutout.is_valid:
            return bool(np.isfinite(cutout.values.to_numpy(zero_copy_only=False)).all())
    return not names


def _spectral_types(cube: Cube) -> list[str]:
    own = cube.column_name("desi_SPECTYPE")
    if own is None:
        return [""] * cube.num_rows
    values = cube.columns([own])[own].cast(pa.string()).fill_null("").to_pylist()
    return [str(value).strip() for value in values]


def _known(column: pa.ChunkedArray) -> NDArray[np.int64]:
    return np.asarray(column.is_valid().to_numpy(), dtype=np.int64)
