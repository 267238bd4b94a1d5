"""Residual vector quantisation: a second table for what the first leaves (Juang & Gray 1982)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from astromodal_tokenizers.quantizers.base import Quantizer, code_bits
from astromodal_tokenizers.quantizers.codebook import KMeansQuantizer

__all__ = ["ResidualQuantizer"]


class ResidualQuantizer(Quantizer):
    """Two small tables in a row; a code names an entry of each.

    Source: Juang & Gray 1982, Proc. IEEE ICASSP, 597.
    """

    name = "residual"

    def fit(self, vectors: NDArray[np.float32]) -> None:
        """Learn the first table, then the second from what is left."""
        bits = code_bits(self.size, self.name)
        sizes = (2 ** (bits - bits // 2), 2 ** (bits // 2))
        left = np.asarray(vectors, dtype=np.float32)
        self._stages = []
        for number, size in enumerate(sizes):
            stage = KMeansQuantizer(size, self.seed + number)
            stage.fit(left)
            left = left - stage.decode(stage.encode(left))
            self._stages.append(stage)
        first, second = (stage.codebook for stage in self._stages)
        self.codebook = (first[:, None] + second[None]).reshape(self.size, -1)

    def encode(self, vectors: NDArray[np.float32]) -> NDArray[np.int64]:
        """The nearest entry of the first table, and that of the second to the rest."""
        first, second = self._stages
        coarse = first.encode(vectors)
        fine = second.encode(np.asarray(vectors, dtype=np.float32) - first.decode(coarse))
        return np.asarray(coarse * second.size + fine)

    def tensors(self) -> dict[str, NDArray[np.float32]]:
        """The two tables and their sums."""
        named = {f"stage_{n}": stage.codebook for n, stage in enumerate(self._stages)}
        return {**super().tensors(), **named}

    def load(self, tensors: dict[str, NDArray[np.float32]]) -> None:
        """Take over the tables."""
        super().load(tensors)
        self._stages = []
        for number in range(2):
            stage = KMeansQuantizer(len(tensors[f"stage_{number}"]))
            stage.load({"codebook": tensors[f"stage_{number}"]})
            self._stages.append(stage)
