"""Gaia XP continuous mean spectra, joined exactly by Gaia's source identifier."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from astro_common.ecsv import open_ecsv
from astro_common.errors import InputError
from splus_hypercube.descriptions import describe_column
from splus_hypercube.fields import Field
from splus_hypercube.surveys.base import Survey, SurveyMatches, Target
from splus_hypercube.surveys.columns import conform, prefixed
from splus_hypercube.surveys.gaia import SOURCE_ID_LEVEL_8_BITS, gaia_matches
from splus_hypercube.surveys.healpix_files import HealpixFile, list_healpix_files
from splus_hypercube.surveys.nearest import BestRows

__all__ = ["GaiaXpSurvey"]


class _XpMatches(SurveyMatches):
    def __init__(self, best: BestRows, schema: pa.Schema, statistics: dict[str, Any]) -> None:
        self._best = best
        self._schema = schema
        self.statistics = statistics

    def rows(self, start: int, stop: int) -> pa.Table:
        return conform(self._best.rows(start, stop), self._schema)


class GaiaXpSurvey(Survey):
    """Gaia DR3 XP continuous mean spectra.

    Parameters
    ----------
    directory : Path
    """

    name = "gaiaxp"

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def _files(self) -> list[HealpixFile]:
        return list_healpix_files(self.directory, "XpContinuousMeanSpectrum")

    def schema(self, fields: Sequence[Field]) -> pa.Schema:
        """See `Survey.schema`; all files have one layout, the first tells it."""
        path = self._files()[0].path
        with open_ecsv(path) as reader:
            own = reader.schema
        if "source_id" not in own.names:
            raise InputError(path, "no column source_id", "an XpContinuousMeanSpectrum file")
        return pa.schema(
            [
                describe_column(self.name, field.name, field, prefixed(self.name, field.name))
                for field in own
            ]
        )

    def inputs(self, target: Target) -> list[Path]:
        """See `Survey.inputs`."""
        pixels = target.region.pixels_of_order(8)
        return [file.path for file in self._files() if file.holds_any(pixels)]

    def match(
        self, target: Target, schema: pa.Schema, earlier: Mapping[str, SurveyMatches]
    ) -> SurveyMatches:
        """See `Survey.match`; needs Gaia among the earlier surveys."""
        source, identifier = gaia_matches(earlier).source_ids()
        order = np.argsort(identifier, kind="stable")
        source, identifier = source[order], identifier[order]
        pixels = np.unique(identifier >> SOURCE_ID_LEVEL_8_BITS)
        best = BestRows(target, schema)
        for file in self._files():
            if not file.holds_any(pixels):
                continue
            with open_ecsv(file.path) as reader:
                for table in reader.batches():
                    self._join(table, source, identifier, best, file.path)
        found = int(best.found.sum())
        return _XpMatches(best, schema, {"join": "source_id", "matches": found})

    def _join(
        self,
        table: pa.Table,
        source: np.ndarray[Any, np.dtype[np.int64]],
        identifier: np.ndarray[Any, np.dtype[np.int64]],
        best: BestRows,
        path: Path,
    ) -> None:
        """Offer the rows of a table whose identifier belongs to matched sources."""
        column = table["source_id"].combine_chunks()
        if column.null_count or not pa.types.is_int64(column.type):
            raise InputError(path, f"a null or {column.type} source_id", "int64 in every row")
        rows = column.to_numpy()
        first = np.searchsorted(identifier, rows, side="left")
        count = np.searchsorted(identifier, rows, side="right") - first
        # A Gaia source may be the counterpart of several S-PLUS sources.
        row = np.repeat(np.arange(len(rows)), count)
        step = np.arange(len(row)) - np.repeat(np.cumsum(count) - count, count)
        matched = source[first[row] + step]
        new = ~best.found[matched]
        renamed = table.rename_columns([prefixed(self.name, name) for name in table.column_names])
        best.offer(matched, row, new, lambda wanted: renamed.take(pa.array(wanted)))
