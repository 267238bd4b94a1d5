"""Surveys whose positions hold at any epoch: APOGEE, spectroscopic redshifts, VISTA."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from astro_common.errors import InputError
from splus_hypercube.catalogues import Catalogue, find_column, float_column, open_catalogue
from splus_hypercube.descriptions import describe_column
from splus_hypercube.fields import Field
from splus_hypercube.surveys.base import Survey, SurveyMatches, Target
from splus_hypercube.surveys.columns import match_fields, prefixed, schema_of_files
from splus_hypercube.surveys.nearest import NearestMatcher

__all__ = ["StaticCatalogueSurvey", "apogee_survey", "specz_survey", "vista_survey"]

Float = NDArray[np.float64]
Int = NDArray[np.int64]
# Tells from a catalogue and its path which rows may match at all.
RowFilter = Callable[[Catalogue, Path], NDArray[np.bool_]]

# EXTRATARG bit 4: not the main observation of the star (SDSS DR17 bitmask APOGEE_EXTRATARG).
_APOGEE_DUPLICATE = 1 << 4


@lru_cache(maxsize=4)
def _positions(
    path: Path, _size: int, _mtime_ns: int, names: tuple[tuple[str, ...], ...], keep: RowFilter
) -> tuple[Int, Float, Float]:
    """Rows of a catalogue that may match, with their positions.

    Kept between the fields of one process: APOGEE and the redshifts are one file each for the whole
    sky. The size and time of the file are arguments so that a changed file is read again.
    """
    with open_catalogue(path) as catalogue:
        ra_name, dec_name = (find_column(catalogue.schema, choice, path) for choice in names)
        table = catalogue.read([ra_name, dec_name])
        ra, dec = float_column(table, ra_name, path), float_column(table, dec_name, path)
        rows = np.flatnonzero(np.isfinite(ra) & np.isfinite(dec) & keep(catalogue, path))
    return rows, ra[rows], dec[rows]


class StaticCatalogueSurvey(Survey):
    """A survey that is one catalogue file for all fields, or one per field.

    Parameters
    ----------
    name : str
    path_of : callable
        Gives the file of a field by name.
    radius_arcsec : float
    ra_names, dec_names : tuple of str
        What the position columns may be called.
    keep : callable, optional
        Tells which rows of a catalogue may match; all by default.
    """

    def __init__(
        self,
        name: str,
        path_of: Callable[[str], Path],
        radius_arcsec: float,
        *,
        ra_names: tuple[str, ...] = ("ra",),
        dec_names: tuple[str, ...] = ("dec",),
        keep: RowFilter | None = None,
    ) -> None:
        self.name = name
        self.path_of = path_of
        self.radius_arcsec = radius_arcsec
        self.names = (ra_names, dec_names)
        self.keep = keep or _every_row

    def file_schema(self, path: Path) -> pa.Schema:
        """The columns that one file gives, prefixed and described."""
        with open_catalogue(path) as catalogue:
            for names in self.names:
                find_column(catalogue.schema, names, path)
            return pa.schema(
                [
                    describe_column(self.name, field.name, field, prefixed(self.name, field.name))
                    for field in catalogue.schema
                ]
            )

    def schema(self, fields: Sequence[Field]) -> pa.Schema:
        """See `Survey.schema`; the union over the files of all fields."""
        paths = list(dict.fromkeys(self.path_of(field.name) for field in fields))
        return schema_of_files(self.name, paths, self.file_schema, extra=match_fields(self.name))

    def inputs(self, target: Target) -> list[Path]:
        """See `Survey.inputs`."""
        return [self.path_of(target.field)]

    def match(
        self, target: Target, schema: pa.Schema, earlier: Mapping[str, SurveyMatches]
    ) -> SurveyMatches:
        """See `Survey.match`."""
        path = self.path_of(target.field)
        matches = NearestMatcher(self.name, target, self.radius_arcsec, schema)
        with open_catalogue(path) as catalogue:
            status = path.stat()
            rows, ra, dec = _positions(
                path, status.st_size, status.st_mtime_ns, self.names, self.keep
            )
            near = np.flatnonzero(target.region.contains(ra, dec))

            def values(wanted: Int) -> pa.Table:
                table = catalogue.rows(rows[near[wanted]])
                return table.rename_columns(
                    [prefixed(self.name, name) for name in table.column_names]
                )

            matches.add(ra[near], dec[near], values)
        return matches.finish()


def _every_row(catalogue: Catalogue, _path: Path) -> NDArray[np.bool_]:
    return np.ones(catalogue.num_rows, dtype=bool)


def apogee_survey(file: Path, radius_arcsec: float) -> StaticCatalogueSurvey:
    """The APOGEE DR17 allStar file as a survey, without its duplicate observations.

    Parameters
    ----------
    file : Path
        FITS, HDU 1, with ``RA``, ``DEC`` in degrees and the bits ``EXTRATARG``.
    radius_arcsec : float
    """
    return StaticCatalogueSurvey(
        "apogee", lambda _field: file, radius_arcsec, keep=_main_observations
    )


def _main_observations(catalogue: Catalogue, path: Path) -> NDArray[np.bool_]:
    name = find_column(catalogue.schema, ["EXTRATARG"], path)
    column = catalogue.read([name])[name]
    if not pa.types.is_integer(column.type):
        raise InputError(path, f"{name} of type {column.type}", "integer bits")
    return np.asarray((column.fill_null(0).to_numpy() & _APOGEE_DUPLICATE) == 0)


def specz_survey(file: Path, radius_arcsec: float) -> StaticCatalogueSurvey:
    """A compilation of spectroscopic redshifts as a survey.

    Parameters
    ----------
    file : Path
        Parquet or FITS with ``RA``, ``DEC`` in degrees.
    radius_arcsec : float
    """
    return StaticCatalogueSurvey(
        "specz",
        lambda _field: file,
        radius_arcsec,
        ra_names=("RA", "RAJ2000", "ra_deg"),
        dec_names=("DEC", "DEJ2000", "DECJ2000", "dec_deg"),
    )


def vista_survey(template: str, radius_arcsec: float) -> StaticCatalogueSurvey:
    """VISTA photometry (VHS DR5), one file per field, as a survey.

    Parameters
    ----------
    template : str
        Path with ``{field}``; Parquet or FITS with ``ra2000``, ``dec2000`` in degrees.
    radius_arcsec : float
    """
    return StaticCatalogueSurvey(
        "vista",
        lambda field: Path(template.format(field=field)),
        radius_arcsec,
        ra_names=("ra2000", "RAJ2000", "ra"),
        dec_names=("dec2000", "DEJ2000", "dec"),
    )
