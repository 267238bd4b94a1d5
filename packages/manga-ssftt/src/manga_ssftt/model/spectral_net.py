"""A one-dimensional network that sees the spectrum of the labelled spaxel alone."""

from __future__ import annotations

import torch
from torch import nn

__all__ = ["SpectralNet"]


class SpectralNet(nn.Module):
    """Convolutions along the spectrum of the centre: the baseline without spatial context.

    Parameters
    ----------
    n_bands, patch_size, n_classes : int
        As for `SSFTT`; any number of bands.
    dropout : float, optional
    """

    def __init__(self, n_bands: int, patch_size: int, n_classes: int, dropout: float = 0.1) -> None:
        super().__init__()
        self._centre = patch_size // 2
        stride = 4 if n_bands >= 256 else 1
        layers: list[nn.Module] = []
        channels = 1
        length = n_bands
        for width in (16, 32, 64):
            layers += [
                nn.Conv1d(channels, width, 9, stride, 4),
                nn.BatchNorm1d(width),
                nn.ReLU(),
            ]
            channels, length = width, (length - 1) // stride + 1
        self.features = nn.Sequential(*layers, nn.Flatten(), nn.Dropout(dropout))
        self.head = nn.Sequential(
            nn.Linear(channels * length, 64), nn.ReLU(), nn.Linear(64, n_classes)
        )

    def forward(self, patches: torch.Tensor) -> torch.Tensor:
        """Map (B, 1, n_bands, p, p) to (B, n_classes)."""
        spectra = patches[:, :, :, self._centre, self._centre]  # (B, 1, n_bands)
        result: torch.Tensor = self.head(self.features(spectra))
        return result
