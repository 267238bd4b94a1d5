"""A plain two-dimensional network: bands are channels."""

from __future__ import annotations

import torch
from torch import nn

__all__ = ["SimpleNet"]


class SimpleNet(nn.Module):
    """Two-dimensional convolutions with wavelengths as channels.

    Parameters
    ----------
    n_bands, patch_size, n_classes : int
        As for `SSFTT`; any number of bands.
    dropout : float, optional
    """

    def __init__(self, n_bands: int, patch_size: int, n_classes: int, dropout: float = 0.1) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.BatchNorm2d(n_bands),
            nn.Conv2d(n_bands, 64, 1),
            nn.ReLU(),
            nn.Conv2d(64, 128, 3, padding=1),
            nn.BatchNorm2d(128),
            nn.ReLU(),
            nn.Conv2d(128, 128, 3, padding=1),
            nn.BatchNorm2d(128),
            nn.ReLU(),
        )
        self._centre = patch_size // 2
        # The centre tells which spaxel is asked for, the mean what surrounds it.
        self.head = nn.Sequential(
            nn.Dropout(dropout), nn.Linear(256, 64), nn.ReLU(), nn.Linear(64, n_classes)
        )

    def forward(self, patches: torch.Tensor) -> torch.Tensor:
        """Map (B, 1, n_bands, p, p) to (B, n_classes)."""
        image = self.features(patches[:, 0])  # (B, 128, p, p)
        centre = image[:, :, self._centre, self._centre]
        result: torch.Tensor = self.head(torch.cat([centre, image.mean(dim=(2, 3))], dim=1))
        return result
