"""Shards for PyTorch (the extra ``torch``)."""

from __future__ import annotations

import numpy as np
import torch
from torch.utils.data import Dataset

from scone_io.heatmap import normalised
from scone_io.shards import Shards

__all__ = ["HeatmapDataset"]


class HeatmapDataset(Dataset[tuple[torch.Tensor, torch.Tensor, int]]):
    """Events by their place, ready for a network.

    Parameters
    ----------
    shards : Shards
        Plain shards are read event by event. In a compressed one each event costs reading all that
        come before it; write it anew with ``scone-io merge``.
    normalise : bool
        Divide both channels by the largest flux, as SCONE does; see `scone_io.heatmap.normalised`.
    """

    def __init__(self, shards: Shards, *, normalise: bool = True) -> None:
        self._shards = shards
        self._normalise = normalise

    def __len__(self) -> int:
        return len(self._shards)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, torch.Tensor, int]:
        """The event at a place.

        Returns
        -------
        image : tensor of float32, shape (n_wavelength, n_time, 2)
        redshift : tensor of float32, shape (2,)
            Redshift and its uncertainty; NaN where there is none.
        label : int
        """
        event = self._shards[index]
        values = np.asarray(event.image, dtype=np.float64)
        image = normalised(values) if self._normalise else values
        redshift = [np.nan if value is None else value for value in (event.z, event.z_err)]
        return (
            torch.from_numpy(image.astype(np.float32)),
            torch.tensor(redshift, dtype=torch.float32),
            event.label,
        )
