"""Shards for TensorFlow (the extra ``tensorflow``)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow as tf

from scone_io.heatmap import normalised
from scone_io.shards import BATCH_SIZE, Shards

__all__ = ["heatmap_dataset"]


def heatmap_dataset(shards: Shards, *, batch_size: int = BATCH_SIZE, normalise: bool = True) -> Any:
    """Events in batches, in the order of the files.

    Parameters
    ----------
    shards : Shards
    batch_size : int
    normalise : bool
        Divide both channels by the largest flux, as SCONE does; see `scone_io.heatmap.normalised`.

    Returns
    -------
    tf.data.Dataset
        Dictionaries ``image`` (float32, n x n_wavelength x n_time x 2), ``id``, ``label`` (int64),
        ``z``, ``z_err`` (float32, NaN where there is none).
    """
    shape = (None, *shards.grid.shape, 2)
    signature = {
        "image": tf.TensorSpec(shape, tf.float32),
        "id": tf.TensorSpec((None,), tf.int64),
        "label": tf.TensorSpec((None,), tf.int64),
        "z": tf.TensorSpec((None,), tf.float32),
        "z_err": tf.TensorSpec((None,), tf.float32),
    }

    def batches() -> Iterator[dict[str, Any]]:
        for batch in shards.batches(batch_size):
            image = np.asarray(batch.image, dtype=np.float64)
            yield {
                "image": (normalised(image) if normalise else image).astype(np.float32),
                "id": batch.snid,
                "label": batch.label,
                "z": batch.z,
                "z_err": batch.z_err,
            }

    return tf.data.Dataset.from_generator(batches, output_signature=signature)
