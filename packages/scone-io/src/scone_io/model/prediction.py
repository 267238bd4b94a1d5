"""Probabilities of a trained network."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch

from astro_common.errors import ConfigurationError
from scone_io.evaluation import Prediction
from scone_io.heatmap import normalised
from scone_io.model.files import TrainedModel
from scone_io.shards import Shards
from scone_io.torch_data import HeatmapDataset

__all__ = ["predict", "probabilities"]

_BATCH_SIZE = 64
# Label of SN Ia in SCONE's binary shards, which is taken for it in all others too.
_IA_LABEL = 1


def _probability(
    model: TrainedModel, image: torch.Tensor, redshift: torch.Tensor
) -> npt.NDArray[np.float64]:
    with torch.no_grad():
        logits = model.network(image, redshift)
        if model.network.configuration.num_classes == 2:
            chance = torch.sigmoid(logits.double())
        else:
            chance = torch.softmax(logits.double(), dim=1)[:, _IA_LABEL]
    result: npt.NDArray[np.float64] = chance.numpy()
    return result


def probabilities(
    model: TrainedModel, data: HeatmapDataset, rows: npt.NDArray[np.int64]
) -> npt.NDArray[np.float64]:
    """Probability of SN Ia of some events.

    Parameters
    ----------
    model : TrainedModel
    data : HeatmapDataset
    rows : ndarray of int64, shape (n,)

    Returns
    -------
    ndarray of float64, shape (n,)
    """
    found = []
    for start in range(0, len(rows), _BATCH_SIZE):
        items = [data[int(row)] for row in rows[start : start + _BATCH_SIZE]]
        image = torch.stack([item[0] for item in items])
        found.append(_probability(model, image, torch.stack([item[1] for item in items])))
    return np.concatenate([np.empty(0), *found])


def predict(model: TrainedModel, shards: Shards) -> Prediction:
    """Probability of SN Ia of all events.

    Parameters
    ----------
    model : TrainedModel
    shards : Shards

    Returns
    -------
    Prediction
        In the order of the files; of events with one SNID, the first.

    Raises
    ------
    ConfigurationError
        If a shard has another grid than that for which the model was trained.
    """
    snids, chances = [], []
    for shard in shards.shards:
        if shard.grid != model.grid:
            raise ConfigurationError(
                shard.path, "another grid than the model's", "the grid of its training"
            )
        for batch in shard.batches(_BATCH_SIZE):
            image = normalised(np.asarray(batch.image, dtype=np.float64)).astype(np.float32)
            redshift = np.stack([batch.z, batch.z_err], axis=1)
            snids.append(batch.snid)
            chances.append(_probability(model, torch.from_numpy(image), torch.from_numpy(redshift)))
    snid = np.concatenate([np.empty(0, dtype=np.int64), *snids])
    chance = np.concatenate([np.empty(0), *chances])
    _, first = np.unique(snid, return_index=True)
    kept = np.sort(first)
    return Prediction(snid[kept], chance[kept])
