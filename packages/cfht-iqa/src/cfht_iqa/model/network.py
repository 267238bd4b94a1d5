"""The network: a small CNN over the tiles of the image, an MLP over the hits, and their fusion.

The tiles share one CNN, since a star on one tile is blurred or trailed as on the next; what it
finds is pooled over the tiles, weighted by group. Every tile is divided by its peak, so that the
brightness of its source, and with it exposure time and filter, is of no matter.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn

from cfht_iqa.classes import CLASSES
from cfht_iqa.model.encoding import PiecewiseLinear
from cfht_iqa.model.statistics import N_STATISTICS
from cfht_iqa.representatives import CUTOUT_PX

__all__ = ["IqaNetwork", "NetworkConfiguration"]


@dataclass(frozen=True)
class NetworkConfiguration:
    """Size of the network.

    Attributes
    ----------
    n_clusters, n_nodes : int
        Tiles of the image, and nodes of the map.
    channels : int
        Of the first convolution.
    hidden : int
        Width of the layers that follow.
    bins : int
        Into which each statistic is cut; see `PiecewiseLinear`.
    dropout : float
        Share of the values that are left out in training.
    use_image, use_hits, use_statistics : bool
        Which inputs it has.
    """

    n_clusters: int
    n_nodes: int
    channels: int = 12
    hidden: int = 48
    bins: int = 8
    dropout: float = 0.3
    use_image: bool = True
    use_hits: bool = True
    use_statistics: bool = True

    def as_json(self) -> dict[str, Any]:
        """The configuration as a dict."""
        return asdict(self)


class IqaNetwork(nn.Module):
    """Classifies a CCD.

    Parameters
    ----------
    configuration : NetworkConfiguration
        Its size.
    """

    def __init__(self, configuration: NetworkConfiguration) -> None:
        super().__init__()
        self.configuration = configuration
        c, hidden = configuration.channels, configuration.hidden
        self.tile_cnn = nn.Sequential(
            nn.Conv2d(2, c, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(c, 2 * c, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(2 * c, 3 * c, 3, padding=1),
            nn.ReLU(),
        )
        self.tile_mlp = nn.Sequential(nn.Linear(6 * c, hidden), nn.ReLU())
        self.tile_score = nn.Linear(hidden, 1)
        self.cluster_score = nn.Parameter(torch.zeros(configuration.n_clusters))
        n_hits = configuration.n_clusters + configuration.n_nodes
        self.hits_mlp = nn.Sequential(
            nn.Dropout(configuration.dropout),
            nn.Linear(n_hits, hidden),
            nn.ReLU(),
            nn.Dropout(configuration.dropout),
        )
        self.statistics_encoding = PiecewiseLinear(N_STATISTICS, configuration.bins)
        self.statistics_mlp = nn.Sequential(
            nn.Linear(self.statistics_encoding.n_out, hidden),
            nn.ReLU(),
            nn.Linear(hidden, hidden),
            nn.ReLU(),
        )
        fused = 2 * hidden * configuration.use_image + hidden * configuration.use_hits
        fused += hidden * configuration.use_statistics
        self.head = nn.Sequential(
            nn.Dropout(configuration.dropout),
            nn.Linear(fused, hidden),
            nn.ReLU(),
            nn.Linear(hidden, len(CLASSES)),
        )

    def forward(
        self, image: Tensor, hits: Tensor, statistics: Tensor, tiles: Tensor | None = None
    ) -> Tensor:
        """Classify CCDs.

        Parameters
        ----------
        image : Tensor, shape (n, 25, 25 n_clusters)
            Representative images.
        hits : Tensor, shape (n, n_clusters + n_nodes)
            Shares of the sources.
        statistics : Tensor, shape (n, N_STATISTICS)
            See `CcdInputs`.
        tiles : Tensor of int64, shape (m,), optional
            Which tiles are looked at; by default all.

        Returns
        -------
        Tensor, shape (n, 5)
            Logits, in the order of `CLASSES`.
        """
        parts = []
        if self.configuration.use_image:
            parts.append(self._seen(image, tiles))
        if self.configuration.use_hits:
            # Shares are small numbers; the root spreads them, and keeps zero at zero.
            parts.append(self.hits_mlp(hits.clamp(min=0.0).sqrt()))
        if self.configuration.use_statistics:
            parts.append(self.statistics_mlp(self.statistics_encoding(statistics)))
        logits: Tensor = self.head(torch.cat(parts, dim=1))
        return logits

    def _seen(self, image: Tensor, chosen: Tensor | None) -> Tensor:
        n, k, side = len(image), self.configuration.n_clusters, CUTOUT_PX
        # (n, 25, k * 25) -> (n, 25, k, 25) -> (n, k, 25, 25)
        tiles = image.reshape(n, side, k, side).permute(0, 2, 1, 3)
        cluster_score: Tensor = self.cluster_score
        if chosen is not None:
            tiles, cluster_score, k = tiles[:, chosen], cluster_score[chosen], len(chosen)
        tiles = torch.nan_to_num(tiles)
        middle = tiles[:, :, 5:-5, 5:-5]
        peak = middle.amax(dim=(2, 3), keepdim=True)
        filled = (peak > 0.0).flatten(1)  # (n, k)
        scaled = (tiles / torch.where(peak > 0.0, peak, torch.ones_like(peak))).clamp(-0.5, 1.5)
        # The second channel lifts the wings.
        wings = torch.asinh(20.0 * scaled) / 3.7
        pair = torch.stack([scaled, wings], dim=2).reshape(n * k, 2, side, side)
        found = self.tile_cnn(pair)  # (n * k, 3 c, 6, 6)
        pooled = torch.cat([found.mean(dim=(2, 3)), found.amax(dim=(2, 3))], dim=1)
        tile = self.tile_mlp(pooled).reshape(n, k, -1)
        score = self.tile_score(tile).squeeze(2) + cluster_score
        # A CCD of which every tile is empty gets even weights, and zeros to weigh.
        score = score.masked_fill(~filled, -1e4)
        weight = torch.softmax(score, dim=1)[:, :, None] * filled[:, :, None]
        share = filled[:, :, None] / filled.sum(dim=1).clamp(min=1)[:, None, None]
        return torch.cat([(tile * weight).sum(dim=1), (tile * share).sum(dim=1)], dim=1)
