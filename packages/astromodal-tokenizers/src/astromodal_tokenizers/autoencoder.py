"""The convolutional autoencoder of the cutouts: twelve bands to a small latent image and back."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

__all__ = ["DOWNSAMPLING", "Autoencoder"]

DOWNSAMPLING = 4
"""Pixels of the image along the side of a latent pixel."""
_GROUPS = 8


def _norm(channels: int) -> nn.GroupNorm:
    groups = next(count for count in range(min(_GROUPS, channels), 0, -1) if channels % count == 0)
    return nn.GroupNorm(groups, channels)


class ResidualBlock(nn.Module):
    """Two convolutions beside an identity (He et al. 2016, CVPR, 770)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            _norm(channels),
            nn.SiLU(),
            nn.Conv2d(channels, channels, 3, padding=1),
            _norm(channels),
            nn.SiLU(),
            nn.Conv2d(channels, channels, 3, padding=1),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Shape (n, channels, y, x) is kept."""
        return cast("Tensor", x + self.layers(x))


class Autoencoder(nn.Module):
    """Image to latent image and back.

    Parameters
    ----------
    bands : int
    width : int
        Channels at full resolution; twice as many below.
    latent : int
        Channels of the latent image.
    """

    def __init__(self, bands: int, width: int, latent: int) -> None:
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Conv2d(bands, width, 1),
            ResidualBlock(width),
            nn.Conv2d(width, 2 * width, 3, stride=2, padding=1),
            ResidualBlock(2 * width),
            nn.Conv2d(2 * width, 2 * width, 3, stride=2, padding=1),
            ResidualBlock(2 * width),
            nn.Conv2d(2 * width, latent, 1),
        )
        self.decoder = nn.Sequential(
            nn.Conv2d(latent, 2 * width, 1),
            ResidualBlock(2 * width),
            nn.Upsample(scale_factor=2, mode="nearest"),
            nn.Conv2d(2 * width, 2 * width, 3, padding=1),
            ResidualBlock(2 * width),
            nn.Upsample(scale_factor=2, mode="nearest"),
            nn.Conv2d(2 * width, width, 3, padding=1),
            ResidualBlock(width),
            nn.Conv2d(width, bands, 1),
        )

    def encode(self, images: Tensor) -> Tensor:
        """Images (n, bands, s, s) to latents (n, latent, s / 4, s / 4)."""
        return cast("Tensor", self.encoder(images))

    def decode(self, latents: Tensor) -> Tensor:
        """Latents (n, latent, s / 4, s / 4) to images (n, bands, s, s)."""
        return cast("Tensor", self.decoder(latents))

    def forward(self, images: Tensor) -> Tensor:
        """Images to images."""
        return self.decode(self.encode(images))


def best_device() -> torch.device:
    """The accelerator, if there is one."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")
