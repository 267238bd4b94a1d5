"""The networks as plain descriptions, and their forward pass in NumPy.

TensorFlow trains the network; it is used here without, so that predictions need no TensorFlow and
start at once. Both read the same list of layers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import reduce
from typing import Any

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import as_strided

from astro_common.errors import ConfigurationError

__all__ = ["ARCHITECTURES", "Network", "forward", "softmax"]

Floats = npt.NDArray[np.float32]

ARCHITECTURES = ("cnn", "resnet")
_BATCH_NORM_EPSILON = 1e-3
# At the default step a pixel is about a resolution element of SDSS. The first kernels see every
# pixel; every fourth place is enough to tell types, and all later layers cost a quarter.
_FIRST_STRIDE = 4


@dataclass(frozen=True)
class Network:
    """Shape of a network.

    Attributes
    ----------
    architecture : str
        ``cnn``: convolution, batch normalisation, ReLU and pooling, `depth` times. ``resnet``: each
        stage adds a residual block of two dilated convolutions.
    depth : int
        Number of stages; the first keeps each fourth pixel, the others halve the pixels.
    width : int
        Filters of the first stage; later ones have half as many again.
    kernels : tuple of int
        Kernel sizes in pixels, of the first stages; the last holds for those that follow.
    dense_units : int
        Units of the hidden layer.
    dropout, l2 : float
        Regularisation.
    """

    architecture: str = "resnet"
    depth: int = 5
    width: int = 16
    kernels: tuple[int, ...] = (9, 7, 5)
    dense_units: int = 96
    dropout: float = 0.5
    l2: float = 1e-4

    def __post_init__(self) -> None:
        if self.architecture not in ARCHITECTURES:
            raise ConfigurationError(
                "--architecture", repr(self.architecture), " or ".join(ARCHITECTURES)
            )
        if not 1 <= self.depth <= 9:
            raise ConfigurationError("--depth", str(self.depth), "1 to 9")
        if not 1 <= self.width <= 512:
            raise ConfigurationError("--width", str(self.width), "1 to 512")
        if not self.kernels or any(not 1 <= k <= 101 or k % 2 == 0 for k in self.kernels):
            raise ConfigurationError("--kernels", str(self.kernels), "odd sizes from 1 to 101")
        if not 0.0 <= self.dropout < 1.0:
            raise ConfigurationError("--dropout", f"{self.dropout:g}", "from 0 to below 1")
        if not 0.0 <= self.l2 <= 1.0:
            raise ConfigurationError("--l2", f"{self.l2:g}", "0 to 1")

    def layers(self, num_bins: int) -> list[dict[str, Any]]:
        """The layers in order: kinds and sizes (list of dict)."""
        found: list[dict[str, Any]] = []
        for stage in range(self.depth):
            kernel = self.kernels[min(stage, len(self.kernels) - 1)]
            filters = self.width if stage == 0 else self.width * 3 // 2
            conv = {"kind": "conv", "filters": filters, "kernel": kernel, "dilation": 1}
            if stage == 0:
                found.append({**conv, "stride": _FIRST_STRIDE})
                continue
            found += [{**conv, "stride": 1}, {"kind": "pool", "size": 2}]
            if self.architecture == "resnet":
                found.append({"kind": "residual", "filters": filters, "kernel": 3, "dilation": 2})
        found += [
            {"kind": "flatten"},
            {"kind": "dense", "units": self.dense_units},
            {"kind": "output", "units": num_bins},
        ]
        return found

    def as_dict(self) -> dict[str, Any]:
        """As JSON can hold it (dict)."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Network:
        """Make one of what `as_dict` gave."""
        return cls(**{**values, "kernels": tuple(values["kernels"])})


