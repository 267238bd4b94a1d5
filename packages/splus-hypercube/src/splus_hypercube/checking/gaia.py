"""Gaia sources and XP spectra derived again: the archive's text files are streamed line by line."""

from __future__ import annotations

import csv
import gzip
import re
import warnings
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from astropy.table import Table
from numpy.typing import NDArray

from astro_common.errors import InputError
from splus_hypercube.checking.comparison import Near, Row
from splus_hypercube.checking.motion import SpaceMotion
from splus_hypercube.checking.neighbours import (
    Candidate,
    Sample,
    alternatives,
    near_pairs,
    pixels_near,
)
from splus_hypercube.checking.tables import reading, table_cells
from splus_hypercube.configuration import Gaia, GaiaXp

__all__ = ["gaia_rows", "gaia_xp_rows"]

Float = NDArray[np.float64]

# Gaia DR3, table gaia_source: positions are for 2016.0 (Lindegren et al. 2021, A&A 649, A2).
_EPOCH_JYEAR = 2016.0
# The star of the largest proper motion is Barnard's, 10.4 arcsec/yr; a little more.
_FASTEST_ARCSEC_PER_YEAR = 11.0
_FILE_ORDER = 8
_LINES = 20_000
Keep = Callable[[list[str], list[list[str]]], list[int]]


def _archive_files(directory: Path, stem: str, pixels: set[int]) -> list[Path]:
    """The archive's files that hold any of some pixels of level 8."""
    found = []
    with reading(directory):
        names = sorted(path.name for path in directory.iterdir())
    for name in names:
        match = re.match(rf"{stem}_(\d+)-(\d+)\.e?csv", name)
        if match and any(int(match[1]) <= pixel <= int(match[2]) for pixel in pixels):
            found.append(directory / name)
    return found


def _chosen_rows(path: Path, keep: Keep) -> list[dict[str, Any]]:
    """The wanted rows of an ECSV or CSV file; the others are never parsed as a table.

    Parameters
    ----------
    path : Path
    keep : callable
        Tells which lines of a block to keep, from the names of the columns and the split lines.
    """
    with reading(path), path.open("rb") as raw:
        compressed = raw.read(2) == b"\x1f\x8b"
    opened = gzip.open if compressed else open
    header: list[str] = []
    kept: list[str] = []
    with reading(path), opened(path, "rt", encoding="utf-8", newline="") as file:
        for line in file:
            header.append(line.rstrip("\r\n"))
            if not line.startswith("#"):
                break
        names = next(csv.reader(header[-1:]), [])
        for block in _blocks(file):
            kept.extend(block[k] for k in keep(names, list(csv.reader(block))))
        if not kept:
            return []
        style = "ascii.ecsv" if header[0].startswith("# %ECSV") else "ascii.csv"
        # Array cells are written with square or with round brackets.
        lines = [*header, *(line.replace('"(', '"[').replace(')"', ']"') for line in kept)]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            table = Table.read(lines, format=style, fill_values=[("null", "0"), ("", "0")])
    return [{name: _listed(value) for name, value in row.items()} for row in table_cells(table)]


def _blocks(lines: Iterator[str]) -> Iterator[list[str]]:
    while block := [line.rstrip("\r\n") for line in islice(lines, _LINES) if line.strip()]:
        yield block


def _listed(value: Any) -> Any:
    """The numbers of an array cell, which a plain CSV file holds as text."""
    if isinstance(value, str) and value.startswith("[") and value.endswith("]"):
        parts = [part.strip() for part in value[1:-1].split(",")]
        return np.array([np.nan if part in ("", "null") else float(part) for part in parts])
    return value


def _number(value: Any) -> float:
    return np.nan if value is None or value == "" else float(value)


