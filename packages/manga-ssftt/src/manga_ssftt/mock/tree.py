"""A whole mock: raw tree, catalogue and truth."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from astro_common.errors import OutputError
from astro_common.jobs import Outcome, run_units
from manga_ssftt.diagnostics import Bpt, classify
from manga_ssftt.layout import Tree
from manga_ssftt.mock.fits_files import write_dapall, write_logcube, write_truth
from manga_ssftt.mock.maps_file import write_maps
from manga_ssftt.mock.measurement import measure_lines
from manga_ssftt.mock.population import GalaxyParameters, draw_population
from manga_ssftt.mock.spectra import make_spectra
from manga_ssftt.mock.truth import Truth, make_truth

__all__ = ["DAPALL_NAME", "write_mock"]

DAPALL_NAME = "dapall-v3_1_1-3.1.0.fits"


@dataclass(frozen=True)
class _Task:
    root: Path
    galaxy: GalaxyParameters
    size_px: int
    seed: int


def write_mock(
    root: Path, *, n_galaxies: int, size_px: int, seed: int, workers: int = 1, progress: bool = True
) -> tuple[Path, list[str], Outcome]:
    """Write synthetic galaxies in the layout of DR17, and their truth.

    Parameters
    ----------
    root : Path
        Made if missing; it must hold no mock yet.
    n_galaxies : int
        From 6 on, the last is a repeat observation of the first (the same MANGAID), and the third
        has NSA_Z = -999.
    size_px : int
        Spaxels on a side, at least 8.
    seed : int
    workers : int, optional
        Local processes.
    progress : bool, optional
        Show how far the run has come.

    Returns
    -------
    catalog : Path
        The dapall file, written last.
    plateifus : list of str
    outcome : Outcome

    Raises
    ------
    OutputError
        If a file exists or cannot be written.
    ValueError
        If the size is too small.
    """
    if size_px < 8:
        raise ValueError(f"a size of {size_px} spaxels")
    root.mkdir(parents=True, exist_ok=True)
    catalog = root / DAPALL_NAME
    if catalog.exists():
        raise OutputError(catalog, "the file exists", action="write the mock elsewhere")
    galaxies = draw_population(n_galaxies, size_px, seed)
    outcome = run_units(
        _write_galaxy,
        {galaxy.plateifu: _Task(root, galaxy, size_px, seed) for galaxy in galaxies},
        workers=workers,
        describe="plateifu",
        progress=progress,
    )
    if not outcome.failed:
        write_dapall(catalog, galaxies, size_px)
    return catalog, [galaxy.plateifu for galaxy in galaxies], outcome


def _write_galaxy(task: _Task) -> None:
    tree, name = Tree(task.root), task.galaxy.plateifu
    truth = make_truth(task.galaxy, task.size_px, task.seed)
    spectra = make_spectra(task.galaxy, truth, task.seed)
    measured = measure_lines(task.galaxy, truth, spectra, task.seed)
    paths: dict[str, Any] = {
        "maps": tree.maps(name),
        "cube": tree.logcube(name),
        "truth": task.root / "truth" / f"{name}.fits",
    }
    for path in paths.values():
        # What a run that was stopped has left is made anew: there is no catalogue yet.
        path.unlink(missing_ok=True)
    write_truth(paths["truth"], task.galaxy, truth, _true_classes(truth))
    write_maps(paths["maps"], task.galaxy, truth, spectra, measured)
    write_logcube(paths["cube"], task.galaxy, truth, spectra)


def _true_classes(truth: Truth) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Classes of the NII diagram without noise, dust left out."""
    with np.errstate(divide="ignore"):
        logs = {name: np.log10(flux) for name, flux in truth.intrinsic.items()}
    ratios = {
        "OIII": logs["OIII-5008"] - logs["Hb-4862"],
        "NII": logs["NII-6585"] - logs["Ha-6564"],
    }
    classes = classify(ratios, truth.inside, "nii")
    classes[~truth.inside] = Bpt.INVALID
    return classes
