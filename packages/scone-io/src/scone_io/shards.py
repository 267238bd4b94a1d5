"""Shards as sequences of events."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal, overload

import numpy as np

from astro_common.errors import ConfigurationError, InputError
from scone_io.example.event import Event, parse_event
from scone_io.example.layout import EventBatch, Layout, joined
from scone_io.example.wire import WireError
from scone_io.grid import GridSpec, ResolvedGrid, resolve_grid
from scone_io.tfrecord.checksums import masked_checksum
from scone_io.tfrecord.content import Bytes, Compression, Content, open_content
from scone_io.tfrecord.frames import FOOTER_BYTES, HEADER_BYTES, BadFrame, Frame, FrameReader

__all__ = ["BATCH_SIZE", "OnBad", "Shard", "Shards", "find_shards", "open_shards"]

logger = logging.getLogger(__name__)

OnBad = Literal["skip", "warn", "strict"]

# 64 heatmaps take 6 MB: few calls, and what is computed of them stays in the processor's caches.
BATCH_SIZE = 64
SUFFIXES = (".tfrecord", ".tfrecords", ".tfrecord.gz", ".tfrecord.zlib")

# Kinds of records of one length that are told apart; protocol buffers write maps in any order.
_MAX_LAYOUTS = 16
_MAX_LENGTHS = 256


def find_shards(paths: Iterable[str | os.PathLike[str]]) -> list[Path]:
    """The shards that arguments name: files as they are, of folders the shards in them.

    Parameters
    ----------
    paths : iterable of path-like

    Returns
    -------
    list of Path
        Those of a folder sorted by name.

    Raises
    ------
    InputError
        If a file does not exist, or a folder holds no shard.
    """
    found: list[Path] = []
    for path in map(Path, paths):
        if path.is_dir():
            inside = [item for item in sorted(path.rglob("*")) if item.name.endswith(SUFFIXES)]
            if not inside:
                raise InputError(path, "no shard in this folder", "files *.tfrecord")
            found += inside
        elif path.exists():
            found.append(path)
        else:
            raise InputError(path, "no such file", "a TFRecord file")
    return found


class Shard:
    """One file of events.

    Parameters
    ----------
    path : path-like
    grid : str, optional
        See `scone_io.grid.resolve_grid`.
    on_bad : str
        What happens at a record whose checksum is wrong or which is no event: ``strict`` raises,
        ``warn`` says so and leaves it out, ``skip`` leaves it out.
    say_assumed : bool
        Warn where nothing names a grid, so that one is assumed.

    Attributes
    ----------
    path : Path
    resolved : ResolvedGrid
    num_bad : int
        Records that the last pass left out.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        grid: str | None = None,
        *,
        on_bad: OnBad = "strict",
        say_assumed: bool = True,
    ) -> None:
        self.path = Path(path)
        self.resolved: ResolvedGrid = resolve_grid(path, grid, say_assumed=say_assumed)
        self.num_bad = 0
        self.compression: Compression = "none"
        self._on_bad: OnBad = on_bad

    @property
    def grid(self) -> GridSpec:
        """The axes of the heatmaps."""
        return self.resolved.grid

    def batches(
        self, size: int = BATCH_SIZE, *, start: int = 0, stop: int | None = None
    ) -> Iterator[EventBatch]:
        """Yield the events of the file in batches.

        Both checksums of every record are verified. Where the records of a batch are alike and the
        file is plain, the images are a view of the file.

        Parameters
        ----------
        size : int
            Events in each batch but the last.
        start : int
            Offset of the record to begin with.
        stop : int, optional
            Offset at which to end; a record begins there, or the file ends.

        Yields
        ------
        EventBatch

        Raises
        ------
        InputError
            At a bad record, if the shard is strict; it names the file and the offset.
        """
        self.num_bad = 0
        with open_content(self.path) as content:
            self.compression = content.compression
            waiting: list[EventBatch] = []
            runs = _Runs(self, content, stop)
            runs.room = size
            for run in runs.from_offset(start):
                waiting.append(run)
                runs.room -= len(run)
                if not runs.room:
                    yield joined(waiting)
                    waiting, runs.room = [], size
            if waiting:
                yield joined(waiting)

    def event_at(self, offset: int) -> Event:
        """Read the event whose record begins at an offset.

        Parameters
        ----------
        offset : int
            In bytes of the uncompressed stream. In a compressed file all that comes before is read.

        Returns
        -------
        Event

        Raises
        ------
        InputError
            If no sound event begins there.
        """
        with open_content(self.path) as content:
            frame = FrameReader(content).at(offset)
        if frame is None:
            raise InputError(self.path, f"offset {offset}: the end of the file", "a record")
        if isinstance(frame, BadFrame):
            raise InputError(self.path, f"offset {offset}: {frame.reason}", "a record")
        try:
            return parse_event(frame.payload.data, self.grid.shape)
        except WireError as error:
            raise InputError(self.path, f"offset {offset}: {error}", "an event of SCONE") from error

    def bad(self, frame: BadFrame) -> None:
        """Raise, warn or pass over a bad record, as `on_bad` says."""
        if self._on_bad == "strict":
            raise InputError(
                self.path,
                f"offset {frame.offset}: {frame.reason}",
                "a sound record",
                "see `scone-io verify`, `scone-io repair` and --on-bad",
            )
        self.num_bad += 1
        if self._on_bad == "warn":
            logger.warning("%s: offset %d: %s; left out", self.path, frame.offset, frame.reason)


