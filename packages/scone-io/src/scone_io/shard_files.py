"""Shards made of shards: their records byte for byte, in another order or fewer of them."""

from __future__ import annotations

import os
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np

from astro_common.errors import ConfigurationError, InputError, OutputError
from scone_io.example.event import integer_at, locate_event
from scone_io.example.wire import WireError
from scone_io.grid import GridSpec, resolve_grid, write_sidecar
from scone_io.shards import Shard
from scone_io.tfrecord.content import Bytes, Compression, open_content
from scone_io.tfrecord.frames import FOOTER_BYTES, HEADER_BYTES, BadFrame, Frame, FrameReader
from scone_io.tfrecord.writing import record_writer

__all__ = [
    "Difference",
    "carry_sidecar",
    "common_grid",
    "difference",
    "merge",
    "shuffle",
    "sound_frames",
    "split",
    "subset",
]


def common_grid(paths: Sequence[Path], option: str | None = None) -> GridSpec:
    """The grid that shards share.

    Parameters
    ----------
    paths : sequence of Path
    option : str, optional
        As ``--grid``.

    Returns
    -------
    GridSpec
        Where it is only assumed, its notes say so.

    Raises
    ------
    ConfigurationError
        If the shards have different grids.
    """
    resolved = [resolve_grid(path, option) for path in paths]
    for path, other in zip(paths[1:], resolved[1:], strict=True):
        if other.grid != resolved[0].grid:
            raise ConfigurationError(
                path, f"another grid than {paths[0]}'s", "one grid", "keep them apart"
            )
    grid = resolved[0].grid
    if any(item.source == "assumed" for item in resolved):
        grid = grid.with_notes(grid_source="assumed")
    return grid


def carry_sidecar(
    paths: Sequence[Path], output: Path, option: str | None = None, *, overwrite: bool = True
) -> None:
    """Write the grid of the inputs beside an output.

    A sidecar without its shard, as an earlier run may have left, is replaced.
    """
    write_sidecar(output, common_grid(paths, option), overwrite=overwrite)


def sound_frames(path: Path) -> Iterator[Frame]:
    """Yield the records of a file.

    Raises
    ------
    InputError
        At a bad one.
    """
    with open_content(path) as content:
        for frame in FrameReader(content):
            if isinstance(frame, BadFrame):
                raise InputError(
                    path,
                    f"offset {frame.offset}: {frame.reason}",
                    "a sound record",
                    "see `scone-io verify` and `scone-io repair`",
                )
            yield frame


def _refuse_input(paths: Iterable[Path], output: Path) -> None:
    for path in paths:
        if output.exists() and path.exists() and output.samefile(path):
            raise ConfigurationError("-o", f"{output}, which is an input", "another file")


def merge(
    paths: Sequence[Path],
    output: Path,
    *,
    grid: str | None = None,
    compression: Compression = "none",
    overwrite: bool = False,
) -> int:
    """Write the records of several shards into one, in order.

    Parameters
    ----------
    paths : sequence of Path
    output : Path
    grid : str, optional
        As ``--grid``.
    compression : str
    overwrite : bool
        Replace an output that exists.

    Returns
    -------
    int
        Number of records.

    Raises
    ------
    ConfigurationError
        If the shards have different grids, or the output is one of them.
    InputError
        At a bad record.
    OutputError
        If the output exists or cannot be written.
    """
    _refuse_input(paths, output)
    axes = common_grid(paths, grid)
    with record_writer(output, compression=compression, overwrite=overwrite) as writer:
        for path in paths:
            for frame in sound_frames(path):
                writer.write(frame.payload.data)
    write_sidecar(output, axes, overwrite=True)
    return writer.num_records


