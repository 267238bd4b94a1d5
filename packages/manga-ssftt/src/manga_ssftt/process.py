"""One galaxy from its released files to its label maps and HDF5 file."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from astro_common.atomic import remove_partials
from astro_common.errors import InputError, OutputError
from astro_common.jsonable import json_text, jsonable
from astro_common.provenance import fingerprint, provenance
from manga_ssftt.cubes import Cube, read_cube, spaxel_coordinates
from manga_ssftt.galaxy_file import Galaxy, GalaxyFile, write_galaxy
from manga_ssftt.label_files import draw_labels, labels_are_current, write_labels
from manga_ssftt.labels import LabelMaps, LabelRecipe, make_labels
from manga_ssftt.layout import Tree
from manga_ssftt.maps import Maps, read_maps, read_velocity
from manga_ssftt.resample import (
    Resampled,
    load_kernel,
    log_edges,
    log_grid,
    resample,
    resample_shifted,
)

__all__ = ["CubeRecipe", "CubeSource", "Task", "is_done", "process_galaxy", "process_lazily"]

_LIGHT_SPEED_KM_S = 299792.458
# Faster than any rotation: what a velocity may add to the channels that are read.
_MAX_VELOCITY_KM_S = 2000.0


@dataclass(frozen=True)
class CubeRecipe:
    """How a cube is resampled.

    Attributes
    ----------
    window : (float, float)
        Rest-frame wavelength of the centres of the first and the last pixel, angstrom.
    n_pixels : int
    velocity : {"systemic", "spaxel"}
        De-redshift all spaxels alike, or each with its own velocity.
    deredden : bool
        Undo the Milky Way's extinction.
    compact : bool
        Store flux and ivar without digits that are far below the errors.
    """

    window: tuple[float, float] = (5000.0, 8000.0)
    n_pixels: int = 2040
    velocity: str = "systemic"
    deredden: bool = False
    compact: bool = False

    def grid(self) -> npt.NDArray[np.float64]:
        """Centres of the output pixels, angstrom (ndarray of float64)."""
        return log_grid(*self.window, self.n_pixels)


@dataclass(frozen=True)
class CubeSource:
    """A LOGCUBE, and what the catalogue says of its galaxy.

    Attributes
    ----------
    path : Path
    redshift : float
    mangaid : str
        Used where the LOGCUBE does not tell.
    recipe : CubeRecipe
    """

    path: Path
    redshift: float
    mangaid: str
    recipe: CubeRecipe


@dataclass(frozen=True)
class Task:
    """What is to be done for one galaxy.

    Attributes
    ----------
    tree : Tree
    plateifu : str
    maps : Path
    labels : LabelRecipe
    cube : CubeSource or None
        None makes the label maps alone.
    overwrite : bool
    """

    tree: Tree
    plateifu: str
    maps: Path
    labels: LabelRecipe
    cube: CubeSource | None
    overwrite: bool = False

    def label_key(self) -> str:
        """Identifies what the label maps are made of (str)."""
        return _digest({"recipe": self.labels.as_json(), "maps": _content(self.maps)})

    def galaxy_key(self, source: CubeSource) -> str:
        """Identifies what the HDF5 file is made of (str)."""
        return _digest(
            {
                "labels": self.label_key(),
                "cube": vars(source.recipe),
                "redshift": source.redshift,
                "logcube": _content(source.path),
            }
        )


def _content(path: Path) -> dict[str, Any]:
    found = fingerprint(path)
    return {"size": found["size"], "sample_sha256": found["sample_sha256"]}


def _digest(value: Mapping[str, Any]) -> str:
    return hashlib.sha256(json_text(value).encode()).hexdigest()[:32]


def is_done(task: Task) -> bool:
    """Whether a galaxy's outputs are complete and of this configuration and these inputs."""
    if task.overwrite or not labels_are_current(task.tree, task.plateifu, task.label_key()):
        return False
    if task.cube is None:
        return True
    path = task.tree.galaxy(task.plateifu)
    if not path.exists():
        return False
    try:
        with GalaxyFile(path) as file:
            return file.key == task.galaxy_key(task.cube)
    except InputError:
        return False  # `process_galaxy` says what is wrong with it


