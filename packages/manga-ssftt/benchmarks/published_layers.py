"""The published SSFTT, layer by layer, without regard to speed: what ours is compared with."""

from __future__ import annotations

import torch
from torch import nn

__all__ = ["PublishedSSFTT"]


class PublishedSSFTT(nn.Module):
    """The network of Sun et al. (2022), written as its paper describes it."""

    def __init__(self, bands: int, classes: int) -> None:
        super().__init__()
        self.conv3d = nn.Sequential(nn.Conv3d(1, 8, 3), nn.BatchNorm3d(8), nn.ReLU())
        self.conv2d = nn.Sequential(
            nn.Conv2d(8 * (bands - 2), 64, 3), nn.BatchNorm2d(64), nn.ReLU()
        )
        self.token_wa = nn.Parameter(torch.randn(1, 4, 64) * 0.1)
        self.token_wv = nn.Parameter(torch.randn(1, 64, 64) * 0.1)
        self.cls = nn.Parameter(torch.zeros(1, 1, 64))
        self.pos = nn.Parameter(torch.randn(1, 5, 64) * 0.02)
        self.dropout = nn.Dropout(0.1)
        self.norm1, self.norm2 = nn.LayerNorm(64), nn.LayerNorm(64)
        self.qkv, self.out = nn.Linear(64, 192), nn.Linear(64, 64)
        self.up, self.down = nn.Linear(64, 8), nn.Linear(8, 64)
        self.head = nn.Linear(64, classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (B, 1, bands, p, p) to (B, classes)."""
        x = self.conv3d(x)
        x = self.conv2d(x.reshape(x.shape[0], -1, *x.shape[3:]))
        x = x.flatten(2).transpose(1, 2)
        attention = (x @ self.token_wa.transpose(1, 2)).transpose(1, 2).softmax(dim=-1)
        tokens = attention @ torch.matmul(x, self.token_wv)
        x = self.dropout(torch.cat([self.cls.expand(len(x), 1, 64), tokens], dim=1) + self.pos)
        parts = self.qkv(self.norm1(x)).chunk(3, dim=-1)
        query, key, value = (part.reshape(len(x), 5, 8, 8).transpose(1, 2) for part in parts)
        scores = torch.einsum("bhid,bhjd->bhij", query, key) * 64**-0.5
        mixed = torch.einsum("bhij,bhjd->bhid", scores.softmax(dim=-1), value)
        x = x + self.dropout(self.out(mixed.transpose(1, 2).reshape(len(x), 5, 64)))
        hidden = self.dropout(nn.functional.gelu(self.up(self.norm2(x))))
        x = x + self.dropout(self.down(hidden))
        result: torch.Tensor = self.head(x[:, 0])
        return result
