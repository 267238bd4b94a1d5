"""From shards to tables: one row per event."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from astro_common.errors import ConfigurationError, InputError, OutputError
from astro_common.jobs import run_units
from astro_common.provenance import provenance
from scone_io.example.layout import EventBatch
from scone_io.labels import BINARY, LABEL_MAPS
from scone_io.shards import Shard, Shards
from scone_io.summary.channels import Channels
from scone_io.summary.columns import curve_schema, spectrum_schema, summary_schema
from scone_io.summary.features import curves_of, spectra_of, summary_of
from scone_io.summary.ranges import Range, ranges_of
from scone_io.summary.tables import Write, check_suffix, named_output, table_writer

__all__ = ["Extraction", "Totals", "extract", "summary_table"]


@dataclass(frozen=True)
class Extraction:
    """What is to be extracted.

    Attributes
    ----------
    output : Path
        ``.csv`` or ``.parquet``.
    compat : bool
        As the existing tool writes it, to the character.
    light_curves, spectra : bool
        Also write these, beside the output.
    labels : str
        A key of `scone_io.labels.LABEL_MAPS`.
    limit : int or None
        Only so many events.
    workers : int
        Processes that work side by side.
    overwrite : bool
        Replace outputs that exist.
    """

    output: Path
    compat: bool = False
    light_curves: bool = False
    spectra: bool = False
    labels: str = "binary"
    limit: int | None = None
    workers: int = 1
    overwrite: bool = False

    def outputs(self) -> list[Path]:
        """The files that will be written."""
        names = [self.output]
        names += [named_output(self.output, "lightcurves")] * self.light_curves
        names += [named_output(self.output, "spectra")] * self.spectra
        return names

    def check(self) -> None:
        """Raise before the work what it would otherwise end with."""
        check_suffix(self.output)
        if self.compat and self.output.suffix != ".csv":
            raise ConfigurationError("--compat", str(self.output), "an output named .csv")
        for path in self.outputs():
            if path.exists() and not self.overwrite:
                raise OutputError(path, "the file exists", action="give --overwrite to replace it")


@dataclass
class Totals:
    """What was extracted.

    Attributes
    ----------
    events : int
    bad : int
        Records that were left out.
    classes : dict of str to int
        Events by label.
    """

    events: int = 0
    bad: int = 0
    classes: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class _Part:
    """A stretch of a shard, as it goes to a process."""

    shard: Shard
    stretch: Range
    extraction: Extraction


_Tables = list[pa.Table]


def extract(shards: Shards, extraction: Extraction) -> Totals:
    """Write the summary of all events, in the order of the files.

    Parameters
    ----------
    shards : Shards
    extraction : Extraction

    Returns
    -------
    Totals

    Raises
    ------
    ConfigurationError
        If the output's name does not fit, or full curves are asked for of unlike grids.
    InputError
        At a bad record of a strict shard.
    OutputError
        If an output exists or cannot be written.
    """
    extraction.check()
    grid = shards.grid if extraction.light_curves or extraction.spectra else None
    metadata = {
        "provenance": provenance("scone-io", _settings(shards, extraction), shards.paths),
        "grids": {str(shard.path): shard.grid.as_json() for shard in shards.shards},
    }
    schemas = [summary_schema(compat=extraction.compat)]
    if grid is not None:
        schemas += [curve_schema(grid.num_time_bins)] * extraction.light_curves
        schemas += [spectrum_schema(grid.num_wavelength_bins)] * extraction.spectra
    totals = Totals()
    with ExitStack() as stack:
        writes: list[Write] = []
        for number, (path, schema) in enumerate(zip(extraction.outputs(), schemas, strict=True)):
            writer = table_writer(
                path,
                schema,
                metadata,
                compat=extraction.compat and number == 0,
                overwrite=extraction.overwrite,
            )
            writes.append(stack.enter_context(writer))

        def take(tables: _Tables) -> None:
            for write, table in zip(writes, tables, strict=True):
                write(table)
            _count(totals, tables[0])

        if extraction.workers > 1 and extraction.limit is None:
            _in_processes(shards, extraction, totals, take)
        else:
            _in_turn(shards, extraction, totals, take)
    return totals


def _settings(shards: Shards, extraction: Extraction) -> dict[str, Any]:
    return {
        "compat": extraction.compat,
        "labels": extraction.labels,
        "limit": extraction.limit,
        "grid_sources": {str(shard.path): shard.resolved.source for shard in shards.shards},
    }


def _count(totals: Totals, table: pa.Table) -> None:
    totals.events += table.num_rows
    labels, counts = np.unique(table["label"].to_numpy(), return_counts=True)
    for label, count in zip(labels.tolist(), counts.tolist(), strict=True):
        totals.classes[str(label)] = totals.classes.get(str(label), 0) + count


def _in_turn(
    shards: Shards, extraction: Extraction, totals: Totals, take: Callable[[_Tables], None]
) -> None:
    left = extraction.limit
    channels = Channels()
    for shard in shards.shards:
        for batch in shard.batches():
            chosen = batch if left is None else batch.take(slice(left))
            take(_tables(chosen, shard, extraction, channels))
            if left is not None:
                left -= len(chosen)
                if left <= 0:
                    totals.bad += shard.num_bad
                    return
        totals.bad += shard.num_bad


def _tables(batch: EventBatch, shard: Shard, extraction: Extraction, channels: Channels) -> _Tables:
    names = LABEL_MAPS[extraction.labels]
    tables = [
        summary_of(batch, shard.grid, names, compat=extraction.compat, channels=channels),
    ]
    if extraction.light_curves:
        tables.append(curves_of(batch, shard.grid))
    if extraction.spectra:
        tables.append(spectra_of(batch, shard.grid))
    return tables


@dataclass(frozen=True)
class _Result:
    """The tables of a stretch, or why it cannot be read."""

    tables: _Tables | None = None
    bad: int = 0
    error: InputError | None = None


def _in_processes(
    shards: Shards, extraction: Extraction, totals: Totals, take: Callable[[_Tables], None]
) -> None:
    """Process stretches of the files in parallel; results that arrive early wait their turn."""
    parts = [
        _Part(shard, stretch, extraction)
        for shard in shards.shards
        for stretch in ranges_of(shard.path)
    ]
    waiting: dict[int, _Result] = {}
    turn = 0

    def collect(name: str, result: _Result) -> None:
        nonlocal turn
        waiting[int(name)] = result
        while (ready := waiting.pop(turn, None)) is not None:
            turn += 1
            if ready.error is not None:
                raise ready.error
            totals.bad += ready.bad
            if ready.tables is not None:
                take(ready.tables)

    outcome = run_units(
        _work_on,
        {str(place): part for place, part in enumerate(parts)},
        workers=extraction.workers,
        describe="stretch",
        on_done=collect,
        progress=False,
    )
    for failure in outcome.failed:
        raise InputError(failure.file or parts[int(failure.unit)].shard.path, failure.reason)


def _work_on(part: _Part) -> _Result:
    batches = part.shard.batches(start=part.stretch.start, stop=part.stretch.stop)
    channels = Channels()
    try:
        tables = [_tables(batch, part.shard, part.extraction, channels) for batch in batches]
    except InputError as error:
        return _Result(error=error)
    if not tables:
        return _Result(bad=part.shard.num_bad)
    joined = [pa.concat_tables(column).combine_chunks() for column in zip(*tables, strict=True)]
    return _Result(joined, part.shard.num_bad)


def summary_table(shards: Shards, names: Mapping[int, str] = BINARY) -> pa.Table:
    """The summary of all events as one table.

    Parameters
    ----------
    shards : Shards
    names : mapping of int to str
        Class by label.

    Returns
    -------
    pyarrow.Table
        Columns of `summary_schema`.
    """
    channels = Channels()
    tables = [
        summary_of(batch, shard.grid, names, channels=channels)
        for shard in shards.shards
        for batch in shard.batches()
    ]
    return pa.concat_tables(tables) if tables else summary_schema().empty_table()
