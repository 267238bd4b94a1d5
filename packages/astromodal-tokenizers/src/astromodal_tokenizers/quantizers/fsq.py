"""Finite scalar quantisation: each of a few dimensions is rounded to a few levels."""

from __future__ import annotations

import torch
from torch import Tensor

from astromodal_tokenizers.quantizers.base import code_bits
from astromodal_tokenizers.quantizers.learned import LatticeQuantizer

__all__ = ["FSQuantizer"]

_BITS_PER_DIMENSION = 4


class FSQuantizer(LatticeQuantizer):
    """A lattice with the same number of levels, to a factor of two, in each dimension.

    Source: Mentzer et al. 2024, ICLR, arXiv:2309.15505.
    """

    name = "fsq"

    @property
    def levels(self) -> list[int]:
        """Levels of each dimension (list of int); their product is the number of codes.

        There are no more dimensions than the vectors have, as the lattice would stay empty in the
        others.
        """
        bits = code_bits(self.size, self.name)
        dimensions = -(-bits // _BITS_PER_DIMENSION)
        if self.dimensions:
            dimensions = min(dimensions, self.dimensions)
        share, rest = divmod(bits, dimensions)
        return [2 ** (share + (number < rest)) for number in range(dimensions)]

    @property
    def lattice_dimensions(self) -> int:
        """Dimensions of the lattice."""
        return len(self.levels)

    def round(self, values: Tensor) -> Tensor:
        """The middle of the level that a value falls into."""
        levels = torch.tensor(self.levels, dtype=values.dtype)
        number = torch.floor((values + 1.0) / 2.0 * levels)
        number = torch.minimum(number.clamp(min=0.0), levels - 1.0)
        return (number + 0.5) / levels * 2.0 - 1.0

    def codes(self, values: Tensor) -> Tensor:
        """The numbers of the levels as digits of one number."""
        code = torch.zeros(len(values), dtype=torch.int64)
        for dimension, level in enumerate(self.levels):
            number = torch.round((values[:, dimension] + 1.0) / 2.0 * level - 0.5).long()
            code = code * level + number
        return code

    def points(self) -> Tensor:
        """All lattice points in the order of their codes."""
        axes = [(torch.arange(level) + 0.5) / level * 2.0 - 1.0 for level in self.levels]
        return torch.cartesian_prod(*axes).reshape(-1, len(axes))
