"""Where each supernova is: an index over the shards of a folder."""

from __future__ import annotations

import csv
import gzip
import io
import logging
import os
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from astro_common.atomic import atomic_path
from astro_common.errors import InputError, OutputError
from astro_common.parquet import ParquetWriter, described, parquet_errors, read_metadata
from astro_common.provenance import fingerprint, provenance, same_content
from scone_io.example.event import Event
from scone_io.shards import Shard, event_of, find_shards

__all__ = [
    "CSV_NAME",
    "PARQUET_NAME",
    "FoundEvent",
    "SnidIndex",
    "find_in_shards",
    "open_index",
    "write_index",
]

logger = logging.getLogger(__name__)

PARQUET_NAME = "snid_index.parquet"
CSV_NAME = "snid_index.csv.gz"
SCHEMA_VERSION = "1.0"

_CSV_COLUMNS = ("snid", "label", "z", "z_err", "tfrecord_file")
_ROW_GROUP_ROWS = 65_536
# What reading a CSV index that is damaged, or something else, raises.
_NO_INDEX = (
    EOFError,
    KeyError,
    ValueError,
    TypeError,
    AttributeError,
    OverflowError,
    csv.Error,
    zlib.error,
)

SCHEMA = pa.schema(
    [
        described("snid", pa.int64(), description="identifier of the supernova"),
        described("label", pa.int64(), description="class as the shard has it"),
        described("z", pa.float32(), description="redshift"),
        described("z_err", pa.float32(), description="uncertainty of the redshift"),
        described("file", pa.string(), description="shard, relative to the index"),
        described(
            "offset", pa.int64(), unit="byte", description="begin of the record, uncompressed"
        ),
        described("length", pa.int64(), unit="byte", description="size of the record"),
    ]
)


@dataclass(frozen=True, eq=False)
class FoundEvent:
    """An event and where it was found.

    Attributes
    ----------
    event : Event
    file : Path
    offset : int
        In bytes of the uncompressed stream.
    """

    event: Event
    file: Path
    offset: int

    def as_json(self) -> dict[str, Any]:
        """The event as ``get --json`` prints it."""
        return {
            "snid": self.event.snid,
            "label": self.event.label,
            "z": self.event.z,
            "z_err": self.event.z_err,
            "file": str(self.file),
            "offset": self.offset,
        }


