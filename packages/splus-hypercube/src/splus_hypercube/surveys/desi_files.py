"""Which DESI coadds a field needs, in the tile layout and in the HEALPix layout."""

from __future__ import annotations

import csv
from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from astro_common.errors import InputError

__all__ = [
    "HEALPIX_ORDER",
    "TILE_RADIUS_DEG",
    "any_coadd",
    "healpix_coadds",
    "redrock_beside",
    "tile_coadds",
]

TILE_RADIUS_DEG = 1.7
"""Largest distance of a fibre from its tile's centre (DESI Collaboration 2022, AJ 164, 207)."""
HEALPIX_ORDER = 6
"""NSIDE 64, nested: the pixels of the DR1 layout."""
# Tells from ra, dec (deg) which tiles are wanted.
TileFilter = Callable[[NDArray[np.float64], NDArray[np.float64]], NDArray[np.bool_]]

_COADDS = ("coadd-*.fits", "coadd-*.fits.gz")


@dataclass(frozen=True)
class _Tiles:
    identifiers: tuple[int, ...]
    ra: NDArray[np.float64]
    dec: NDArray[np.float64]


@lru_cache(maxsize=4)
def _read_tiles(path: Path, _mtime_ns: int) -> _Tiles:
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = list(csv.DictReader(file))
        identifiers = tuple(int(row["TILEID"]) for row in rows)
        ra = np.array([float(row["TILERA"]) for row in rows], dtype=np.float64)
        dec = np.array([float(row["TILEDEC"]) for row in rows], dtype=np.float64)
    except (OSError, KeyError, TypeError, ValueError, csv.Error) as error:
        raise InputError(
            path, f"cannot be read ({error!r})", "CSV with the columns TILEID, TILERA, TILEDEC"
        ) from error
    return _Tiles(identifiers, ra, dec)


def tile_coadds(directory: Path, tiles: Path, keep: TileFilter) -> list[Path]:
    """Coadds ``<TILEID>/<NIGHT>/coadd-*`` of some tiles.

    Parameters
    ----------
    directory : Path
    tiles : Path
        CSV with the columns ``TILEID``, ``TILERA``, ``TILEDEC`` (deg).
    keep : callable
        Tells from ra, dec of the tiles' centres (deg) which tiles are wanted.

    Returns
    -------
    list of Path
        Sorted.

    Raises
    ------
    InputError
        If the table of tiles cannot be read or the folder is missing.
    """
    _require_folder(directory)
    try:
        table = _read_tiles(tiles, tiles.stat().st_mtime_ns)
    except OSError as error:
        raise InputError(tiles, f"cannot be read ({error.strerror})", "a CSV of tiles") from error
    paths: list[Path] = []
    for row in np.flatnonzero(keep(table.ra, table.dec)).tolist():
        folder = directory / str(table.identifiers[row])
        for pattern in _COADDS:
            paths.extend(folder.glob(f"*/{pattern}"))
    return sorted(set(paths))


def healpix_coadds(directory: Path, pixels: Collection[int]) -> list[Path]:
    """Coadds ``healpix/<survey>/<program>/<pix//100>/<pix>/coadd-*`` of some pixels.

    Parameters
    ----------
    directory : Path
    pixels : collection of int
        Nested pixels of `HEALPIX_ORDER`.

    Returns
    -------
    list of Path
        Sorted.

    Raises
    ------
    InputError
        If there is no ``healpix`` folder.
    """
    root = directory / "healpix"
    _require_folder(root)
    patterns = [f"*/*/{pixel // 100}/{pixel}/{pattern}" for pixel in pixels for pattern in _COADDS]
    return sorted({path for pattern in patterns for path in root.glob(pattern)})


def any_coadd(directory: Path, *, healpix: bool) -> list[Path]:
    """The first coadd of a layout, to tell the columns where a run needs none (list of Path)."""
    depth = "healpix/*/*/*/*" if healpix else "*/*"
    paths = (path for pattern in _COADDS for path in directory.glob(f"{depth}/{pattern}"))
    first = min(paths, default=None)
    return [] if first is None else [first]


def redrock_beside(coadd: Path) -> Path | None:
    """The redrock file that belongs to a coadd, or None if there is none."""
    stem = coadd.name.removeprefix("coadd-").removesuffix(".gz")
    for name in (f"redrock-{stem}", f"redrock-{stem}.gz"):
        path = coadd.with_name(name)
        if path.exists():
            return path
    return None


def _require_folder(path: Path) -> None:
    if not path.is_dir():
        raise InputError(path, "no such folder", "DESI coadds below it")
