"""Gaia DR3 source files, matched at the epoch of the S-PLUS observations."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from astro_common.ecsv import open_ecsv
from astro_common.errors import InputError
from splus_hypercube.astrometry import propagate_epoch
from splus_hypercube.catalogues import find_column, float_column
from splus_hypercube.descriptions import describe_column
from splus_hypercube.fields import Field
from splus_hypercube.surveys.base import Survey, SurveyMatches, Target
from splus_hypercube.surveys.columns import match_fields, merge_schemas, prefixed
from splus_hypercube.surveys.healpix_files import HealpixFile, list_healpix_files
from splus_hypercube.surveys.nearest import NearestMatcher

__all__ = ["GaiaMatches", "GaiaSurvey", "gaia_matches"]

GAIA_EPOCH_JYEAR = 2016.0
"""Reference epoch of Gaia DR3 (Lindegren et al. 2021, A&A 649, A2)."""
J2000_JYEAR = 2000.0
# source_id / 2**35 is the HEALPix pixel of level 12 (Gaia DR3 documentation, section 20.1.1), and
# each level up is two bits more.
SOURCE_ID_LEVEL_8_BITS = 43

_MOTION_COLUMNS = ("pmra", "pmdec", "parallax", "radial_velocity")


class GaiaMatches(NearestMatcher):
    """Gaia counterparts, with their identifiers, by which XP spectra join."""

    def __init__(self, target: Target, radius_arcsec: float, schema: pa.Schema) -> None:
        super().__init__("gaia", target, radius_arcsec, schema)
        self._bucket_rows = target.bucket_rows
        self._rows = len(target)

    def source_ids(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Matched sources and the Gaia identifier of each.

        Returns
        -------
        source, source_id : ndarray of int64, shape (n_matches,)
        """
        sources, identifiers = [], []
        for start in range(0, self._rows, self._bucket_rows):
            column = self.rows(start, min(start + self._bucket_rows, self._rows))["gaia_source_id"]
            column = column.combine_chunks()
            known = np.flatnonzero(~np.asarray(column.is_null()))
            sources.append(start + known)
            identifiers.append(column.drop_null().to_numpy())
        empty = np.empty(0, dtype=np.int64)
        return np.concatenate([empty, *sources]), np.concatenate([empty, *identifiers])


def gaia_matches(matches: Mapping[str, SurveyMatches]) -> GaiaMatches:
    """The Gaia counterparts among the surveys matched so far."""
    gaia = matches["gaia"]
    if not isinstance(gaia, GaiaMatches):
        raise TypeError(f"the matches of Gaia are {type(gaia).__name__}")
    return gaia


class GaiaSurvey(Survey):
    """Gaia DR3 source files.

    Parameters
    ----------
    directory : Path
    radius_arcsec : float
    """

    name = "gaia"

    def __init__(self, directory: Path, radius_arcsec: float) -> None:
        self.directory = directory
        self.radius_arcsec = radius_arcsec

    def _files(self) -> list[HealpixFile]:
        return list_healpix_files(self.directory, "GaiaSource")

    def schema(self, fields: Sequence[Field]) -> pa.Schema:
        """See `Survey.schema`; all files of a Gaia release have one layout, the first tells it."""
        path = self._files()[0].path
        with open_ecsv(path) as reader:
            own = reader.schema
        find_column(own, ["source_id"], path)
        described = [
            describe_column(self.name, field.name, field, prefixed(self.name, field.name))
            for field in own
        ]
        epochs = [
            describe_column(self.name, name, pa.field(name, pa.float64()), f"gaia_{name}")
            for name in ("ra_j2000", "dec_j2000")
        ]
        return merge_schemas([pa.schema([*described, *epochs, *match_fields(self.name)])])

    def inputs(self, target: Target) -> list[Path]:
        """See `Survey.inputs`."""
        pixels = target.region.pixels_of_order(8)
        return [file.path for file in self._files() if file.holds_any(pixels)]

    def match(
        self, target: Target, schema: pa.Schema, earlier: Mapping[str, SurveyMatches]
    ) -> GaiaMatches:
        """See `Survey.match`."""
        matches = GaiaMatches(target, self.radius_arcsec, schema)
        for path in self.inputs(target):
            for block in _blocks(path, target):
                matches.add(*block.at_epoch(target.epoch_jyear), block.rows)
        matches.finish(
            epoch_jyear=target.epoch_jyear,
            reference_epoch_jyear=GAIA_EPOCH_JYEAR,
            pixels_without_file=self._uncovered(target),
        )
        return matches

    def _uncovered(self, target: Target) -> int:
        """Level-8 pixels of the region that no file covers."""
        pixels = target.region.pixels_of_order(8)
        covered = np.zeros(len(pixels), dtype=bool)
        for file in self._files():
            covered |= (pixels >= file.first) & (pixels <= file.last)
        return int((~covered).sum())


class _Block:
    """Those rows of a piece of a Gaia file that lie near the field."""

    def __init__(self, table: pa.Table, path: Path, target: Target) -> None:
        def column(name: str) -> NDArray[np.float64]:
            if name not in table.column_names:
                return np.full(table.num_rows, np.nan)
            return float_column(table, name, path)

        ra, dec = column("ra"), column("dec")
        near = np.flatnonzero(target.region.contains(ra, dec))
        self._table = table.take(pa.array(near))
        self._ra, self._dec = ra[near], dec[near]
        self._motion = [column(name)[near] for name in _MOTION_COLUMNS]
        epoch = column("ref_epoch")[near]
        self._epoch = np.where(np.isfinite(epoch), epoch, GAIA_EPOCH_JYEAR)

    def at_epoch(
        self, epoch_jyear: float, rows: slice | NDArray[np.int64] = slice(None)
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Positions at an epoch, all or those of some rows: ra, dec in degrees."""
        pmra, pmdec, parallax, velocity = (values[rows] for values in self._motion)
        years = epoch_jyear - self._epoch[rows]
        return propagate_epoch(
            self._ra[rows], self._dec[rows], pmra, pmdec, parallax, velocity, years
        )

    def rows(self, rows: NDArray[np.int64]) -> pa.Table:
        """The hypercube's columns of some rows."""
        table = self._table.take(pa.array(rows))
        table = table.rename_columns([prefixed("gaia", name) for name in table.column_names])
        j2000 = self.at_epoch(J2000_JYEAR, rows)
        for name, values in zip(("gaia_ra_j2000", "gaia_dec_j2000"), j2000, strict=True):
            table = table.append_column(name, pa.array(values))
        return table


def _blocks(path: Path, target: Target) -> Iterator[_Block]:
    with open_ecsv(path) as reader:
        for name in ("source_id", "ra", "dec"):
            if name not in reader.schema.names:
                raise InputError(path, f"no column {name}", "a GaiaSource file")
        for table in reader.batches():
            yield _Block(table, path, target)