def gaia_rows(section: Gaia, sample: Sample) -> list[list[Row]]:
    """What each source's Gaia columns may hold.

    Parameters
    ----------
    section : Gaia
        Of the configuration.
    sample : Sample

    Returns
    -------
    list of list of mapping
    """
    years = abs(sample.epoch_jyear - _EPOCH_JYEAR) + 1.0
    reach = section.radius_arcsec + _FASTEST_ARCSEC_PER_YEAR * years
    candidates: list[list[Candidate]] = [[] for _ in range(len(sample))]

    def near(names: list[str], lines: list[list[str]]) -> list[int]:
        place = [names.index("ra"), names.index("dec")]
        ra, dec = (_floats(line[column] for line in lines) for column in place)
        return sorted(set(near_pairs(sample, ra, dec, reach)[1].tolist()))

    pixels = pixels_near(sample, reach, _FILE_ORDER)
    for path in _archive_files(section.directory, "GaiaSource", pixels):
        stars = _chosen_rows(path, near)
        motion = _motion(stars)
        at_epoch = motion.at(sample.epoch_jyear)
        tolerance = motion.tolerance_arcsec(sample.epoch_jyear)
        limit = section.radius_arcsec + float(tolerance.max(initial=0.0))
        j2000 = _j2000(motion)
        pairs = near_pairs(sample, *at_epoch, limit)
        for source, star, separation in zip(*(part.tolist() for part in pairs), strict=True):
            columns = {f"gaia_{name}": value for name, value in stars[star].items()}
            columns |= j2000[star]
            candidates[source].append(Candidate(separation, columns, float(tolerance[star])))
    return [
        alternatives("gaia", found, section.radius_arcsec, lambda candidate: candidate.key)
        for found in candidates
    ]


def _floats(cells: Iterator[str]) -> Float:
    return np.array([np.nan if cell in ("", "null") else float(cell) for cell in cells], np.float64)


def _motion(stars: list[dict[str, Any]]) -> SpaceMotion:
    def column(name: str, default: float = np.nan) -> Float:
        values = np.array([_number(star.get(name)) for star in stars], np.float64)
        return np.where(np.isnan(values), default, values)

    return SpaceMotion(
        ra=column("ra"),
        dec=column("dec"),
        pmra=column("pmra"),
        pmdec=column("pmdec"),
        parallax=column("parallax"),
        radial_velocity=column("radial_velocity"),
        epoch_jyear=column("ref_epoch", _EPOCH_JYEAR),
    )


def _j2000(motion: SpaceMotion) -> list[dict[str, Near]]:
    ra, dec = motion.at(2000.0)
    tolerance = motion.tolerance_arcsec(2000.0) / 3600.0
    # Towards a pole a small angle on the sky is a large one in right ascension.
    wide = tolerance / np.maximum(np.cos(np.deg2rad(dec)), 1e-9)
    return [
        {
            "gaia_ra_j2000": Near(float(ra[k]), float(min(wide[k], 180.0)), 360.0),
            "gaia_dec_j2000": Near(float(dec[k]), float(tolerance[k])),
        }
        for k in range(len(ra))
    ]


def gaia_xp_rows(section: GaiaXp, gaia: list[list[Row]]) -> list[list[Row]]:
    """What each source's XP columns may hold, given what its Gaia columns may.

    Parameters
    ----------
    section : GaiaXp
    gaia : list of list of mapping
        From `gaia_rows`.

    Returns
    -------
    list of list of mapping
        As many for a source as `gaia` has, in the same order; none of its columns where Gaia has
        no XP spectrum.
    """
    wanted = {
        int(row["gaia_source_id"]) for rows in gaia for row in rows if "gaia_source_id" in row
    }
    # Without its lower 35 bits an identifier is the HEALPix pixel of level 12 (Gaia DR3
    # documentation, section 20.1.1), without 8 more that of level 8.
    pixels = {identifier >> 43 for identifier in wanted}

    def joins(names: list[str], lines: list[list[str]]) -> list[int]:
        place = names.index("source_id")
        return [k for k, line in enumerate(lines) if int(line[place]) in wanted]

    spectra: dict[int, Row] = {}
    for path in _archive_files(section.directory, "XpContinuousMeanSpectrum", pixels):
        for spectrum in _chosen_rows(path, joins):
            row = {f"gaiaxp_{name}": value for name, value in spectrum.items()}
            if spectra.setdefault(int(spectrum["source_id"]), row) is not row:
                raise InputError(path, f"source_id {spectrum['source_id']} twice", "once")
    return [[spectra.get(int(row.get("gaia_source_id", -1)), {}) for row in rows] for rows in gaia]
