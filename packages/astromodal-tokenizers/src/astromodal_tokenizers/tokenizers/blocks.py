"""What one codebook is to the outside: its name, its size, and where its tokens lie."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from astromodal_tokenizers.tokenizers.bins import Bins

__all__ = ["CodeBlock"]


@dataclass(frozen=True)
class CodeBlock:
    """The codes of one codebook, a block of the vocabulary.

    Attributes
    ----------
    name : str
        The codebook is the array ``<name>.codebook`` of its file.
    kind : str
        ``image``, ``scalar``, ``spectrum``, ``light_curve``, ``coefficients``; ``scale`` and
        ``time`` for what goes with them.
    size : int
        Number of codes.
    column : str
        Column of the token store.
    first : int
        Place of the block's first token in a row of that column.
    shape : tuple of int or None
        Tokens of a source; None where sources differ.
    taught : ndarray of int64, shape (size,)
        Values of each code that the codebook was learned from; empty for codebooks of vectors.
    """

    name: str
    kind: str
    size: int
    column: str
    first: int = 0
    shape: tuple[int | None, ...] = ()
    taught: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, dtype=np.int64))

    @classmethod
    def of_bins(
        cls,
        name: str,
        kind: str,
        bins: Bins,
        column: str,
        first: int,
        shape: tuple[int | None, ...],
    ) -> CodeBlock:
        """The block of a codebook of numbers."""
        return cls(name, kind, bins.size, column, first, shape, bins.counts)
