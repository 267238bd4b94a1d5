"""The networks in Keras; the only module that imports TensorFlow."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt

from astro_common.errors import ConfigurationError
from sdss_spectra.model.architecture import Network

__all__ = ["build", "load_tensorflow", "ordered_weights", "require_tensorflow"]

Floats = npt.NDArray[np.float32]


def require_tensorflow() -> None:
    """Raise a `ConfigurationError` if TensorFlow is not installed."""
    from importlib.util import find_spec

    if find_spec("tensorflow") is None:
        raise ConfigurationError(
            "train",
            "the package tensorflow is not installed",
            action="install sdss-spectra[tensorflow]",
        )


def load_tensorflow() -> Any:
    """Import TensorFlow, quietly; a `ConfigurationError` says so if it is not installed."""
    require_tensorflow()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with _quiet():
        import tensorflow as tf

    tf.get_logger().setLevel("ERROR")
    return tf


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep TensorFlow's libraries from reporting on stderr what they look for as they load.

    They write before they read their own log level. An error of the import is an exception and is
    not lost.
    """
    sys.stderr.flush()
    kept = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def build(tf: Any, network: Network, shape: tuple[int, int], num_bins: int) -> Any:
    """Make the Keras model of a description; see `Network.layers`."""
    keras = tf.keras
    regularizer = keras.regularizers.L2(network.l2) if network.l2 else None

    def convolved(values: Any, layer: dict[str, Any]) -> Any:
        values = keras.layers.Conv1D(
            layer["filters"],
            layer["kernel"],
            strides=layer.get("stride", 1),
            padding="same",
            dilation_rate=layer["dilation"],
            use_bias=False,
            kernel_regularizer=regularizer,
        )(values)
        return keras.layers.BatchNormalization(momentum=0.9)(values)

    values = inputs = keras.Input(shape)
    for layer in network.layers(num_bins):
        kind = layer["kind"]
        if kind == "conv":
            values = keras.layers.ReLU()(convolved(values, layer))
        elif kind == "residual":
            inner = keras.layers.ReLU()(convolved(values, layer))
            values = keras.layers.ReLU()(keras.layers.Add()([values, convolved(inner, layer)]))
        elif kind == "pool":
            values = keras.layers.MaxPooling1D(layer["size"])(values)
        elif kind == "flatten":
            values = keras.layers.Dropout(network.dropout)(keras.layers.Flatten()(values))
        elif kind == "dense":
            values = keras.layers.Dense(
                layer["units"], activation="relu", kernel_regularizer=regularizer
            )(values)
            values = keras.layers.Dropout(network.dropout)(values)
        else:
            values = keras.layers.Dense(layer["units"], dtype="float32")(values)
    return keras.Model(inputs, values)


def ordered_weights(model: Any) -> list[Floats]:
    """Weights in the order that `forward` expects: layer by layer, as Keras built them."""
    found: list[Floats] = []
    for layer in model.layers:
        found += [np.asarray(array, np.float32) for array in layer.get_weights()]
    return found
