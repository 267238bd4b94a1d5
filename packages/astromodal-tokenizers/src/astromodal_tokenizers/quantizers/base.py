"""What every quantiser can do: turn vectors into one code each, and codes into vectors."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from astro_common.errors import ConfigurationError

__all__ = ["FEWEST_PER_CODE", "Quantizer", "code_bits", "supported_size"]

FEWEST_PER_CODE = 2
"""With fewer vectors a code would learn single ones by heart, and stay without use elsewhere."""


class Quantizer(ABC):
    """Vectors to codes and back.

    All quantisers share one form of result: a table with the vector of each code. What they differ
    in is how the table comes about and which code a vector gets.

    Parameters
    ----------
    size : int
        Number of codes.
    seed : int

    Attributes
    ----------
    codebook : ndarray of float32, shape (size, d)
        The vector of each code; after `fit`.
    """

    name: str

    def __init__(self, size: int, seed: int = 0) -> None:
        self.size = size
        self.seed = seed
        self.codebook: NDArray[np.float32] = np.empty((0, 0), dtype=np.float32)

    @abstractmethod
    def fit(self, vectors: NDArray[np.float32]) -> None:
        """Learn from vectors (ndarray of float32, shape (n, d)), n at least ``size``."""

    @abstractmethod
    def encode(self, vectors: NDArray[np.float32]) -> NDArray[np.int64]:
        """The code of each vector (ndarray of int64, shape (n,))."""

    def decode(self, codes: NDArray[np.integer[Any]]) -> NDArray[np.float32]:
        """The vector of each code (ndarray of float32, shape (n, d))."""
        return np.asarray(self.codebook[codes])

    def tensors(self) -> dict[str, NDArray[np.float32]]:
        """What a file has to hold so that `load` can make the quantiser anew."""
        return {"codebook": self.codebook}

    def load(self, tensors: dict[str, NDArray[np.float32]]) -> None:
        """Take over what `tensors` gave."""
        self.codebook = np.ascontiguousarray(tensors["codebook"], dtype=np.float32)
        self.size = len(self.codebook)


def code_bits(size: int, name: str) -> int:
    """Bits of a code, for quantisers that need a power of two.

    Raises
    ------
    ConfigurationError
        If the number of codes is none.
    """
    bits = int(math.log2(size))
    if 2**bits != size or bits < 2:
        raise ConfigurationError(
            "codebook_size", f"{size} with the quantizer {name}", "a power of two of at least 4"
        )
    return bits


def supported_size(wanted: int, vectors: int) -> int:
    """Number of codes that so many vectors can teach.

    Parameters
    ----------
    wanted : int
    vectors : int

    Returns
    -------
    int
        The number that is wanted, or the largest power of two that leaves some vectors for each
        code, but 4 at least, if there are as many vectors.
    """
    most = max(vectors // FEWEST_PER_CODE, min(4, vectors))
    return wanted if wanted <= most else 1 << (most.bit_length() - 1)


def as_tensor(vectors: NDArray[np.float32]) -> torch.Tensor:
    """Share an array with torch."""
    return torch.from_numpy(np.array(vectors, dtype=np.float32, order="C", copy=True))
