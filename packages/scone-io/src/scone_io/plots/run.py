"""Choose events, draw them, and write the figures and their page."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from astro_common.atomic import atomic_path, output_error
from astro_common.errors import InputError, OutputError
from scone_io.example.event import Event
from scone_io.grid import GridSpec
from scone_io.index import find_in_shards, open_index
from scone_io.labels import LABEL_MAPS, label_name
from scone_io.plots.event_figure import event_figure
from scone_io.plots.gallery import Picture, gallery_page
from scone_io.plots.statistics_figure import Statistics, statistics_figure
from scone_io.shards import Shard, Shards, event_of

__all__ = ["Plotting", "plot"]


@dataclass(frozen=True)
class Plotting:
    """What is to be drawn.

    Attributes
    ----------
    folder : Path
        Of the figures; made if it does not exist.
    snids : tuple of int
        These events.
    num_samples : int
        And so many at random.
    statistics : bool
        And the statistics of a random sample.
    stat_samples : int
        Size of that sample.
    seed : int
        Of both samples.
    index : Path or None
        An index in which to look for `snids`.
    kind : str
        ``png`` or ``pdf``.
    labels : str
        A key of `scone_io.labels.LABEL_MAPS`.
    grid : str or None
        As ``--grid``.
    overwrite : bool
        Replace figures that exist.
    """

    folder: Path
    snids: tuple[int, ...] = ()
    num_samples: int = 0
    statistics: bool = False
    stat_samples: int = 1000
    seed: int = 0
    index: Path | None = None
    kind: str = "png"
    labels: str = "binary"
    grid: str | None = None
    overwrite: bool = False


@dataclass(frozen=True)
class _Chosen:
    event: Event
    shard: Shard


def plot(shards: Shards, plotting: Plotting) -> list[Path]:
    """Draw events and samples.

    Parameters
    ----------
    shards : Shards
    plotting : Plotting

    Returns
    -------
    list of Path
        The figures and the page.

    Raises
    ------
    InputError
        If an event is not there, or a shard is damaged.
    OutputError
        If a figure exists or cannot be written.
    """
    names = LABEL_MAPS[plotting.labels]
    chosen = _named(shards, plotting)
    if plotting.num_samples:
        chosen += list(_sampled(shards, plotting.num_samples, plotting.seed))
    chosen = list({item.event.snid: item for item in chosen}.values())
    try:
        plotting.folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise output_error(plotting.folder, error) from error
    targets = [f"snid_{item.event.snid}.{plotting.kind}" for item in chosen]
    targets += [f"statistics.{plotting.kind}"] * plotting.statistics
    for target in (*targets, "index.html"):
        if (plotting.folder / target).exists() and not plotting.overwrite:
            raise OutputError(
                plotting.folder / target,
                "the file exists",
                action="give --overwrite to replace it",
            )
    pictures = []
    for item, target in zip(chosen, targets, strict=False):
        figure = event_figure(
            item.event,
            item.shard.grid,
            names=names,
            source=item.shard.path.name,
            kind=plotting.kind,
        )
        _write(plotting.folder / target, figure)
        caption = f"{label_name(item.event.label, names)}, {item.shard.path.name}"
        pictures.append(Picture(target, f"SNID {item.event.snid}", caption))
    if plotting.statistics:
        pictures.append(_statistics(shards, plotting, targets[-1]))
    synthetic = any(grid.notes.get("synthetic") for grid in _grids(shards, chosen))
    page = gallery_page(pictures, "SCONE heatmaps", synthetic=synthetic)
    _write(plotting.folder / "index.html", page.encode())
    return [plotting.folder / name for name in (*targets, "index.html")]


def _write(path: Path, content: bytes) -> None:
    # Whether the file may be replaced was asked before anything was drawn.
    with atomic_path(path, overwrite=True) as partial:
        partial.write_bytes(content)


def _grids(shards: Shards, chosen: Sequence[_Chosen]) -> list[GridSpec]:
    return [*(shard.grid for shard in shards.shards), *(item.shard.grid for item in chosen)]


def _named(shards: Shards, plotting: Plotting) -> list[_Chosen]:
    if not plotting.snids:
        return []
    if plotting.index is not None:
        index = open_index(plotting.index)
        found = [index.find(snid, grid=plotting.grid) for snid in plotting.snids]
        kept = {item.file: Shard(item.file, plotting.grid) for item in found}
        return [_Chosen(item.event, kept[item.file]) for item in found]
    by_path = {shard.path: shard for shard in shards.shards}
    by_snid = find_in_shards(shards.shards, plotting.snids)
    missing = [snid for snid in plotting.snids if snid not in by_snid]
    if missing:
        names = ", ".join(map(str, missing[:10]))
        raise InputError(", ".join(map(str, shards.paths)), f"no event with SNID {names}")
    return [_Chosen(by_snid[snid].event, by_path[by_snid[snid].file]) for snid in plotting.snids]


def _sampled(shards: Shards, count: int, seed: int) -> Iterator[_Chosen]:
    """Yield events drawn at random from all, in the order of the files."""
    total = len(shards)
    rng = np.random.default_rng(seed)
    rows = np.sort(rng.choice(total, size=min(count, total), replace=False))
    start = 0
    for shard in shards.shards:
        for batch in shard.batches():
            inside = rows[np.searchsorted(rows, start) : np.searchsorted(rows, start + len(batch))]
            for row in (inside - start).tolist():
                yield _Chosen(event_of(batch, row), shard)
            start += len(batch)


def _statistics(shards: Shards, plotting: Plotting, target: str) -> Picture:
    grid = shards.grid
    statistics = Statistics(grid)
    for item in _sampled(shards, plotting.stat_samples, plotting.seed):
        statistics.add(item.event)
    total = len(shards)
    files = ", ".join(path.name for path in shards.paths[:3])
    files += f" and {len(shards.paths) - 3} more" if len(shards.paths) > 3 else ""
    source = f"random sample of {total} in {files}, seed {plotting.seed}"
    figure = statistics_figure(
        statistics, names=LABEL_MAPS[plotting.labels], source=source, kind=plotting.kind
    )
    _write(plotting.folder / target, figure)
    return Picture(target, "Statistics", f"{statistics.num_events} events, {source}")
