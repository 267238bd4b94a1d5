"""Training and test pixels of a scene: at random, or in blocks that no patch joins."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from astro_common.errors import ConfigurationError

__all__ = ["TEST", "TRAIN", "disjoint_split", "random_split", "touches_training"]

Ints = npt.NDArray[np.int64]
Codes = npt.NDArray[np.uint8]

TRAIN: Final = 1
TEST: Final = 2


def random_split(truth: Ints, fraction: float, seed: int) -> Codes:
    """Draw training pixels of each class at random.

    With patches of any size a test pixel then has training pixels in its patch, so that figures of
    this split are leaky; it is the protocol of most published figures.

    Parameters
    ----------
    truth : ndarray of int64, shape (n_y, n_x)
    fraction : float
        Share of each class that trains, at least one pixel.
    seed : int

    Returns
    -------
    ndarray of uint8, shape (n_y, n_x)
        1 train, 2 test, 0 not labelled.
    """
    random = np.random.default_rng(seed)
    split = np.where(truth > 0, TEST, 0).astype(np.uint8)
    for label in np.unique(truth[truth > 0]):
        places = np.flatnonzero(truth == label)
        count = min(max(1, round(fraction * len(places))), max(len(places) - 1, 1))
        split.flat[random.permutation(places)[:count]] = TRAIN
    return split


def disjoint_split(truth: Ints, fraction: float, patch_size: int, seed: int) -> Codes:
    """Let square blocks of the scene train, and test where no patch reaches a training pixel.

    Blocks as large as a patch are drawn until each class has its share of training pixels. Labelled
    pixels within half a patch of a training pixel belong to neither part; of a class that fills a
    field smaller than a patch no test pixel can remain.

    Parameters
    ----------
    truth : ndarray of int64, shape (n_y, n_x)
    fraction : float
        Share of each class that trains, about.
    patch_size : int
        Odd.
    seed : int

    Returns
    -------
    ndarray of uint8, shape (n_y, n_x)
        1 train, 2 test, 0 neither. Every class has training pixels, and no training pixel lies in
        the patch of a test pixel.
    """
    if not 0 < fraction < 1:
        raise ConfigurationError("--train-fraction", str(fraction), "between 0 and 1")
    random = np.random.default_rng(seed)
    blocks = _block_numbers(truth.shape, max(3, patch_size))
    train = np.zeros(truth.shape, dtype=np.bool_)
    classes, sizes = np.unique(truth[truth > 0], return_counts=True)
    # Rare classes choose first: a block that serves them also serves its other classes.
    for label in classes[np.argsort(sizes)]:
        here = truth == label
        wanted = max(1, round(fraction * here.sum()))
        for block in random.permutation(np.unique(blocks[here])):
            if np.sum(train & here) >= wanted:
                break
            chosen = here & (blocks == block)
            missing = wanted - int(np.sum(train & here))
            train.flat[np.flatnonzero(chosen)[:missing]] = True
    split = np.zeros(truth.shape, dtype=np.uint8)
    split[(truth > 0) & ~touches_training(train, patch_size)] = TEST
    split[train] = TRAIN
    return split


def _block_numbers(shape: tuple[int, ...], side: int) -> Ints:
    y, x = np.indices(shape)
    return np.asarray(y // side * (shape[1] // side + 1) + x // side)


def touches_training(train: npt.NDArray[np.bool_], patch_size: int) -> npt.NDArray[np.bool_]:
    """Where a patch would hold a training pixel.

    Parameters
    ----------
    train : ndarray of bool, shape (n_y, n_x)
    patch_size : int
        Odd.

    Returns
    -------
    ndarray of bool, shape (n_y, n_x)
    """
    half = patch_size // 2
    padded = np.pad(train, half).astype(np.int64).cumsum(axis=0).cumsum(axis=1)
    sums = np.pad(padded, ((1, 0), (1, 0)))
    p = patch_size
    inside = sums[p:, p:] - sums[:-p, p:] - sums[p:, :-p] + sums[:-p, :-p]
    return np.asarray(inside > 0)