@dataclass
class _Weights:
    """Hands out arrays in the order in which the layers take them."""

    arrays: Sequence[Floats]
    place: int = field(default=0)

    def take(self, count: int) -> Sequence[Floats]:
        found = self.arrays[self.place : self.place + count]
        if len(found) < count:
            raise ConfigurationError(
                "weights", f"{len(self.arrays)} arrays", "more, for this network"
            )
        self.place += count
        return found


def _convolve(values: Floats, kernel: Floats, dilation: int, stride: int = 1) -> Floats:
    """Convolution with zeros beyond the ends, padded as Keras's ``same``.

    `values` is (n, n_pixels, c), `kernel` (size, c, filters), as in Keras.
    """
    size, in_channels, filters = kernel.shape
    num, n_pixels, _ = values.shape
    count = -(-n_pixels // stride)
    total = max(0, (count - 1) * stride + dilation * (size - 1) + 1 - n_pixels)
    padded = np.zeros((num, n_pixels + total, in_channels), np.float32)
    padded[:, total // 2 : total // 2 + n_pixels] = values
    # One product of matrices for all pixels: (num * count, size * c) by (size * c, filters).
    each, pixel, channel = padded.strides
    windows = as_strided(
        padded,
        (num, count, size, in_channels),
        (each, stride * pixel, dilation * pixel, channel),
        writeable=False,
    )
    patches = windows.reshape(num * count, size * in_channels)
    product: Floats = patches @ kernel.reshape(-1, filters)
    return product.reshape(num, count, filters)


def _folded(kernel: Floats, norm: Sequence[Floats]) -> tuple[Floats, Floats]:
    # Batch normalisation at rest is a scale and an offset: they go into the kernel.
    gamma, beta, mean, variance = norm
    scale = gamma / np.sqrt(variance + _BATCH_NORM_EPSILON)
    return kernel * scale, beta - mean * scale


def _stage(values: Floats, weights: _Weights, dilation: int, stride: int = 1) -> Floats:
    kernel, *norm = weights.take(5)
    folded, offset = _folded(kernel, norm)
    found = _convolve(values, folded, dilation, stride)
    found += offset
    return found


def _relu(values: Floats) -> Floats:
    """Negative values become 0, in place."""
    np.maximum(values, 0.0, out=values)
    return values


def forward(network: Network, arrays: Sequence[Floats], values: Floats) -> Floats:
    """Compute the logits.

    Parameters
    ----------
    network : Network
        Its shape.
    arrays : sequence of ndarray of float32
        Weights in Keras's order: of each convolution kernel, gamma, beta, mean and variance; of
        each dense layer kernel and bias.
    values : ndarray of float32, shape (n, n_pixels, n_channels)
        The channels.

    Returns
    -------
    ndarray of float32, shape (n, n_bins)
    """
    weights = _Weights(arrays)
    num_bins = arrays[-1].shape[0]
    for layer in network.layers(num_bins):
        kind = layer["kind"]
        if kind == "conv":
            values = _relu(_stage(values, weights, layer["dilation"], layer["stride"]))
        elif kind == "residual":
            inner = _stage(
                _relu(_stage(values, weights, layer["dilation"])), weights, layer["dilation"]
            )
            inner += values
            values = _relu(inner)
        elif kind == "pool":
            size = layer["size"]
            count = values.shape[1] // size
            if count == 0:
                raise ConfigurationError(
                    "--depth", str(network.depth), "fewer stages for this grid"
                )
            values = reduce(np.maximum, (values[:, k : count * size : size] for k in range(size)))
        elif kind == "flatten":
            values = values.reshape(len(values), -1)
        else:
            kernel, bias = weights.take(2)
            values = values @ kernel + bias
            if kind == "dense":
                values = _relu(values)
    return np.asarray(values, np.float32)


def softmax(logits: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """Probabilities of logits along the last axis."""
    shifted = np.asarray(logits, np.float64)
    shifted = np.exp(shifted - shifted.max(axis=-1, keepdims=True))
    return np.asarray(shifted / shifted.sum(axis=-1, keepdims=True))