def process_lazily(make_task: Callable[[], Task]) -> dict[str, Any]:
    """Make a task and process its galaxy, so that a missing redshift fails this galaxy alone.

    A worker process imports this module, and with it astropy, before it sets up its loggers:
    astropy refuses to start if a logger of its name already exists.
    """
    return process_galaxy(make_task())


def process_galaxy(task: Task) -> dict[str, Any]:
    """Make the label maps of a galaxy and, unless it has no LOGCUBE, its HDF5 file.

    The HDF5 file is written last: where it exists, the galaxy is done.

    Parameters
    ----------
    task : Task

    Returns
    -------
    dict
        ``plateifu``, ``counts`` (spaxels by class), ``n_labelled`` and ``timings_s``.

    Raises
    ------
    InputError
        If an input is missing, damaged, of another galaxy or size, or no spaxel gets a label.
    OutputError
        If outputs of another configuration exist, or an output cannot be written.
    """
    target, source = task.tree.galaxy(task.plateifu), task.cube
    replace = task.overwrite
    if source is not None and target.exists() and not replace:
        replace = _is_ours(task.galaxy_key(source), target)
    timings: dict[str, float] = {}
    # Decompression releases the interpreter lock; meanwhile the labels are made and drawn.
    with ThreadPoolExecutor(1) as pool:
        reading = None
        if source is not None:
            reading = pool.submit(_read_cube, task.plateifu, source, timings)
        maps, labels, pictures = _make_labels(task, timings)
        if reading is not None:
            load_kernel()
    made = None
    if source is not None and reading is not None:
        cube = reading.result()
        spectra = _resample(source, maps, cube, timings)
        made = _galaxy(task, source, maps, cube, labels), spectra
    start = time.perf_counter()
    write_labels(
        task.tree,
        task.plateifu,
        labels,
        pictures,
        maps.wcs,
        key=task.label_key(),
        notes=_notes(task, maps),
        overwrite=task.overwrite,
    )
    if source is not None and made is not None:
        remove_partials(target.parent, target.name)
        write_galaxy(target, *made, compact=source.recipe.compact, overwrite=replace)
    timings["write"] = time.perf_counter() - start
    return {
        "plateifu": task.plateifu,
        "counts": labels.counts(),
        "n_labelled": labels.n_labelled,
        "timings_s": timings,
    }


def _make_labels(task: Task, timings: dict[str, float]) -> tuple[Maps, LabelMaps, dict[str, bytes]]:
    start = time.perf_counter()
    maps = read_maps(
        task.maps,
        task.labels.lines,
        rule=task.labels.map_mask,
        with_ew=task.labels.min_ew_ha is not None,
    )
    _check_identity(task.maps, maps.plateifu, task.plateifu)
    labels = make_labels(maps, task.labels)
    if labels.n_labelled == 0:
        raise InputError(
            task.maps,
            f"no labelled spaxel ({task.labels.bpt}, S/N at least {task.labels.snr_min:g})",
            "at least one",
            "lower --snr-min, or leave the galaxy out",
        )
    pictures = draw_labels(labels, task.plateifu, synthetic=maps.synthetic)
    timings["labels"] = time.perf_counter() - start
    return maps, labels, pictures


def _is_ours(key: str, target: Path) -> bool:
    """Whether a file that is there is what would be written; anything else is an error."""
    try:
        with GalaxyFile(target) as file:
            found = "made with another configuration or of other inputs"
            ours = file.key == key
    except InputError as error:
        found, ours = error.reason, False
    if not ours:
        raise OutputError(target, found, action="give --overwrite to replace it")
    return True


