"""Mean, standard deviation and principal components of training spectra, one galaxy at a time.

Two passes over the files: mean and standard deviation of each wavelength, then the correlation
matrix of the standardised spectra. Memory holds one galaxy and matrices of n_wave x n_wave,
whatever the number of galaxies.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file
from scipy.linalg import eigh

from astro_common.atomic import atomic_path
from astro_common.errors import ConfigurationError, InputError
from astro_common.jsonable import json_text
from manga_ssftt.galaxy_file import GalaxyFile
from manga_ssftt.layout import Tree
from manga_ssftt.splits import check_spaxels

__all__ = ["Statistics", "measure_statistics", "read_statistics", "write_statistics"]

Floats = npt.NDArray[np.float64]

# Spectra that enter a matrix product at a time.
_BLOCK_SPECTRA = 2048


@dataclass(frozen=True, eq=False)
class Statistics:
    """Of training spectra.

    Attributes
    ----------
    mean, std : ndarray of float64, shape (n_wave,)
        Of the good pixels at each wavelength, 1e-17 erg/s/cm2/angstrom/spaxel. Where no pixel is
        good, the mean is 0; where none is or all are equal, the standard deviation is 1.
    components : ndarray of float64, shape (n_components, n_wave)
        Orthonormal rows, by decreasing variance; the entry of each that is largest in magnitude is
        positive.
    notes : mapping
        ``variance`` along the components, ``n_spectra``, ``plateifus`` and more.
    """

    mean: Floats
    std: Floats
    components: Floats
    notes: Mapping[str, Any]

    def standardise(self, spectra: npt.NDArray[Any], bad: npt.NDArray[np.bool_]) -> Floats:
        """Spectra minus mean over standard deviation, and 0 where masked.

        Parameters
        ----------
        spectra : ndarray, shape (n, n_wave)
        bad : ndarray of bool, shape (n, n_wave)

        Returns
        -------
        ndarray of float64, shape (n, n_wave)
        """
        standard = (spectra - self.mean) / self.std
        standard[bad] = 0.0
        return np.asarray(standard)


def measure_statistics(
    tree: Tree,
    spaxels: Mapping[str, npt.NDArray[np.int64] | None],
    n_components: int,
) -> Statistics:
    """Measure training galaxies.

    Parameters
    ----------
    tree : Tree
    spaxels : mapping of str to ndarray of int64, shape (n, 2), or None
        The galaxies by plate-ifu and, of a split by spaxel, which (y, x) belong to it. Spaxels
        without any good pixel are left out.
    n_components : int

    Returns
    -------
    Statistics

    Raises
    ------
    ConfigurationError
        If there are fewer wavelengths or spectra than components.
    InputError
        If a galaxy is missing or damaged, lacks a spaxel of the split, or is on another wavelength
        grid than the first.
    """
    count, mean, square = _first_pass(tree, spaxels)
    n_wave = len(count)
    variance = np.divide(square, count, out=np.ones(n_wave), where=count > 0)
    std = np.sqrt(variance)
    std[std == 0] = 1.0
    result = Statistics(mean, std, np.empty((0, n_wave)), {})
    gram, n_spectra = np.zeros((n_wave, n_wave)), 0
    for _, flux, bad in _spectra(tree, spaxels):
        for start in range(0, len(flux), _BLOCK_SPECTRA):
            block = slice(start, start + _BLOCK_SPECTRA)
            standard = result.standardise(flux[block], bad[block])
            gram += standard.T @ standard
        n_spectra += len(flux)
    if n_components > min(n_wave, n_spectra):
        raise ConfigurationError(
            "--n-components",
            str(n_components),
            f"at most {min(n_wave, n_spectra)}: {n_spectra} spectra of {n_wave} wavelengths",
        )
    values, vectors = eigh(gram / n_spectra, subset_by_index=[n_wave - n_components, n_wave - 1])
    components = vectors[:, ::-1].T
    largest = np.argmax(np.abs(components), axis=1)
    components = components * np.sign(components[np.arange(n_components), largest])[:, np.newaxis]
    notes = {
        "plateifus": sorted(spaxels),
        "n_spectra": n_spectra,
        "variance": values[::-1].tolist(),
        "total_variance": float(np.trace(gram) / n_spectra),
        "unit": "1e-17 erg/s/cm2/angstrom/spaxel",
    }
    return Statistics(mean, std, np.ascontiguousarray(components), notes)


def _first_pass(
    tree: Tree, spaxels: Mapping[str, npt.NDArray[np.int64] | None]
) -> tuple[Floats, Floats, Floats]:
    """Number, mean and sum of squared deviations of the good pixels at each wavelength."""
    count = mean = square = np.zeros(0)
    for path, flux, bad in _spectra(tree, spaxels):
        good = ~bad
        new_count = good.sum(axis=0).astype(np.float64)
        if len(count) == 0:
            count, mean, square = (np.zeros(len(new_count)) for _ in range(3))
        if len(new_count) != len(count):
            raise InputError(path, f"{len(new_count)} wavelengths", f"{len(count)}, as the others")
        new_sum = np.sum(flux, axis=0, where=good, dtype=np.float64)
        new_mean = np.divide(new_sum, new_count, out=np.zeros_like(new_sum), where=new_count > 0)
        new_square = np.sum((flux - new_mean) ** 2, axis=0, where=good)
        # Parallel variances (Chan, Golub & LeVeque 1983, Am. Stat. 37, 242) do not cancel.
        both = count + new_count
        shift = new_mean - mean
        share = np.divide(new_count, both, out=np.zeros_like(both), where=both > 0)
        square = square + new_square + shift**2 * count * share
        mean = mean + shift * share
        count = both
    if not np.any(count):
        raise InputError(tree.root, "no training spectrum with a good pixel", "at least one")
    return count, mean, square


def _spectra(
    tree: Tree, spaxels: Mapping[str, npt.NDArray[np.int64] | None]
) -> Iterator[tuple[Path, npt.NDArray[np.float32], npt.NDArray[np.bool_]]]:
    """Spectra and bad pixels of one galaxy after the other."""
    for plateifu, chosen in spaxels.items():
        path = tree.require_galaxy(plateifu)
        with GalaxyFile(path) as file:
            flux, bad = file.read("cube"), file.read("mask")
        if chosen is not None:
            check_spaxels(path, chosen, bad.shape)
            flux, bad = flux[chosen[:, 0], chosen[:, 1]], bad[chosen[:, 0], chosen[:, 1]]
        flux, bad = flux.reshape(-1, flux.shape[-1]), bad.reshape(-1, bad.shape[-1])
        seen = ~bad.all(axis=1)
        yield path, flux[seen], bad[seen]


def write_statistics(path: Path, statistics: Statistics, *, overwrite: bool = False) -> None:
    """Write the tensors ``mean``, ``std`` and ``components``, with the notes as metadata.

    Raises
    ------
    OutputError
        If the file exists or cannot be written.
    """
    tensors = {
        "mean": statistics.mean,
        "std": statistics.std,
        "components": np.ascontiguousarray(statistics.components),
    }
    with atomic_path(path, overwrite=overwrite) as partial:
        save_file(tensors, partial, metadata={"notes": json_text(statistics.notes)})


def read_statistics(path: Path) -> Statistics:
    """Read what `write_statistics` has written.

    Raises
    ------
    InputError
        If the file is missing, damaged, or not such.
    """
    try:
        with safe_open(path, framework="numpy") as file:
            tensors = {name: file.get_tensor(name) for name in ("mean", "std", "components")}
            notes = json.loads((file.metadata() or {}).get("notes", "{}"))
    except (OSError, SafetensorError, ValueError, RecursionError) as error:
        raise InputError(path, f"cannot be read ({error})", "what the verb stats writes") from error
    mean, std, components = (np.asarray(value, np.float64) for value in tensors.values())
    if mean.ndim != 1 or std.shape != mean.shape or components.shape[1:] != mean.shape:
        raise InputError(
            path,
            f"tensors of shapes {mean.shape}, {std.shape}, {components.shape}",
            "(n_wave,), (n_wave,), (n_components, n_wave)",
        )
    finite = all(np.all(np.isfinite(values)) for values in (mean, std, components))
    if not finite or np.any(std <= 0):
        raise InputError(path, "values that are not finite, or a std that is not positive")
    return Statistics(mean, std, components, notes)
