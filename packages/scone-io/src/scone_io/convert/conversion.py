"""Events from one kind of container into another."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from astro_common.errors import ConfigurationError, OutputError
from astro_common.provenance import provenance
from scone_io.convert.containers import Sink, Source
from scone_io.convert.hdf5 import Hdf5Source, hdf5_sink
from scone_io.convert.npz import NpzSource, npz_sink
from scone_io.convert.parquet import ParquetSource, parquet_sink
from scone_io.convert.zarr import ZarrSource, zarr_sink
from scone_io.example.event import serialise_event
from scone_io.example.layout import EventBatch
from scone_io.grid import GridSpec, write_sidecar
from scone_io.index import FoundEvent
from scone_io.shard_files import common_grid
from scone_io.shards import OnBad, Shard, event_of, find_shards
from scone_io.tfrecord.content import Compression
from scone_io.tfrecord.writing import RecordWriter, record_writer

__all__ = ["Conversion", "convert", "write_found"]

_SOURCES: dict[str, Callable[[Path, GridSpec], Source]] = {
    ".npz": NpzSource,
    ".parquet": ParquetSource,
    ".h5": Hdf5Source,
    ".hdf5": Hdf5Source,
    ".zarr": ZarrSource,
}
_OUTPUTS = (*_SOURCES, ".tfrecord")


@dataclass(frozen=True)
class Conversion:
    """How to convert.

    Attributes
    ----------
    output : Path
        Its ending says which container.
    dtype : str or None
        ``float64`` or ``float32``; by default that of the input.
    grid : str or None
        As ``--grid``.
    on_bad : str
        See `scone_io.shards.Shard`.
    compression : str
        Of a TFRecord output.
    overwrite : bool
        Replace an output that exists.
    """

    output: Path
    dtype: str | None = None
    grid: str | None = None
    on_bad: OnBad = "strict"
    compression: Compression = "none"
    overwrite: bool = False

    def check(self, paths: Sequence[Path]) -> None:
        """Raise before the work what it would otherwise end with."""
        if self.output.suffix not in _OUTPUTS:
            wanted = "a name that ends in " + ", ".join(_OUTPUTS)
            raise ConfigurationError("-o", str(self.output), wanted)
        for path in paths:
            if self.output.exists() and path.exists() and self.output.samefile(path):
                raise ConfigurationError("-o", f"{self.output}, which is an input", "another file")
        if self.output.exists() and not self.overwrite:
            raise OutputError(
                self.output, "the file exists", action="give --overwrite to replace it"
            )


def convert(paths: Sequence[Path], conversion: Conversion) -> int:
    """Write the events of some containers into another.

    Parameters
    ----------
    paths : sequence of Path
        ``.npz``, ``.parquet``, ``.h5``, ``.zarr``; whatever has another name is a shard.
    conversion : Conversion

    Returns
    -------
    int
        Number of events.

    Raises
    ------
    ConfigurationError
        If the output has no known ending or is an input, the grids differ, or a library is missing.
    InputError
        If an input is damaged.
    OutputError
        If the output exists or cannot be written.
    """
    paths = _expanded(paths)
    conversion.check(paths)
    grid = common_grid(paths, conversion.grid)
    sources = [_source(path, grid, conversion) for path in paths]
    count, dtype = _survey(sources, conversion)
    metadata = {
        "grid": {**grid.as_json(), **grid.notes},
        "provenance": provenance("scone-io", {"dtype": dtype.name}, _files(paths)),
    }
    with _sink(conversion, grid, dtype, count, metadata) as sink:
        for source in sources:
            for batch in source.batches():
                sink.write(_typed(batch, dtype))
    write_sidecar(conversion.output, grid, overwrite=True)
    return count


def _expanded(paths: Sequence[Path]) -> list[Path]:
    """Folders of shards become their shards; a Zarr group is a folder too, and stays."""
    found: list[Path] = []
    for path in paths:
        found += [path] if path.suffix == ".zarr" else find_shards([path])
    return found


def _files(paths: Sequence[Path]) -> list[Path]:
    return [path for path in paths if path.is_file()]


def _source(path: Path, grid: GridSpec, conversion: Conversion) -> Source:
    kind = _SOURCES.get(path.suffix)
    if kind is not None:
        return kind(path, grid)
    return _ShardSource(path, grid, conversion)


class _ShardSource:
    def __init__(self, path: Path, grid: GridSpec, conversion: Conversion) -> None:
        self.path = path
        self.grid = grid
        self._grid = conversion.grid
        self._on_bad: OnBad = conversion.on_bad

    def batches(self) -> Iterator[EventBatch]:
        shard = Shard(self.path, self._grid, say_assumed=False, on_bad=self._on_bad)
        yield from shard.batches()


def _survey(sources: Sequence[Source], conversion: Conversion) -> tuple[int, np.dtype[Any]]:
    """Number of events, and the type of the images: the wider one if they differ."""
    count = 0
    kinds = set()
    for source in sources:
        for batch in source.batches():
            count += len(batch)
            kinds.add(batch.image.dtype.newbyteorder("="))
    named = [np.dtype(conversion.dtype)] if conversion.dtype else sorted(kinds, key=_width)[-1:]
    return count, (named or [np.dtype(np.float64)])[0].newbyteorder("<")


def _width(dtype: np.dtype[Any]) -> int:
    return dtype.itemsize


def _typed(batch: EventBatch, dtype: np.dtype[Any]) -> EventBatch:
    if batch.image.dtype == dtype:
        return batch
    # A float64 beyond the range of float32 becomes infinite, which is what float32 can say of it.
    with np.errstate(over="ignore"):
        image = batch.image.astype(dtype)
    return EventBatch(
        batch.snid, batch.label, batch.z, batch.z_err, image, batch.offset, batch.length
    )


def _sink(
    conversion: Conversion,
    grid: GridSpec,
    dtype: np.dtype[Any],
    count: int,
    metadata: dict[str, Any],
) -> AbstractContextManager[Sink]:
    path, overwrite = conversion.output, conversion.overwrite
    if path.suffix == ".npz":
        return npz_sink(path, grid, dtype, count, overwrite=overwrite)
    if path.suffix == ".parquet":
        return parquet_sink(path, grid, dtype, metadata, overwrite=overwrite)
    if path.suffix == ".zarr":
        return zarr_sink(path, grid, dtype, metadata, overwrite=overwrite)
    if path.suffix in (".h5", ".hdf5"):
        return hdf5_sink(path, grid, dtype, metadata, overwrite=overwrite)
    return _record_sink(path, conversion.compression, overwrite)


class _RecordSink:
    def __init__(self, writer: RecordWriter) -> None:
        self._writer = writer

    def write(self, batch: EventBatch) -> None:
        for row in range(len(batch)):
            self._writer.write(serialise_event(event_of(batch, row)))


@contextmanager
def _record_sink(path: Path, compression: Compression, overwrite: bool) -> Iterator[Sink]:
    with record_writer(path, compression=compression, overwrite=overwrite) as writer:
        yield _RecordSink(writer)


def write_found(found: Sequence[FoundEvent], output: Path, *, overwrite: bool = False) -> None:
    """Write events that were found into an ``.npz`` file, in their order.

    Parameters
    ----------
    found : sequence of FoundEvent
    output : Path
    overwrite : bool
        Replace a file that exists.

    Raises
    ------
    ConfigurationError
        If the events come from shards with different grids.
    OutputError
        If the output exists or cannot be written.
    """
    grid = common_grid(list(dict.fromkeys(item.file for item in found)))
    dtype = max((item.event.image.dtype for item in found), key=_width)
    with npz_sink(output, grid, dtype, len(found), overwrite=overwrite) as sink:
        for item in found:
            event = item.event
            nan = float("nan")
            sink.write(
                EventBatch(
                    snid=np.array([event.snid]),
                    label=np.array([event.label]),
                    z=np.array([nan if event.z is None else event.z], dtype=np.float32),
                    z_err=np.array([nan if event.z_err is None else event.z_err], dtype=np.float32),
                    image=event.image.astype(dtype)[None],
                    offset=np.array([item.offset]),
                    length=np.array([0]),
                )
            )
    write_sidecar(output, grid, overwrite=True)