def split(
    paths: Sequence[Path],
    folder: Path,
    num_shards: int,
    *,
    grid: str | None = None,
    compression: Compression = "none",
    overwrite: bool = False,
) -> list[Path]:
    """Write the records of shards into several of nearly equal size, in order.

    Parameters
    ----------
    paths : sequence of Path
    folder : Path
        Made if it does not exist; the shards in it are ``heatmaps_0000.tfrecord`` and so on.
    num_shards : int
    grid, compression, overwrite
        As for `merge`.

    Returns
    -------
    list of Path

    Raises
    ------
    ConfigurationError, InputError, OutputError
        As for `merge`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    outputs = [folder / f"heatmaps_{number:04d}.tfrecord" for number in range(num_shards)]
    for output in outputs:
        _refuse_input(paths, output)
        if output.exists() and not overwrite:
            raise OutputError(output, "the file exists", action="give --overwrite to replace it")
    axes = common_grid(paths, grid)
    total = sum(1 for path in paths for _ in sound_frames(path))
    frames = (frame for path in paths for frame in sound_frames(path))
    for number, output in enumerate(outputs):
        count = total * (number + 1) // num_shards - total * number // num_shards
        with record_writer(output, compression=compression, overwrite=overwrite) as writer:
            for _ in range(count):
                writer.write(next(frames).payload.data)
        write_sidecar(output, axes, overwrite=True)
    return outputs


def subset(
    paths: Sequence[Path],
    output: Path,
    snids: Sequence[int],
    *,
    grid: str | None = None,
    compression: Compression = "none",
    overwrite: bool = False,
) -> int:
    """Write the records of some supernovae into a new shard, in the order of the files.

    Parameters
    ----------
    paths : sequence of Path
    output : Path
    snids : sequence of int
    grid, compression, overwrite
        As for `merge`.

    Returns
    -------
    int
        Number of records.

    Raises
    ------
    InputError
        If a supernova is in none of the shards, or at a bad record.
    ConfigurationError, OutputError
        As for `merge`.
    """
    _refuse_input(paths, output)
    axes = common_grid(paths, grid)
    wanted, found = set(snids), set()
    with record_writer(output, compression=compression, overwrite=overwrite) as writer:
        for path in paths:
            for frame in sound_frames(path):
                snid = _snid(path, frame)
                if snid in wanted:
                    found.add(snid)
                    writer.write(frame.payload.data)
        missing = [snid for snid in snids if snid not in found]
        if missing:
            names = ", ".join(map(str, missing[:10]))
            raise InputError(", ".join(map(str, paths)), f"no event with SNID {names}")
    write_sidecar(output, axes, overwrite=True)
    return writer.num_records


def _snid(path: Path, frame: Frame) -> int:
    try:
        return integer_at(frame.payload.data, locate_event(frame.payload.data).snid)
    except WireError as error:
        raise InputError(path, f"offset {frame.offset}: {error}", "an event of SCONE") from error


def shuffle(
    path: Path,
    output: Path,
    seed: int,
    *,
    grid: str | None = None,
    compression: Compression = "none",
    overwrite: bool = False,
) -> int:
    """Write the records of a shard in a random order.

    Parameters
    ----------
    path, output : Path
    seed : int
        The same seed gives the same order.
    grid, compression, overwrite
        As for `merge`.

    Returns
    -------
    int
        Number of records.

    Raises
    ------
    ConfigurationError, InputError, OutputError
        As for `merge`.
    """
    _refuse_input([path], output)
    axes = common_grid([path], grid)
    with tempfile.TemporaryFile(dir=output.parent) as scratch:
        stored, places = _plain(path, scratch)
        order = np.random.default_rng(seed).permutation(len(places))
        with record_writer(output, compression=compression, overwrite=overwrite) as writer:
            for row in order.tolist():
                offset, end = places[row]
                writer.write(stored[offset + HEADER_BYTES : end - FOOTER_BYTES].data)
    write_sidecar(output, axes, overwrite=True)
    return writer.num_records


def _plain(path: Path, scratch: Any) -> tuple[Bytes, list[tuple[int, int]]]:
    """A shard's uncompressed bytes and where its records are; a compressed one goes to disk."""
    with open_content(path) as content:
        compressed = content.compression != "none"
    places = []
    for frame in sound_frames(path):
        places.append((frame.offset, frame.end))
        if compressed:
            scratch.write(bytes(HEADER_BYTES) + frame.payload.tobytes() + bytes(FOOTER_BYTES))
    if not compressed:
        with open_content(path) as content:
            return content.block(0, path.stat().st_size), places
    scratch.flush()
    if not places:
        return np.empty(0, dtype=np.uint8), places
    return np.memmap(scratch, dtype=np.uint8, mode="r"), places


@dataclass
class Difference:
    """How two shards differ.

    Attributes
    ----------
    num_first, num_second : int
        Events.
    only_first, only_second : list of int
        SNIDs of events that the other shard lacks.
    changed : list of int
        SNIDs that are in both with other content.
    """

    num_first: int = 0
    num_second: int = 0
    only_first: list[int] = field(default_factory=list)
    only_second: list[int] = field(default_factory=list)
    changed: list[int] = field(default_factory=list)

    @property
    def is_empty(self) -> bool:
        """Whether both hold the same events (bool)."""
        return not (self.only_first or self.only_second or self.changed)


def difference(first: str | os.PathLike[str], second: str | os.PathLike[str]) -> Difference:
    """Compare the events of two shards, in whatever order they come.

    Parameters
    ----------
    first, second : path-like

    Returns
    -------
    Difference
        Events are the same if identifier, label, redshift, its error and every value of the image
        are, bit by bit; neither the order of an Example's keys nor compression counts.

    Raises
    ------
    InputError
        If a shard cannot be read, or at a bad record.
    """
    counts = [_digests(Path(path)) for path in (first, second)]
    result = Difference(counts[0].total(), counts[1].total())
    over = [sorted(snid for snid, _ in (counts[i] - counts[1 - i]).elements()) for i in (0, 1)]
    shared = Counter(over[0]) & Counter(over[1])
    result.changed = sorted(shared.elements())
    result.only_first = sorted((Counter(over[0]) - shared).elements())
    result.only_second = sorted((Counter(over[1]) - shared).elements())
    return result


def _digests(path: Path) -> Counter[tuple[int, bytes]]:
    found: Counter[tuple[int, bytes]] = Counter()
    for batch in Shard(path, say_assumed=False).batches():
        for row, snid in enumerate(batch.snid.tolist()):
            digest = blake2b(digest_size=16)
            for array in (batch.label, batch.z, batch.z_err, batch.image):
                digest.update(array.dtype.str.encode())
                digest.update(np.ascontiguousarray(array[row]).tobytes())
            found[snid, digest.digest()] += 1
    return found
