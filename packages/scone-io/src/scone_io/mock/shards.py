"""Heatmap shards of synthetic supernovae, made quickly, without a Gaussian process."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np

from astro_common.atomic import atomic_path, output_error
from astro_common.errors import OutputError
from scone_io.example.event import Event, serialise_event
from scone_io.grid import PRESETS, GridSpec, sidecar_path, write_sidecar
from scone_io.mock.population import CLASSES, MockSupernova, draw_population, surface_flux
from scone_io.tfrecord.content import Compression
from scone_io.tfrecord.writing import record_writer

__all__ = ["mock_event", "write_mock_shards"]


def mock_event(event: MockSupernova, grid: GridSpec, rng: np.random.Generator) -> Event:
    """The heatmap of a synthetic supernova, with smooth noise as a Gaussian process leaves it.

    Parameters
    ----------
    event : MockSupernova
    grid : GridSpec
    rng : numpy.random.Generator

    Returns
    -------
    Event
        Its uncertainty grows towards the prior's where an imagined season of observations ends.
    """
    days, wavelengths = grid.times, grid.wavelengths
    flux = surface_flux(event, days[None, :], wavelengths[:, None])
    prior = 0.5 * float(np.max(np.abs(flux)))
    season = rng.uniform(-45.0, -20.0), rng.uniform(60.0, 120.0)
    beyond = np.maximum(np.maximum(season[0] - days, days - season[1]), 0.0)
    away = np.sqrt(1.0 - np.exp(-2.0 * np.sqrt(3.0) * beyond / 20.0))[None, :]
    noise = 4.0 + 0.02 * np.abs(flux)
    error = np.sqrt((noise * (1.0 - away)) ** 2 + (prior * away) ** 2)
    wiggle = np.zeros_like(flux)
    for _ in range(4):
        phase = rng.uniform(0.0, 2.0 * np.pi, size=2)
        period = rng.uniform(25.0, 70.0), rng.uniform(4000.0, 12000.0)
        wiggle += np.outer(
            np.cos(2.0 * np.pi * wavelengths / period[1] + phase[0]),
            np.cos(2.0 * np.pi * days / period[0] + phase[1]),
        )
    mean = flux * np.exp(-beyond / 20.0)[None, :] + 0.5 * noise * wiggle * (1.0 - away)
    image = np.stack([mean, np.maximum(error, 1e-3)], axis=-1)
    return Event(event.snid, event.label, event.z, event.z_err, image)


def write_mock_shards(
    folder: str | os.PathLike[str],
    *,
    num_shards: int = 1,
    num_events: int = 100,
    seed: int = 0,
    grid: GridSpec | None = None,
    compression: Compression = "none",
    dtype: str = "float64",
    overwrite: bool = False,
) -> list[Path]:
    """Write shards with their grids, and the truth about their events.

    Parameters
    ----------
    folder : path-like
        Made if it does not exist.
    num_shards, num_events : int
        Events are per shard.
    seed : int
        The same seed gives the same bytes.
    grid : GridSpec, optional
        The preset ``scone`` by default.
    compression : str
        ``none``, ``gzip`` or ``zlib``.
    dtype : str
        ``float64`` or ``float32``.
    overwrite : bool
        Replace files that exist.

    Returns
    -------
    list of Path
        ``heatmaps_0000.tfrecord`` and so on; beside them ``truth.json``.

    Raises
    ------
    OutputError
        If a file exists or cannot be written.
    """
    folder = Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise output_error(folder, error) from error
    grid = (grid or PRESETS["scone"]).with_notes(synthetic=True)
    rng = np.random.default_rng(seed)
    paths = [folder / f"heatmaps_{number:04d}.tfrecord" for number in range(num_shards)]
    record_path = folder / "truth.json"
    for path in (*paths, *map(sidecar_path, paths), record_path):
        if path.exists() and not overwrite:
            raise OutputError(path, "the file exists", action="give --overwrite to replace it")
    truth = []
    first_snid = 1
    for path in paths:
        population = draw_population(num_events, rng, first_snid=first_snid)
        first_snid = population[-1].snid + 1 if population else first_snid
        with record_writer(path, compression=compression, overwrite=overwrite) as writer:
            for supernova in population:
                event = mock_event(supernova, grid, rng)
                image = event.image.astype(dtype, copy=False)
                writer.write(
                    serialise_event(Event(event.snid, event.label, event.z, event.z_err, image))
                )
                truth.append({**vars(supernova), "class": CLASSES[supernova.kind].name})
        write_sidecar(path, grid, overwrite=overwrite)
    with atomic_path(record_path, overwrite=overwrite) as partial:
        record = {"synthetic": True, "seed": seed, "events": truth}
        partial.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    return paths