def write_index(folder: str | os.PathLike[str], *, overwrite: bool = False) -> int:
    """Write the index of all shards in a folder, as Parquet and as CSV.

    Parameters
    ----------
    folder : path-like
    overwrite : bool
        Replace an index that exists.

    Returns
    -------
    int
        Number of events.

    Raises
    ------
    InputError
        If the folder holds no shard, or one with a bad record.
    OutputError
        If the index exists or cannot be written.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError(folder, "no such folder", "a folder of shards")
    paths = find_shards([folder])
    target, table = folder / PARQUET_NAME, folder / CSV_NAME
    for path in (target, table):
        if path.exists() and not overwrite:
            raise OutputError(path, "the file exists", action="give --overwrite to replace it")
    metadata = {
        "schema_version": SCHEMA_VERSION,
        "files": {_relative(path, folder): fingerprint(path) for path in paths},
        "provenance": provenance("scone-io", {}, paths),
    }
    with (
        ParquetWriter(
            target, SCHEMA, metadata=metadata, overwrite=overwrite, max_rows=_ROW_GROUP_ROWS
        ) as writer,
        atomic_path(table, overwrite=overwrite) as partial,
        partial.open("wb") as file,
        gzip.GzipFile(filename="", mode="wb", fileobj=file, mtime=0) as zipped,
        io.TextIOWrapper(zipped, encoding="utf-8", newline="") as text,
    ):
        lines = csv.writer(text, lineterminator="\n")
        lines.writerow(_CSV_COLUMNS)
        for path in paths:
            part = _entries(path, _relative(path, folder))
            writer.write(part)
            columns = [part[name].to_pylist() for name in SCHEMA.names[:5]]
            lines.writerows(
                (snid, label, _decimals(z), _decimals(z_err), name)
                for snid, label, z, z_err, name in zip(*columns, strict=True)
            )
    return writer.num_rows


def _relative(path: Path, folder: Path) -> str:
    return path.relative_to(folder).as_posix()


def _decimals(value: float | None) -> str:
    return "" if value is None else f"{value:.6f}"


def _entries(path: Path, name: str) -> pa.Table:
    parts = []
    for batch in Shard(path, say_assumed=False).batches():
        arrays = [batch.snid, batch.label, batch.z, batch.z_err]
        arrays += [[name] * len(batch), batch.offset, batch.length]
        columns = [
            pa.array(array, type=field.type, from_pandas=True)
            for array, field in zip(arrays, SCHEMA, strict=True)
        ]
        parts.append(pa.Table.from_arrays(columns, schema=SCHEMA))
    return pa.concat_tables(parts).combine_chunks() if parts else SCHEMA.empty_table()


class SnidIndex:
    """An index that has been read; made by `open_index`.

    Attributes
    ----------
    path : Path
    """

    def __init__(
        self,
        path: Path,
        snids: npt.NDArray[np.int64],
        rows: pq.ParquetFile | list[str],
        files: dict[str, Any],
    ) -> None:
        self.path = path
        self._snids = snids
        self._rows = rows
        self._files = files

    def __len__(self) -> int:
        return len(self._snids)

    def find(self, snid: int, *, grid: str | None = None) -> FoundEvent:
        """Read the event of an identifier; of several, the first.

        Parameters
        ----------
        snid : int
        grid : str, optional
            As ``--grid``; see `scone_io.grid.resolve_grid`.

        Returns
        -------
        FoundEvent

        Raises
        ------
        InputError
            If there is none, or the shard has changed since it was indexed and the event is no
            longer where it was; the message then says that the index is stale.
        """
        places = np.flatnonzero(self._snids == snid)
        if not len(places):
            raise InputError(self.path, f"no event with SNID {snid}", action=self._advice())
        if len(places) > 1:
            text = "%s: %d events with SNID %d; taking the first"
            logger.warning(text, self.path, len(places), snid)
        name, offset = self._place(int(places[0]))
        file = self.path.parent / name
        shard = Shard(file, grid, say_assumed=False)
        if offset is None:
            return _found(find_in_shards([shard], [snid]), snid, self.path)
        try:
            event = shard.event_at(offset)
        except InputError as error:
            raise self._stale(file, error.found) from error
        if event.snid != snid:
            raise self._stale(file, f"SNID {event.snid} where {snid} was")
        return FoundEvent(event, file, offset)

    def _place(self, row: int) -> tuple[str, int | None]:
        if isinstance(self._rows, list):
            return self._rows[row], None
        with parquet_errors(self.path):
            for group in range(self._rows.num_row_groups):
                count = self._rows.metadata.row_group(group).num_rows
                if row < count:
                    part = self._rows.read_row_group(group, columns=["file", "offset"])
                    name, offset = part["file"][row].as_py(), part["offset"][row].as_py()
                    if isinstance(name, str) and isinstance(offset, int):
                        return name, offset
                    raise InputError(self.path, f"no file and offset in row {row}", "a whole index")
                row -= count
        raise InputError(self.path, "fewer rows than identifiers", "a whole index")

    def _stale(self, file: Path, found: str) -> InputError:
        return InputError(
            self.path,
            f"stale: {file} has changed since it was indexed ({found})",
            action="run `scone-io index` again",
        )

    def _advice(self) -> str:
        for name, recorded in self._files.items():
            path = self.path.parent / name
            if not path.exists() or not same_content(recorded, fingerprint(path)):
                return f"the index is stale: {path} has changed; run `scone-io index` again"
        return ""


def open_index(path: str | os.PathLike[str]) -> SnidIndex:
    """Read an index, ``snid_index.parquet`` or ``snid_index.csv.gz``.

    Parameters
    ----------
    path : path-like

    Returns
    -------
    SnidIndex
        With a CSV index, which has no offsets, a shard is searched for each event.

    Raises
    ------
    InputError
        If it is missing or no index.
    """
    path = Path(path)
    if path.name.endswith((".csv", ".csv.gz")):
        return _csv_index(path)
    files = read_metadata(path).get("files", {})
    with parquet_errors(path):
        # Read by row group, and only the column that is searched.
        file = pq.ParquetFile(path)
        names = file.schema_arrow.names
        missing = [name for name in ("snid", "file", "offset") if name not in names]
        if missing:
            raise InputError(path, f"no column {missing[0]}", "an index of scone-io")
        column = file.read(columns=["snid"])["snid"]
        # A null would make floats of 64-bit identifiers.
        if column.type != pa.int64() or column.null_count:
            found = f"column snid of {column.type} with {column.null_count} nulls"
            raise InputError(path, found, "an int64 in every row")
        snids = column.to_numpy()
    return SnidIndex(path, snids, file, files if isinstance(files, dict) else {})


def _csv_index(path: Path) -> SnidIndex:
    opened = gzip.open if path.name.endswith(".gz") else open
    try:
        with opened(path, "rt", encoding="utf-8", newline="") as file:
            rows = csv.DictReader(file)
            entries = [(int(row["snid"]), row["tfrecord_file"].strip()) for row in rows]
        snids = np.array([snid for snid, _ in entries], dtype=np.int64)
    except OSError as error:
        raise InputError(path, f"cannot be read ({error.strerror or error})", "an index") from error
    except _NO_INDEX as error:
        raise InputError(
            path, f"no index ({error!r})", f"a CSV table with {', '.join(_CSV_COLUMNS)}"
        ) from error
    return SnidIndex(path, snids, [name for _, name in entries], {})


def find_in_shards(
    shards: Iterable[Shard | str | os.PathLike[str]], snids: Sequence[int]
) -> dict[int, FoundEvent]:
    """Search shards for supernovae.

    Parameters
    ----------
    shards : iterable of Shard or path-like
        Searched in order, until all are found.
    snids : sequence of int

    Returns
    -------
    dict of int to FoundEvent
        The first event of each identifier that is there.

    Raises
    ------
    InputError
        If a shard cannot be read, or at a bad record of a strict one.
    """
    wanted = np.unique(np.asarray(snids, dtype=np.int64))
    found: dict[int, FoundEvent] = {}
    for item in shards:
        shard = item if isinstance(item, Shard) else Shard(item, say_assumed=False)
        for batch in shard.batches():
            for row in np.flatnonzero(np.isin(batch.snid, wanted)).tolist():
                event = event_of(batch, row)
                found.setdefault(event.snid, FoundEvent(event, shard.path, int(batch.offset[row])))
            if len(found) == len(wanted):
                return found
    return found


def _found(found: dict[int, FoundEvent], snid: int, source: Path) -> FoundEvent:
    if snid not in found:
        raise InputError(source, f"stale: no event with SNID {snid} in its shard any more")
    return found[snid]
