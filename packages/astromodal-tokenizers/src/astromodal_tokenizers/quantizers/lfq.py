"""Lookup-free quantisation: the signs of a vector are the bits of its code."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from astromodal_tokenizers.quantizers.base import code_bits
from astromodal_tokenizers.quantizers.learned import LatticeQuantizer

__all__ = ["LFQuantizer"]

_ENTROPY_WEIGHT = 0.1
# Vectors of a batch whose chances of all codes are compared.
_ENTROPY_ROWS = 256
# Distances to the two values of a bit are turned into probabilities with this sharpness.
_SHARPNESS = 4.0


class LFQuantizer(LatticeQuantizer):
    """The corners of a cube.

    Besides the error, the code is to be certain for each vector and even over all of them.

    Source: Yu et al. 2024, ICLR, arXiv:2310.05737.
    """

    name = "lfq"

    @property
    def lattice_dimensions(self) -> int:
        """Bits of a code."""
        return code_bits(self.size, self.name)

    def round(self, values: Tensor) -> Tensor:
        """The signs."""
        return torch.where(values > 0.0, 1.0, -1.0).to(values.dtype)

    def codes(self, values: Tensor) -> Tensor:
        """The signs as bits, the first the highest."""
        weights = 2 ** torch.arange(self.lattice_dimensions - 1, -1, -1)
        return ((values > 0.0).long() * weights).sum(dim=1)

    def points(self) -> Tensor:
        """All corners in the order of their codes."""
        bits = self.lattice_dimensions
        number = torch.arange(self.size)[:, None] >> torch.arange(bits - 1, -1, -1)
        return (number & 1) * 2.0 - 1.0

    def penalty(self, values: Tensor) -> Tensor:
        """Entropy of the code of each vector, less that of the codes of all (eq. 5 there)."""
        some = values[:_ENTROPY_ROWS]
        corners = self.points()
        log_chance = nn.functional.logsigmoid(_SHARPNESS * some) @ ((corners + 1.0) / 2.0).T
        log_chance = (
            log_chance + nn.functional.logsigmoid(-_SHARPNESS * some) @ ((1.0 - corners) / 2.0).T
        )
        chance = log_chance.exp()
        each = -(chance * log_chance).sum(dim=1).mean()
        together = chance.mean(dim=0)
        shared = -(together * together.clamp(min=1e-12).log()).sum()
        return _ENTROPY_WEIGHT / self.lattice_dimensions * (each - shared)