class _Runs:
    """Cuts a content into runs of records that are alike."""

    def __init__(self, shard: Shard, content: Content, stop: int | None) -> None:
        self._shard = shard
        self._content = content
        self._frames = FrameReader(content)
        self._stop = stop
        # The longest run that is wanted next.
        self.room = BATCH_SIZE
        self._layouts: dict[int, list[Layout]] = {}
        self._last: Layout | None = None

    def from_offset(self, offset: int) -> Iterator[EventBatch]:
        place = offset
        while self._stop is None or place < self._stop:
            records, layout = self._alike(place, self.room)
            if layout is None:
                frame = self._frames.at(place)
                if frame is None:
                    return
                if isinstance(frame, BadFrame) or not self._learn(frame):
                    if isinstance(frame, BadFrame):
                        self._shard.bad(frame)
                    place = frame.end
                    self._content.release(place)
                continue
            sound = self._num_sound(records, layout.length)
            if sound:
                yield layout.batch(records[:sound], place)
                place += sound * layout.stride
            if sound < len(records):
                # The frame reader says what is wrong with the next record.
                frame = self._frames.at(place)
                if isinstance(frame, BadFrame):
                    self._shard.bad(frame)
                    place = frame.end
            self._content.release(place)

    def _alike(self, place: int, count: int) -> tuple[Bytes, Layout | None]:
        """The next records that have a known layout, and the layout."""
        header = self._content.block(place, HEADER_BYTES)
        if len(header) < HEADER_BYTES:
            return header, None
        length = int.from_bytes(header[:8].tobytes(), "little")
        known = self._layouts.get(length)
        if not known:
            return header, None
        stride = known[0].stride
        if self._stop is not None:
            count = min(count, -(-(self._stop - place) // stride))
        block = self._content.block(place, count * stride)
        records = block[: len(block) // stride * stride].reshape(-1, stride)
        same = (records[:, :HEADER_BYTES] == header).all(axis=1)
        records = records[: len(same) if same.all() else int(np.argmin(same))]
        if not len(records):
            return records, None
        for layout in known:
            alike = layout.num_alike(records)
            if alike:
                # The next search for this length begins with the layout that fitted.
                known.remove(layout)
                known.insert(0, layout)
                return records[:alike], layout
        return records, None

    def _learn(self, frame: Frame) -> bool:
        """Add the layout of a record; False if the record is no event."""
        try:
            layout = Layout(frame.payload, self._shard.grid.shape)
        except WireError as error:
            self._shard.bad(BadFrame(frame.offset, frame.end, str(error)))
            return False
        if len(self._layouts) >= _MAX_LENGTHS:
            self._layouts.clear()
        known = self._layouts.setdefault(layout.length, [])
        known.insert(0, layout)
        del known[_MAX_LAYOUTS:]
        return True

    @staticmethod
    def _num_sound(records: Bytes, length: int) -> int:
        """How many of the first records have the checksums that they should have."""
        if masked_checksum(records[0, :8]) != int.from_bytes(records[0, 8:12].tobytes(), "little"):
            return 0
        footer = HEADER_BYTES + length
        stored = np.ascontiguousarray(records[:, footer : footer + FOOTER_BYTES]).view("<u4")[:, 0]
        for row, checksum in enumerate(stored.tolist()):
            if masked_checksum(records[row, HEADER_BYTES:footer]) != checksum:
                return row
        return len(records)


class Shards(Sequence[Event]):
    """The events of one or several shards as one sequence; made by `scone_io.open`.

    The files are read once, when a position is first asked for; from then on events are found
    directly.
    """

    def __init__(self, shards: list[Shard]) -> None:
        self.shards = shards
        self._offsets: list[np.ndarray[Any, np.dtype[np.int64]]] | None = None
        self._snids: np.ndarray[Any, np.dtype[np.int64]] | None = None
        self._starts: np.ndarray[Any, np.dtype[np.int64]] | None = None

    @property
    def paths(self) -> list[Path]:
        """The files."""
        return [shard.path for shard in self.shards]

    @property
    def grid(self) -> GridSpec:
        """The axes of the heatmaps.

        Raises
        ------
        ConfigurationError
            If the shards do not share one grid.
        """
        for shard in self.shards[1:]:
            if shard.grid != self.shards[0].grid:
                raise ConfigurationError(
                    shard.path, "another grid than the first shard's", "one grid", "give grid="
                )
        return self.shards[0].grid

    @property
    def snids(self) -> np.ndarray[Any, np.dtype[np.int64]]:
        """Identifier of each event (int64, shape (n,))."""
        self._scan()
        assert self._snids is not None  # noqa: S101 - `_scan` has set it
        return self._snids

    def batches(self, size: int = BATCH_SIZE) -> Iterator[EventBatch]:
        """Yield all events in batches, shard after shard; see `Shard.batches`."""
        for shard in self.shards:
            yield from shard.batches(size)

    def __len__(self) -> int:
        return len(self.snids)

    @overload
    def __getitem__(self, item: int) -> Event: ...

    @overload
    def __getitem__(self, item: slice) -> list[Event]: ...

    def __getitem__(self, item: int | slice) -> Event | list[Event]:
        if isinstance(item, slice):
            return [self[index] for index in range(*item.indices(len(self)))]
        index = item + len(self) if item < 0 else item
        if not 0 <= index < len(self):
            raise IndexError(f"event {item} of {len(self)}")
        assert self._starts is not None  # noqa: S101 - len() has scanned the files
        assert self._offsets is not None  # noqa: S101
        number = int(np.searchsorted(self._starts, index, side="right")) - 1
        offset = self._offsets[number][index - int(self._starts[number])]
        return self.shards[number].event_at(int(offset))

    def __iter__(self) -> Iterator[Event]:
        for batch in self.batches():
            for row in range(len(batch)):
                yield event_of(batch, row)

    def by_snid(self, snid: int) -> Event:
        """The event of an identifier; of several, the first.

        Raises
        ------
        KeyError
            If there is none.
        """
        found = np.flatnonzero(self.snids == snid)
        if not len(found):
            raise KeyError(snid)
        return self[int(found[0])]

    def to_pandas(self) -> Any:
        """The summary of all events, as ``scone-io extract`` writes it, as a DataFrame."""
        from scone_io.summary import summary_table

        return summary_table(self).to_pandas()

    def _scan(self) -> None:
        if self._snids is not None:
            return
        snids, offsets, counts = [], [], []
        for shard in self.shards:
            parts = [(batch.snid, batch.offset) for batch in shard.batches()]
            none = np.empty(0, dtype=np.int64)
            snids.append(np.concatenate([none, *(part[0] for part in parts)]))
            offsets.append(np.concatenate([none, *(part[1] for part in parts)]))
            counts.append(len(snids[-1]))
        self._offsets = offsets
        self._starts = np.concatenate([[0], np.cumsum(counts)[:-1]]).astype(np.int64)
        self._snids = np.concatenate(snids)


def event_of(batch: EventBatch, row: int) -> Event:
    """One event of a batch."""
    z, z_err = float(batch.z[row]), float(batch.z_err[row])
    return Event(
        snid=int(batch.snid[row]),
        label=int(batch.label[row]),
        z=None if np.isnan(z) else z,
        z_err=None if np.isnan(z_err) else z_err,
        image=batch.image[row],
    )


def open_shards(
    paths: str | os.PathLike[str] | Iterable[str | os.PathLike[str]],
    *,
    grid: str | None = None,
    on_bad: OnBad = "strict",
    say_assumed: bool = True,
) -> Shards:
    """Open one or several shards.

    Parameters
    ----------
    paths : path-like or iterable of path-like
        Files, or folders that hold shards.
    grid : str, optional
        ``legacy``, ``scone`` or a JSON file; by default each shard's sidecar.
    on_bad : str
        ``strict``, ``warn`` or ``skip``; see `Shard`.
    say_assumed : bool
        Warn where nothing names a grid, so that one is assumed.

    Returns
    -------
    Shards

    Raises
    ------
    ConfigurationError
        If no path is given, or `grid` names no grid.
    InputError
        If there is no such file, or a sidecar cannot be read.
    """
    named = [paths] if isinstance(paths, (str, os.PathLike)) else list(paths)
    if not named:
        raise ConfigurationError("paths", "none", "a shard or a folder of shards")
    return Shards(
        [Shard(path, grid, on_bad=on_bad, say_assumed=say_assumed) for path in find_shards(named)]
    )
