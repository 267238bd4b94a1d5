"""Which galaxies train, validate and test.

The ``hard`` split deals out galaxies; all observations of one MANGAID go together. The ``easy``
split deals out single spaxels of all galaxies: the patch of a test spaxel then holds training
spaxels, so that the figures of an easy split are leaky by design.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from astro_common.atomic import atomic_path
from astro_common.errors import ConfigurationError, InputError, OutputError
from manga_ssftt.catalog import Catalog
from manga_ssftt.layout import check_plateifu

__all__ = [
    "PARTS",
    "Split",
    "check_spaxels",
    "choose_properties",
    "easy_split",
    "hard_split",
    "read_split",
    "write_split",
]

PARTS: Final = ("train", "val", "test")
# What the hard split balances, as far as the catalogue has it.
_PROPERTIES: Final = ("LOG_MASS", "NSA_ELPETRO_MASS", "SFR_TOT", "NSA_ELPETRO_BA")
_MAX_PROPERTIES: Final = 2
_N_BINS: Final = 3

# Galaxies of one part: all their spaxels (None), or those at (y, x).
Split = dict[str, npt.NDArray[np.int64] | None]


@dataclass(frozen=True)
class _Group:
    """Observations of one MANGAID."""

    members: tuple[str, ...]
    stratum: tuple[int, ...]


def choose_properties(catalog: Catalog, names: Sequence[str] | None) -> list[str]:
    """Columns that a split balances: those asked for, or up to two that the catalogue has.

    Raises
    ------
    InputError
        If a column that is asked for is missing.
    """
    if names is not None:
        for name in names:
            catalog.numbers(name, [])
        return list(names)
    found: list[str] = [name for name in _PROPERTIES if name in catalog.columns]
    return found[:_MAX_PROPERTIES]


def hard_split(
    catalog: Catalog,
    plateifus: Sequence[str],
    fractions: Sequence[float],
    seed: int,
    properties: Sequence[str],
) -> dict[str, Split]:
    """Deal out galaxies.

    Parameters
    ----------
    catalog : Catalog
    plateifus : sequence of str
    fractions : sequence of 3 float
        Shares of `PARTS`; they are divided by their sum.
    seed : int
    properties : sequence of str
        Columns of which each part gets galaxies of all thirds.

    Returns
    -------
    dict of str to Split
        By `PARTS`.

    Raises
    ------
    InputError
        If a galaxy is not in the catalogue.
    ConfigurationError
        If there are fewer independent galaxies than parts.
    """
    shares = _shares(fractions)
    groups = _groups(catalog, sorted(plateifus), properties)
    wanted = int(np.sum(shares > 0))
    if len(groups) < wanted:
        raise ConfigurationError(
            "split", f"{len(groups)} independent galaxies", f"at least {wanted}"
        )
    random = np.random.default_rng(seed)
    order = sorted(range(len(groups)), key=lambda place: (groups[place].stratum, random.random()))
    part_of = _deal(len(groups), shares)
    result: dict[str, list[str]] = {part: [] for part in PARTS}
    for turn, place in enumerate(order):
        result[PARTS[part_of[turn]]] += groups[place].members
    return {part: dict.fromkeys(sorted(names)) for part, names in result.items()}


def easy_split(
    labels: Mapping[str, tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]],
    fractions: Sequence[float],
    seed: int,
) -> dict[str, Split]:
    """Deal out spaxels, each class in the same shares.

    Parameters
    ----------
    labels : mapping of str to (ndarray of int64, shape (n, 2); ndarray of int64, shape (n,))
        Labelled spaxels (y, x) of each galaxy and their classes.
    fractions, seed
        As for `hard_split`.

    Returns
    -------
    dict of str to Split
    """
    shares = _shares(fractions)
    random = np.random.default_rng(seed)
    names = sorted(labels)
    owner = np.concatenate([np.full(len(labels[name][0]), i) for i, name in enumerate(names)])
    places = np.concatenate([labels[name][0] for name in names])
    classes = np.concatenate([labels[name][1] for name in names])
    part = np.empty(len(classes), dtype=np.int64)
    for label in np.unique(classes):
        rows = random.permutation(np.flatnonzero(classes == label))
        part[rows] = _deal(len(rows), shares)
    result: dict[str, Split] = {}
    for number, name in enumerate(PARTS):
        result[name] = {
            galaxy: places[(owner == i) & (part == number)]
            for i, galaxy in enumerate(names)
            if np.any((owner == i) & (part == number))
        }
    return result


def _shares(fractions: Sequence[float]) -> npt.NDArray[np.float64]:
    shares = np.asarray(fractions, dtype=np.float64)
    if shares.shape != (3,) or not np.all(np.isfinite(shares) & (shares >= 0)) or shares[0] <= 0:
        raise ConfigurationError(
            "--fractions", " ".join(map(str, fractions)), "three shares, the first positive"
        )
    return np.asarray(shares / shares.sum())


def _groups(catalog: Catalog, plateifus: Sequence[str], properties: Sequence[str]) -> list[_Group]:
    members: dict[str, list[str]] = {}
    for plateifu in plateifus:
        members.setdefault(catalog.mangaid(plateifu), []).append(plateifu)
    first = [names[0] for names in members.values()]
    bins = [_bins(catalog.numbers(name, first)) for name in properties]
    return [
        _Group(tuple(names), tuple(int(values[place]) for values in bins))
        for place, names in enumerate(members.values())
    ]


def _bins(values: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
    """Which third of the values each belongs to; -1 where it is not known."""
    known = np.isfinite(values)
    if not np.any(known):
        return np.full(len(values), -1)
    edges = np.quantile(values[known], np.arange(1, _N_BINS) / _N_BINS)
    return np.where(known, np.searchsorted(edges, np.nan_to_num(values), side="right"), -1)


def _deal(count: int, shares: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
    """Number of the part of each of `count` items, so that every run of them has the shares."""
    part = np.empty(count, dtype=np.int64)
    dealt = np.zeros(len(shares))
    for turn in range(count):
        chosen = int(np.argmax(shares * (turn + 1) - dealt))
        part[turn] = chosen
        dealt[chosen] += 1
    # A small share may have got nothing: it gets an item of the largest part.
    for number in np.flatnonzero((shares > 0) & (dealt == 0)):
        largest = int(np.argmax(dealt))
        if dealt[largest] > 1:
            part[np.flatnonzero(part == largest)[-1]] = number
            dealt[largest] -= 1
            dealt[number] += 1
    return part


def write_split(folder: Path, split: Mapping[str, Split], *, overwrite: bool = False) -> None:
    """Write ``train.csv``, ``val.csv`` and ``test.csv``.

    The column is ``plateifu``; an easy split has ``y`` and ``x`` too.

    Raises
    ------
    OutputError
        If a file exists or cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for part in PARTS:
        path = folder / f"{part}.csv"
        if path.exists() and not overwrite:
            raise OutputError(path, "the file exists", action="give --overwrite to replace it")
    for part in PARTS:
        rows: list[str] = []
        by_spaxel = any(places is not None for places in split[part].values())
        for plateifu, places in split[part].items():
            if places is None:
                rows.append(plateifu)
            else:
                rows += [f"{plateifu},{y},{x}" for y, x in places]
        header = "plateifu,y,x" if by_spaxel else "plateifu"
        with atomic_path(folder / f"{part}.csv", overwrite=True) as partial:
            partial.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")