def _check_identity(path: Path, found: str, expected: str) -> None:
    if found and found != expected:
        raise InputError(path, f"PLATEIFU is {found}", expected)


def _read_cube(plateifu: str, source: CubeSource, timings: dict[str, float]) -> Cube:
    """Read the channels that the window needs, and those that a rotation may add."""
    start = time.perf_counter()
    edges = log_edges(source.recipe.grid()) * (1.0 + source.redshift)
    fastest = _MAX_VELOCITY_KM_S if source.recipe.velocity == "spaxel" else 0.0
    beta = fastest / _LIGHT_SPEED_KM_S
    window = (float(edges[0]) * (1.0 - beta), float(edges[-1]) * (1.0 + beta))
    cube = read_cube(source.path, window, deredden=source.recipe.deredden)
    _check_identity(source.path, cube.plateifu, plateifu)
    timings["read"] = time.perf_counter() - start
    return cube


def _resample(source: CubeSource, maps: Maps, cube: Cube, timings: dict[str, float]) -> Resampled:
    if cube.shape != maps.shape:
        raise InputError(
            maps.path, f"maps of {maps.shape} spaxels", f"{cube.shape}, as {cube.path.name} has"
        )
    start = time.perf_counter()
    stretch = 1.0 + source.redshift
    flat = (len(cube.wave), -1)
    spectra = cube.flux.reshape(flat), cube.ivar.reshape(flat), cube.bad.reshape(flat)
    edges_in, edges_out = log_edges(cube.wave), log_edges(source.recipe.grid())
    if source.recipe.velocity == "spaxel":
        velocity = np.clip(
            read_velocity(maps.path, source.redshift), -_MAX_VELOCITY_KM_S, _MAX_VELOCITY_KM_S
        )
        # A spaxel without a velocity moves with the galaxy.
        factor = 1.0 + np.nan_to_num(velocity.ravel()) / _LIGHT_SPEED_KM_S
        result = resample_shifted(*spectra, edges_in, edges_out, stretch * factor)
    else:
        result = resample(*spectra, edges_in / stretch, edges_out)
    timings["resample"] = time.perf_counter() - start
    return result


def _notes(task: Task, maps: Maps) -> dict[str, Any]:
    notes: dict[str, Any] = {
        "BPTRULE": task.labels.bpt,
        "MAPMASK": task.labels.map_mask,
        "SNRMIN": task.labels.snr_min,
        "OHCALIB": task.labels.calibration.name,
    }
    if task.labels.min_ew_ha is not None:
        notes["EWHAMIN"] = task.labels.min_ew_ha
    if maps.synthetic:
        notes["SYNTHETI"] = True
    return notes


def _galaxy(task: Task, source: CubeSource, maps: Maps, cube: Cube, labels: LabelMaps) -> Galaxy:
    ra, dec = spaxel_coordinates(cube.wcs, cube.shape)
    coordinates: dict[str, tuple[npt.NDArray[np.float64], str]] = {
        "ra": (ra, "deg"),
        "dec": (dec, "deg"),
    }
    if maps.radius_arcsec is not None:
        coordinates["radius_arcsec"] = (maps.radius_arcsec, "arcsec")
    if maps.radius_re is not None:
        coordinates["radius_re"] = (maps.radius_re, "effective radius")
    configuration = {
        "labels": task.labels.as_json(),
        "cube": jsonable(vars(source.recipe)),
        "redshift": source.redshift,
        "product": cube.product,
    }
    return Galaxy(
        plateifu=task.plateifu,
        mangaid=cube.mangaid or source.mangaid,
        redshift=source.redshift,
        wave=source.recipe.grid(),
        shape=cube.shape,
        labels=labels,
        wcs=cube.wcs,
        coordinates=coordinates,
        key=task.galaxy_key(source),
        provenance=provenance("manga-ssftt", configuration, [source.path, task.maps]),
        synthetic=cube.synthetic or maps.synthetic,
    )
