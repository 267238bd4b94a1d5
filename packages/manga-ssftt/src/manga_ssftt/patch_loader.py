"""Batches of patches for training, cut when they are needed.

Galaxies are read from HDF5 in pools that fit in memory; the batches of a pool gather rows of its
one array of spectra, so that a patch costs a copy and nothing else. A pool that holds all galaxies
is read once.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import torch

from astro_common.errors import InputError
from manga_ssftt.galaxy_file import GalaxyFile
from manga_ssftt.layout import Tree
from manga_ssftt.normalize import output_bands
from manga_ssftt.patches import labelled_spaxels, padded_cube
from manga_ssftt.splits import check_spaxels
from manga_ssftt.targets import Target
from manga_ssftt.training_statistics import Statistics

__all__ = [
    "DEFAULT_POOL_BYTES",
    "Batch",
    "PatchLoader",
    "PatchRecipe",
    "Sample",
    "find_samples",
]

DEFAULT_POOL_BYTES: Final = 2 << 30
# Lightning holds the current batch and fetches one or two ahead.
_N_BUFFERS: Final = 4

# Patches (B, 1, bands, p, p), places of the classes, abundances.
Batch = tuple[torch.Tensor, torch.Tensor, torch.Tensor]


@dataclass(frozen=True)
class PatchRecipe:
    """How patches are cut.

    Attributes
    ----------
    norm : {"global", "spatial", "spectral", "PCA"}
    patch_size : int
    statistics : Statistics or None
    """

    norm: str
    patch_size: int
    statistics: Statistics | None = None


@dataclass(frozen=True, eq=False)
class Sample:
    """The labelled spaxels of one galaxy.

    Attributes
    ----------
    plateifu : str
    path : Path
    shape : (int, int, int)
        ``(n_y, n_x, n_wave)``.
    y, x : ndarray of int64, shape (n,)
    label : ndarray, shape (n,)
        Of the task's map.
    log_oh : ndarray of float64, shape (n,)
        Abundance, NaN where there is none.
    n2 : ndarray of float64, shape (n,)
        log10 of [NII]/H-alpha.
    synthetic : bool
        Whether the galaxy is simulated.
    """

    plateifu: str
    path: Path
    shape: tuple[int, int, int]
    y: npt.NDArray[np.int64]
    x: npt.NDArray[np.int64]
    label: npt.NDArray[Any]
    log_oh: npt.NDArray[np.float64]
    n2: npt.NDArray[np.float64]
    synthetic: bool

    def __len__(self) -> int:
        return len(self.y)


def find_samples(
    tree: Tree, split: Mapping[str, npt.NDArray[np.int64] | None], map_task: str
) -> list[Sample]:
    """Find the labelled spaxels of galaxies; those without any are left out.

    Parameters
    ----------
    tree : Tree
    split : mapping of str to ndarray of int64, shape (n, 2), or None
        Galaxies, all of their spaxels or those at (y, x).
    map_task : {"BPT", "logOH"}

    Returns
    -------
    list of Sample

    Raises
    ------
    InputError
        If a galaxy is missing or damaged or lacks a spaxel of the split, the galaxies differ in
        their wavelengths, or none has a label.
    """
    samples: list[Sample] = []
    wave: npt.NDArray[Any] | None = None
    for plateifu, chosen in split.items():
        path = tree.require_galaxy(plateifu)
        with GalaxyFile(path) as file:
            found = file.read("wave")
            if wave is not None and not np.array_equal(found, wave):
                raise InputError(
                    path, "another wavelength grid than the galaxies before", "one grid"
                )
            wave = found
            if chosen is not None:
                check_spaxels(path, chosen, file.shape)
            spaxels = labelled_spaxels(file.label(map_task), file.read("mask"), chosen)
            if len(spaxels) == 0:
                continue
            at = (spaxels.y, spaxels.x)
            samples.append(
                Sample(
                    plateifu,
                    path,
                    file.shape,
                    spaxels.y,
                    spaxels.x,
                    spaxels.label,
                    file.label("logOH")[at],
                    file.read("ratios/N2")[at],
                    file.synthetic,
                )
            )
    if not samples:
        raise InputError(
            tree.root, f"no spaxel with a {map_task} label in {len(split)} galaxies", "at least one"
        )
    return samples


@dataclass(frozen=True, eq=False)
class _Pool:
    """Spectra of some galaxies and where their patches begin.

    Attributes
    ----------
    rows : tensor, shape (n_rows, n_bands)
        The padded cubes, one after the other.
    corner, width : tensor of int64, shape (n,)
        Row of the first pixel of each patch, and length of its cube's rows.
    index : tensor of int64, shape (n,)
    value : tensor of float32, shape (n,)
    """

    rows: torch.Tensor
    corner: torch.Tensor
    width: torch.Tensor
    index: torch.Tensor
    value: torch.Tensor


class PatchLoader:
    """Batches of patches; each iteration is an epoch.

    Parameters
    ----------
    samples : sequence of Sample
    recipe : PatchRecipe
    target : Target
    batch_size : int
    shuffle : bool, optional
        Galaxies among pools, and patches within one.
    balanced : bool, optional
        Draw patches with replacement, all classes alike.
    augment : bool, optional
        Turn and mirror each batch at random: the sky has no preferred direction.
    seed : int, optional
    dtype : torch.dtype, optional
        Of the patches: float32 or bfloat16.
    pool_bytes : int, optional
        What the spectra of a pool may take; a galaxy that takes more is a pool of its own.
    reuse : bool, optional
        Let every fourth batch have the same memory, which is several times faster than fresh
        memory for each: a batch is then valid until three more have been drawn.
    rank, world : int, optional
        Of distributed training: every rank gets the same number of batches, of its own patches.
    """

    def __init__(
        self,
        samples: Sequence[Sample],
        recipe: PatchRecipe,
        target: Target,
        batch_size: int,
        *,
        shuffle: bool = False,
        balanced: bool = False,
        augment: bool = False,
        seed: int = 0,
        dtype: torch.dtype = torch.float32,
        pool_bytes: int = DEFAULT_POOL_BYTES,
        reuse: bool = False,
        rank: int = 0,
        world: int = 1,
    ) -> None:
        self.samples, self.recipe, self.target = list(samples), recipe, target
        self.batch_size, self.shuffle, self.balanced = batch_size, shuffle, balanced
        self.augment, self.dtype, self.pool_bytes = augment, dtype, pool_bytes
        self.reuse, self.rank, self.world = reuse, rank, world
        self._buffers: list[torch.Tensor] = []
        self._random = np.random.default_rng(seed)
        self._kept: _Pool | None = None

    @property
    def n_bands(self) -> int:
        """Values per spectrum (int)."""
        return output_bands(self.recipe.norm, self.samples[0].shape[2], self.recipe.statistics)

    def __len__(self) -> int:
        """Batches of an epoch, if the pools are divided as they are without shuffling."""
        return sum(self._n_batches(pool) for pool in self._plan(self.samples))

    def _n_batches(self, pool: Sequence[Sample]) -> int:
        count = sum(map(len, pool))
        return math.ceil(math.ceil(count / self.world) / self.batch_size)

    def _plan(self, samples: Sequence[Sample]) -> list[list[Sample]]:
        pools: list[list[Sample]] = [[]]
        size = 0
        for sample in samples:
            needed = self._padded_pixels(sample) * self.n_bands * self.dtype.itemsize
            if pools[-1] and size + needed > self.pool_bytes:
                pools.append([])
                size = 0
            pools[-1].append(sample)
            size += needed
        return pools

    def _padded_pixels(self, sample: Sample) -> int:
        margin = self.recipe.patch_size - 1
        return (sample.shape[0] + margin) * (sample.shape[1] + margin)

    def __iter__(self) -> Iterator[Batch]:
        """Yield the batches of an epoch."""
        plan = self._plan(self.samples)
        if self.shuffle and len(plan) > 1:
            order = self._random.permutation(len(self.samples))
            plan = self._plan([self.samples[place] for place in order])
        for group in plan:
            if len(plan) == 1:
                if self._kept is None:
                    self._kept = self._fill(group)
                pool = self._kept
            else:
                pool = self._fill(group)
            yield from self._batches(pool)

    def _fill(self, group: Sequence[Sample]) -> _Pool:
        n_rows = sum(map(self._padded_pixels, group))
        rows = torch.empty((n_rows, self.n_bands), dtype=self.dtype)
        corners, widths, first = [], [], 0
        size = self.recipe.patch_size
        for sample in group:
            with GalaxyFile(sample.path) as file:
                padded = padded_cube(file, self.recipe.norm, size, self.recipe.statistics)
            count, width = padded.shape[0] * padded.shape[1], padded.shape[1]
            rows[first : first + count] = torch.from_numpy(padded.reshape(count, -1))
            corners.append(first + sample.y * width + sample.x)
            widths.append(np.full(len(sample), width))
            first += count
        label = np.concatenate([sample.label for sample in group])
        value = np.concatenate([sample.log_oh for sample in group])
        return _Pool(
            rows,
            torch.from_numpy(np.concatenate(corners)),
            torch.from_numpy(np.concatenate(widths)),
            torch.from_numpy(self.target.indices(label)),
            torch.from_numpy(value.astype(np.float32)),
        )

    def _batches(self, pool: _Pool) -> Iterator[Batch]:
        order = self._order(pool)
        step = torch.arange(self.recipe.patch_size)
        n_bands, size = pool.rows.shape[1], self.recipe.patch_size
        # Of equal size: a rest of one patch would spoil the statistics of a normalisation.
        for chosen in order.tensor_split(math.ceil(len(order) / self.batch_size)):
            corner, width = pool.corner[chosen], pool.width[chosen]
            places = corner[:, None, None] + step[None, :, None] * width[:, None, None] + step
            if self.augment:
                # Turning the places costs nothing, turning the spectra a copy.
                places = torch.rot90(places, int(self._random.integers(4)), (1, 2))
                if self._random.integers(2):
                    places = places.transpose(1, 2)
            patches = self._gather(pool.rows, places.flatten())
            patches = patches.view(len(chosen), size, size, n_bands)
            patches = patches.permute(0, 3, 1, 2).unsqueeze(1)  # (B, 1, bands, p, p), a view
            yield patches, pool.index[chosen], pool.value[chosen]

    def _gather(self, rows: torch.Tensor, places: torch.Tensor) -> torch.Tensor:
        """Copy rows; with `reuse` into the memory of an earlier batch."""
        if not self.reuse:
            return rows.index_select(0, places)
        if len(self._buffers) < _N_BUFFERS:
            n_rows = self.batch_size * self.recipe.patch_size**2
            self._buffers.append(torch.empty((n_rows, rows.shape[1]), dtype=rows.dtype))
        else:
            self._buffers.append(self._buffers.pop(0))
        result = self._buffers[-1][: len(places)]
        torch.index_select(rows, 0, places, out=result)
        return result

    def _order(self, pool: _Pool) -> torch.Tensor:
        count = len(pool.index)
        if self.balanced:
            index = pool.index.numpy()
            sizes = np.bincount(index[index >= 0], minlength=len(self.target.class_ids))
            weight = np.where(index >= 0, 1.0 / np.maximum(sizes, 1)[index], 0.0)
            order = self._random.choice(count, count, p=weight / weight.sum())
        elif self.shuffle:
            order = self._random.permutation(count)
        else:
            order = np.arange(count)
        if self.world > 1:
            share = -(-count // self.world)
            # Every rank gets as many, so that none waits for the others: the first come twice.
            order = np.resize(order, share * self.world)[self.rank :: self.world]
        return torch.from_numpy(np.ascontiguousarray(order))
