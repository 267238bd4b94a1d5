"""Derive a sample of a hypercube's rows again and compare every column."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from splus_hypercube.bands import BAND_NAMES
from splus_hypercube.checking.catalogues import apogee_rows, specz_rows, vista_rows
from splus_hypercube.checking.comparison import Mismatch, Row, best_alternative, describe
from splus_hypercube.checking.cube import Cube, choose_rows, kinds_present
from splus_hypercube.checking.desi import desi_rows
from splus_hypercube.checking.gaia import gaia_rows, gaia_xp_rows
from splus_hypercube.checking.images import BandImage, cutout_rows, epoch_jyear, is_edge
from splus_hypercube.checking.neighbours import Sample
from splus_hypercube.checking.tables import TableRows, column_name, open_table
from splus_hypercube.checking.ztf import ztf_rows
from splus_hypercube.configuration import Configuration
from splus_hypercube.expressions import parse_selection

__all__ = ["CheckReport", "check_cube"]

_MAX_LISTED = 100
# Prefixes of the surveys' columns; columns without one are those of the S-PLUS catalogue.
_PREFIXES = ("gaia_", "gaiaxp_", "ztf_", "desi_", "apogee_", "specz_", "vista_", "splus_cut_")


@dataclass(frozen=True)
class CheckReport:
    """Result of a check.

    Attributes
    ----------
    field : str
    rows_checked, columns_checked : int
    mismatches : list of Mismatch
        The first hundred.
    num_mismatches : int
        How many there are in all.
    sample : dict of str to int
        Number of checked rows of each kind.
    """

    field: str
    rows_checked: int
    columns_checked: int
    mismatches: list[Mismatch]
    num_mismatches: int
    sample: dict[str, int]


def check_cube(
    path: Path, configuration: Configuration, *, rows: int = 100, seed: int = 0
) -> CheckReport:
    """Derive some rows of a hypercube again from the survey files, and compare.

    Parameters
    ----------
    path : Path
        The hypercube.
    configuration : Configuration
        The one with which it was built.
    rows : int
        Size of the random sample. It holds a row of every kind that exists: for each survey rows
        with a match, without one and with several candidates, and cutouts at an edge of the image.
    seed : int
        Seed of the sample, not negative.

    Returns
    -------
    CheckReport

    Raises
    ------
    InputError
        If the hypercube or a survey's file cannot be read.
    """
    cube = Cube(path)
    catalogue = open_table(configuration.catalogue_path(cube.field))
    findings = _Findings(cube)
    if catalogue.num_rows != cube.num_rows:
        findings.add_file("(number of rows)", cube.num_rows, catalogue.num_rows)
    images = _images(configuration, cube.field)
    ra, dec = _positions(catalogue)
    common = min(cube.num_rows, catalogue.num_rows)
    strata = {name: mask[:common] for name, mask in cube.strata().items()}
    strata |= {name: mask[:common] for name, mask in _edges(configuration, images, ra, dec).items()}
    chosen = choose_rows(common, rows, strata, seed)
    sample = Sample(chosen, ra[chosen], dec[chosen], _epoch(configuration, images))
    found = cube.rows(chosen)
    for columns, expected in _expectations(configuration, cube, catalogue, images, sample, found):
        findings.compare(columns, sample, found, expected)
    return CheckReport(
        field=cube.field,
        rows_checked=len(chosen),
        columns_checked=len(cube.kinds),
        mismatches=findings.listed,
        num_mismatches=findings.total,
        sample=kinds_present(strata, chosen),
    )


class _Findings:
    """Mismatches as they are found; only the first are kept."""

    def __init__(self, cube: Cube) -> None:
        self.listed: list[Mismatch] = []
        self.total = 0
        self._kinds = cube.kinds
        self._absent: set[str] = set()
        self._identifier = next((name for name in cube.kinds if name.lower() == "id"), None)

    def _add(self, mismatch: Mismatch) -> None:
        self.total += 1
        if len(self.listed) < _MAX_LISTED:
            self.listed.append(mismatch)

    def add_file(self, column: str, found: Any, expected: Any) -> None:
        """Add a mismatch of the file as a whole."""
        self._add(Mismatch(None, "", column, str(found), str(expected)))

    def compare(
        self,
        columns: Sequence[str],
        sample: Sample,
        found: Sequence[Row],
        expected: Sequence[Sequence[Row]],
    ) -> None:
        """Compare some columns of all rows, each row with everything that it may hold."""
        for row, cells, alternatives in zip(sample.rows.tolist(), found, expected, strict=True):
            wanted, wrong = best_alternative(cells, alternatives, columns, self._kinds)
            for column in wrong:
                texts = describe(cells[column], wanted.get(column))
                self._add(Mismatch(row, self._name(cells), column, *texts))
            for column in wanted.keys() - self._kinds.keys() - self._absent:
                self._absent.add(column)
                self.add_file(column, "no such column", "this column")

    def _name(self, cells: Row) -> str:
        return "" if self._identifier is None else str(cells[self._identifier])


def _images(configuration: Configuration, field: str) -> dict[str, BandImage | None]:
    if not configuration.splus.images:
        return {}
    paths = {band: configuration.image_path(field, band) for band in BAND_NAMES}
    return {band: None if path is None else BandImage.open(path) for band, path in paths.items()}


def _epoch(configuration: Configuration, images: Mapping[str, BandImage | None]) -> float:
    if configuration.splus.epoch_jyear is not None:
        return configuration.splus.epoch_jyear
    return epoch_jyear([image for image in images.values() if image is not None])


def _positions(catalogue: TableRows) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    names = [column_name(catalogue, name) for name in ("ra", "dec")]
    blocks = [block for _, block in catalogue.blocks(names)]
    ra, dec = (
        np.concatenate([np.empty(0), *(np.asarray(block[name], np.float64) for block in blocks)])
        for name in names
    )
    return ra, dec


def _edges(
    configuration: Configuration,
    images: Mapping[str, BandImage | None],
    ra: NDArray[np.float64],
    dec: NDArray[np.float64],
) -> dict[str, NDArray[np.bool_]]:
    present = next((image for image in images.values() if image is not None), None)
    if present is None:
        return {}
    x, y = present.pixels(ra, dec)
    return {"cutout at an edge": is_edge(x, y, present.shape, configuration.cutouts.size_px)}


def _requested(
    configuration: Configuration,
    catalogue: TableRows,
    cells: Sequence[Row],
    gaia: Sequence[Sequence[Row]],
) -> NDArray[np.bool_]:
    """Which sources of the sample get cutouts."""
    rows = configuration.cutouts.rows.strip()
    if rows in ("all", "none"):
        return np.full(len(cells), rows == "all")
    if rows == "gaia":
        return np.array(["gaia_source_id" in found[0] for found in gaia], dtype=bool)
    selection = parse_selection(rows)
    values = {}
    for column in selection.columns:
        name = column_name(catalogue, column)
        values[column] = np.array([_comparable(row[name]) for row in cells])
    return selection.rows(values, len(cells))


def _comparable(value: Any) -> Any:
    if value is None or value is np.ma.masked:
        return np.nan
    return value.strip() if isinstance(value, str) else value


def _expectations(
    configuration: Configuration,
    cube: Cube,
    catalogue: TableRows,
    images: Mapping[str, BandImage | None],
    sample: Sample,
    found: Sequence[Row],
) -> list[tuple[list[str], Sequence[Sequence[Row]]]]:
    """For each group of columns, what each row of the sample may hold."""
    own = catalogue.rows(sample.rows)
    nothing: list[list[Row]] = [[{}] for _ in range(len(sample))]
    surveys: dict[str, Sequence[Sequence[Row]]] = dict.fromkeys(_PREFIXES, nothing)
    gaia: list[list[Row]] = nothing
    if configuration.gaia is not None:
        gaia = surveys["gaia_"] = gaia_rows(configuration.gaia, sample)
        if configuration.gaia_xp is not None:
            surveys["gaiaxp_"] = gaia_xp_rows(configuration.gaia_xp, gaia)
    if configuration.ztf is not None:
        surveys["ztf_"] = ztf_rows(configuration.ztf, sample, found)
    if configuration.desi is not None:
        surveys["desi_"] = desi_rows(configuration.desi, sample)
    if configuration.apogee is not None:
        surveys["apogee_"] = apogee_rows(configuration.apogee, sample)
    if configuration.specz is not None:
        surveys["specz_"] = specz_rows(configuration.specz, sample)
    if (vista := configuration.vista) is not None:
        path = Path(vista.file.format(field=cube.field))
        surveys["vista_"] = vista_rows(path, vista.radius_arcsec, sample)
    if images:
        requested = _requested(configuration, catalogue, own, gaia)
        per_band = f"splus_cut_dx_px_{BAND_NAMES[0]}" in cube.kinds
        cutouts = cutout_rows(
            images, sample, requested, configuration.cutouts.size_px, per_band, found
        )
        surveys["splus_cut_"] = [[row] for row in cutouts]
    groups = [
        ([name for name in cube.kinds if name.startswith(prefix)], rows)
        for prefix, rows in surveys.items()
    ]
    rest = [name for name in cube.kinds if not name.startswith(_PREFIXES)]
    return [(rest, [[row] for row in own]), *groups]