def read_split(folder: Path, part: str) -> Split:
    """Read one part of a split.

    Raises
    ------
    InputError
        If the file is missing or damaged.
    """
    path = folder / f"{part}.csv"
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows: list[dict[Any, Any]] = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        found = "no such file" if not path.exists() else f"cannot be read ({error})"
        raise InputError(path, found, "a split, as the verb split writes it") from error
    names: Split = {}
    places: dict[str, list[tuple[int, int]]] = {}
    for number, row in enumerate(rows, start=2):
        try:
            plateifu = check_plateifu((row["plateifu"] or "").strip())
            if row.get("y") is None:
                names[plateifu] = None
            else:
                places.setdefault(plateifu, []).append((int(row["y"]), int(row["x"])))
        except (KeyError, TypeError, ValueError, ConfigurationError) as error:
            raise InputError(
                path, f"line {number} is {row}", "plateifu, or plateifu,y,x"
            ) from error
    for plateifu, found_places in places.items():
        names[plateifu] = np.asarray(found_places, dtype=np.int64)
    return names


def check_spaxels(path: Path, places: npt.NDArray[np.int64], shape: tuple[int, ...]) -> None:
    """Check that the spaxels that a split names lie within a galaxy.

    Parameters
    ----------
    path : Path
        The galaxy's file, for the message.
    places : ndarray of int64, shape (n, 2)
        Spaxels (y, x).
    shape : tuple of int
        Begins with ``(n_y, n_x)``.

    Raises
    ------
    InputError
        If one lies outside.
    """
    outside = np.any((places < 0) | (places >= np.asarray(shape[:2])), axis=1)
    if np.any(outside):
        y, x = places[outside][0]
        raise InputError(
            path,
            f"no spaxel (y, x) = ({y}, {x}), which the split names",
            f"y below {shape[0]} and x below {shape[1]}",
            "run split again",
        )
