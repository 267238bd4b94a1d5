"""Rows of the hypercube in catalogue order, a row group at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from astro_common.errors import InputError
from astro_common.fits import FitsImage, open_fits
from splus_hypercube.catalogues import Catalogue
from splus_hypercube.cutouts import ImageStrips, SourcePixels, source_pixels
from splus_hypercube.schema import RunSchema, cutout_column, offset_columns, wcs_cards
from splus_hypercube.surveys import SurveyMatches, Target
from splus_hypercube.surveys.columns import conform

__all__ = ["FieldCutouts", "iter_row_groups", "rows_per_group"]

# Memory for decompressed rows of the images, all bands together.
_STRIP_MEMORY_BYTES = 640 << 20
# Large enough for fast reading, small enough that two row groups fit into memory.
_GROUP_BYTES = 112 << 20
_BYTES_PER_ROW = {"gaia": 2000, "gaiaxp": 28_000, "desi": 130_000, "ztf": 20_000}


def rows_per_group(run: RunSchema) -> int:
    """Number of rows in a row group: a power of two that keeps a group of full rows moderate."""
    row = 4000 + sum(_BYTES_PER_ROW.get(name, 2000) for name in run.surveys)
    for field in run.images:
        if pa.types.is_fixed_size_list(field.type):
            row += 4 * field.type.list_size
    return int(2 ** np.clip(np.floor(np.log2(_GROUP_BYTES / row)), 0, 15))


class FieldCutouts:
    """Cutouts of one field in all bands.

    Parameters
    ----------
    images : mapping of str to Path or None
        Each band's file; None leaves the band null.
    target : Target
    requested : ndarray of bool, shape (n_rows,)
        Sources that get cutouts.
    size_px : int
        Side of a cutout.

    Raises
    ------
    InputError
        If an image is missing or damaged, or has no usable WCS.
    """

    def __init__(
        self,
        images: Mapping[str, Path | None],
        target: Target,
        requested: NDArray[np.bool_],
        size_px: int,
    ) -> None:
        self.size_px = size_px
        self.bands = tuple(images)
        # Number of requested sources before each row, and in all.
        self._before = np.concatenate([[0], np.cumsum(requested)])
        self._requested = requested
        self._pixels: dict[str, SourcePixels] = {}
        self._strips: dict[str, ImageStrips] = {}
        # Two sets of buffers, used in turn: one group is written while the next is cut.
        self._buffers: tuple[dict[str, NDArray[np.float32]], ...] = ({}, {})
        self._calls = 0
        present = {band: path for band, path in images.items() if path is not None}
        known: dict[str, SourcePixels] = {}
        ra, dec = target.ra[requested], target.dec[requested]
        stack = ExitStack()
        target.scratch.on_close(stack.close)
        for band, path in present.items():
            image = stack.enter_context(open_fits(path)).image()
            if len(image.shape) != 2:
                raise InputError(path, f"an image of {len(image.shape)} dimensions", "two")
            # Most bands share one grid, whose pixel positions are computed once.
            grid = repr((image.shape, sorted(wcs_cards(image.header).items())))
            if grid not in known:
                known[grid] = source_pixels(image.header, ra, dec, path)
            self._pixels[band] = known[grid]
            self._strips[band] = ImageStrips(
                _row_reader(image),
                (int(image.shape[0]), int(image.shape[1])),
                known[grid].y,
                size_px,
                target.scratch,
                _STRIP_MEMORY_BYTES // len(present),
                tile_rows=image.strip_rows,
            )

    def columns(self, run: RunSchema, start: int, stop: int) -> dict[str, pa.Array]:
        """Image columns of consecutive rows; valid until the second next call.

        Parameters
        ----------
        run : RunSchema
        start, stop : int
            Rows of the catalogue.

        Returns
        -------
        dict of str to pyarrow.Array
        """
        self._calls += 1
        count = stop - start
        requested = self._requested[start:stop]
        first, last = int(self._before[start]), int(self._before[stop])
        columns: dict[str, pa.Array] = {}
        for band in self.bands:
            kind = run.images.field(cutout_column(band)).type
            if band not in self._strips or first == last:
                columns[cutout_column(band)] = pa.nulls(count, kind)
                continue
            pixels = self._pixels[band]
            cutouts = self._buffer(band, count)
            wanted = cutouts if last - first == count else cutouts[: last - first]
            self._strips[band].cut(first, pixels.x[first:last], pixels.y[first:last], wanted)
            if last - first < count:
                self._spread(cutouts, requested, last - first)
            columns[cutout_column(band)] = pa.FixedSizeListArray.from_arrays(
                pa.array(cutouts.reshape(-1)),
                type=kind,
                mask=None if requested.all() else pa.array(~requested),
            )
        for name in (None, *(self.bands if run.bands_differ else ())):
            columns.update(self._offsets(name, requested, first, last))
        return columns

    @staticmethod
    def _spread(cutouts: NDArray[np.float32], requested: NDArray[np.bool_], count: int) -> None:
        """Move the first `count` cutouts to the requested rows, from the last down."""
        rows = np.flatnonzero(requested)
        for k in range(count - 1, -1, -1):
            if rows[k] != k:
                cutouts[rows[k]] = cutouts[k]

    def _buffer(self, band: str, count: int) -> NDArray[np.float32]:
        buffers = self._buffers[self._calls % 2]
        if band not in buffers or len(buffers[band]) < count:
            buffers[band] = np.empty((count, self.size_px, self.size_px), dtype=np.float32)
        return buffers[band][:count]

    def _offsets(
        self, band: str | None, requested: NDArray[np.bool_], first: int, last: int
    ) -> dict[str, pa.Array]:
        pixels = self._pixels.get(band) if band else next(iter(self._pixels.values()), None)
        columns = {}
        for axis, name in zip(("dx", "dy"), offset_columns(band), strict=True):
            values = np.full(len(requested), np.nan)
            if pixels is not None:
                values[requested] = getattr(pixels, axis)[first:last]
            columns[name] = pa.array(values, mask=np.isnan(values))
        return columns


def _row_reader(image: FitsImage) -> Callable[[int, int], NDArray[np.float32]]:
    def read(start: int, stop: int) -> NDArray[np.float32]:
        return np.ascontiguousarray(image.read(rows=slice(start, stop)), dtype=np.float32)

    return read


def iter_row_groups(
    run: RunSchema,
    target: Target,
    catalogue: Catalogue,
    cutouts: FieldCutouts | None,
    surveys: Mapping[str, SurveyMatches],
    group_rows: int,
) -> Iterator[pa.Table]:
    """Yield the rows of a field in catalogue order, with exactly the run's columns.

    A table is valid until the second next is asked for.

    Parameters
    ----------
    run : RunSchema
    target : Target
    catalogue : Catalogue
        The open S-PLUS catalogue.
    cutouts : FieldCutouts or None
        None where the run has no images.
    surveys : mapping of str to SurveyMatches
    group_rows : int
        Rows of each table; a divisor of the target's `bucket_rows`.

    Yields
    ------
    pyarrow.Table
    """
    schema = run.schema
    for bucket in range(0, len(target), target.bucket_rows):
        end = min(bucket + target.bucket_rows, len(target))
        rows = conform(catalogue.rows(np.arange(bucket, end)), run.catalogue)
        tables = [rows, *(matches.rows(bucket, end) for matches in surveys.values())]
        values = {name: table[name] for table in tables for name in table.column_names}
        for start in range(bucket, end, group_rows):
            stop = min(start + group_rows, end)
            group = {
                name: column.slice(start - bucket, stop - start) for name, column in values.items()
            }
            if cutouts is not None:
                group.update(cutouts.columns(run, start, stop))
            yield pa.Table.from_arrays([group[name] for name in schema.names], schema=schema)
