"""Sources that show what a hypercube holds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from splus_hypercube.view.cube import Cube, open_cube
from splus_hypercube.view.matches import SURVEY_TITLES

__all__ = ["Example", "best_covered"]


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
    """

    path: Path
    row: int
    surveys: int
    epochs: int
    spectral_type: str


def best_covered(paths: Sequence[Path], count: int) -> list[Example]:
    """The sources that most surveys know.

    Parameters
    ----------
    paths : sequence of Path
        Hypercubes.
    count : int

    Returns
    -------
    list of Example
        At most `count`. Each spectral class has its turn, so that stars do not stand for galaxies
        and quasars; within a class, sources with counterparts in more surveys come first, then
        those with more ZTF epochs.
    """
    candidates: list[Example] = []
    for path in paths:
        with open_cube(path) as cube:
            candidates.extend(_candidates(cube, count))
    candidates.sort(key=lambda example: (-example.surveys, -example.epochs))
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
        if len(of_class) < count:
            of_class.append(
                Example(cube.path, row, int(surveys[row]), int(epochs[row]), types[row])
            )
    return [example for of_class in found.values() for example in of_class]


def _spectral_types(cube: Cube) -> list[str]:
    own = cube.column_name("desi_SPECTYPE")
    if own is None:
        return [""] * cube.num_rows
    values = cube.columns([own])[own].cast(pa.string()).fill_null("").to_pylist()
    return [str(value).strip() for value in values]


def _known(column: pa.ChunkedArray) -> NDArray[np.int64]:
    return np.asarray(column.is_valid().to_numpy(), dtype=np.int64)
