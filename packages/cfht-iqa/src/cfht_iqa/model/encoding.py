"""Numbers as a network reads them best: each also by how far it reaches into each of its bins.

Classes often meet at a limit of one measurement. A network of few layers bends smoothly about such
a limit, where a decision tree cuts; cut into bins, it can do either.
"""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor, nn

__all__ = ["PiecewiseLinear"]

# A bin is at least this share of the range wide, even where many samples have one value.
_LEAST_WIDTH: Final = 0.01


class PiecewiseLinear(nn.Module):
    """Piecewise linear encoding (Gorishniy et al. 2022, NeurIPS 35, 24991), beside the number.

    Parameters
    ----------
    n_numbers : int
        Numbers of a sample.
    n_bins : int
        Bins of each, between quantiles of the training; 0 for the numbers alone.
    """

    edges: Tensor

    def __init__(self, n_numbers: int, n_bins: int) -> None:
        super().__init__()
        self.n_out = n_numbers * (1 + n_bins)
        self.scale = nn.Sequential(
            nn.BatchNorm1d(n_numbers),
            # What is rarer than in training shall not outweigh all the rest.
            nn.Hardtanh(-4.0, 4.0),
        )
        self.n_bins = n_bins
        steps = torch.linspace(0.0, 1.0, n_bins + 1)
        self.register_buffer("edges", steps.repeat(n_numbers, 1), persistent=n_bins > 0)

    def fit(self, numbers: Tensor) -> None:
        """Put the edges of the bins at quantiles of samples, of shape (n, n_numbers)."""
        steps = torch.linspace(0.0, 1.0, self.n_bins + 1)
        self.edges.copy_(torch.quantile(numbers, steps, dim=0).T)

    def forward(self, numbers: Tensor) -> Tensor:
        """Encode samples.

        Parameters
        ----------
        numbers : Tensor, shape (n, n_numbers)
            Measurements.

        Returns
        -------
        Tensor, shape (n, n_out)
            The numbers with mean 0 and scatter 1, then for each number and bin 0 below the bin, 1
            above, and the share of the bin that lies below the number in it.
        """
        scaled: Tensor = self.scale(numbers)
        if not self.n_bins:
            return scaled
        low, high = self.edges[:, :-1], self.edges[:, 1:]
        least = _LEAST_WIDTH * (self.edges[:, -1:] - self.edges[:, :1]) + 1e-6
        filled = (numbers[:, :, None] - low) / torch.maximum(high - low, least)
        return torch.cat([scaled, filled.clamp(0.0, 1.0).flatten(1)], dim=1)
