"""Lookup-free quantisation: the signs of a vector are the bits of its code."""

from __future__ import annotations

import torch
from torch import Tensor

from astromodal_tokenizers.quantizers.base import code_bits
from astromodal_tokenizers.quantizers.learned import LatticeQuantizer

__all__ = ["LFQuantizer"]

_ENTROPY_WEIGHT = 0.1
# Distances to the two values of a bit are turned into probabilities with this sharpness.
_SHARPNESS = 4.0


class LFQuantizer(LatticeQuantizer):
    """The corners of a cube.

    Besides the error, each bit is to be certain for each vector and even over all of them.

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
        """Entropy of the bits of each vector, less that of the bits of all."""
        chance = torch.sigmoid(_SHARPNESS * values)
        each = _entropy(chance).mean()
        together = _entropy(chance.mean(dim=0)).mean()
        return _ENTROPY_WEIGHT * (each - together)


def _entropy(chance: Tensor) -> Tensor:
    chance = chance.clamp(1e-6, 1.0 - 1e-6)
    return -(chance * torch.log(chance) + (1.0 - chance) * torch.log(1.0 - chance))
