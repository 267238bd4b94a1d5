"""Quantisers with a fixed lattice of codes between two small networks that are learned.

The lattice has no table to learn and so no dead entries of its own; the networks bend the vectors
so that it fits them. Gradients pass the rounding unchanged (Bengio et al. 2013, arXiv:1308.3432).
"""

from __future__ import annotations

from abc import abstractmethod

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from astromodal_tokenizers.quantizers.base import Quantizer, as_tensor
from astromodal_tokenizers.threads import one_thread_each

__all__ = ["LatticeQuantizer"]

_HIDDEN = 64
_STEPS = 1000
_BATCH = 1024
_LEARNING_RATE = 3e-3
_CHUNK = 1 << 16


class LatticeQuantizer(Quantizer):
    """A network, a lattice, a network; subclasses say what the lattice is."""

    steps = _STEPS
    dimensions = 0
    """Features of a vector; known after `fit`."""

    @property
    @abstractmethod
    def lattice_dimensions(self) -> int:
        """Dimensions of the lattice."""

    @abstractmethod
    def round(self, values: Tensor) -> Tensor:
        """The nearest lattice point of each vector in (-1, 1), shape (n, lattice dimensions)."""

    @abstractmethod
    def codes(self, values: Tensor) -> Tensor:
        """The code of each lattice point (Tensor of int64, shape (n,))."""

    @abstractmethod
    def points(self) -> Tensor:
        """The lattice point of each code, shape (size, lattice dimensions)."""

    def penalty(self, values: Tensor) -> Tensor:
        """A term of the loss besides the squared error."""
        return values.new_zeros(())

    def fit(self, vectors: NDArray[np.float32]) -> None:
        """Learn the networks."""
        data = as_tensor(vectors)
        self._mean = data.mean(dim=0)
        self._scale = data.std(dim=0, correction=0).clamp(min=1e-12)
        data = (data - self._mean) / self._scale
        self.dimensions = data.shape[1]
        generator = torch.Generator().manual_seed(self.seed)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            self._build(data.shape[1])
        # Networks this small gain nothing from several threads.
        with one_thread_each():
            self._learn(data, generator)
        self._make_table()

    def _learn(self, data: Tensor, generator: torch.Generator) -> None:
        parameters = [*self._encoder.parameters(), *self._decoder.parameters()]
        optimizer = torch.optim.Adam(parameters, lr=_LEARNING_RATE)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, self.steps)
        for _ in range(self.steps):
            rows = torch.randint(0, len(data), (_BATCH,), generator=generator)
            batch = data[rows]
            values = torch.tanh(self._encoder(batch))
            passed = values + (self.round(values) - values).detach()
            loss = nn.functional.mse_loss(self._decoder(passed), batch) + self.penalty(values)
            optimizer.zero_grad()
            torch.autograd.backward(loss)
            optimizer.step()
            schedule.step()

    def encode(self, vectors: NDArray[np.float32]) -> NDArray[np.int64]:
        """Through the first network to the lattice."""
        parts = []
        with torch.inference_mode():
            points = as_tensor(vectors)
            for start in range(0, len(points), _CHUNK):
                part = points[start : start + _CHUNK]
                values = torch.tanh(self._encoder((part - self._mean) / self._scale))
                parts.append(self.codes(self.round(values)))
        return np.asarray(torch.cat(parts).numpy()) if parts else np.empty(0, dtype=np.int64)

    def tensors(self) -> dict[str, NDArray[np.float32]]:
        """Both networks and the table."""
        result = super().tensors()
        result["mean"], result["scale"] = self._mean.numpy(), self._scale.numpy()
        for part, network in (("encoder", self._encoder), ("decoder", self._decoder)):
            for name, value in network.state_dict().items():
                result[f"{part}.{name}"] = value.detach().numpy()
        return result

    def load(self, tensors: dict[str, NDArray[np.float32]]) -> None:
        """Take over the networks and the table."""
        super().load(tensors)
        self._mean, self._scale = as_tensor(tensors["mean"]), as_tensor(tensors["scale"])
        self.dimensions = self.codebook.shape[1]
        self._build(self.dimensions)
        for part, network in (("encoder", self._encoder), ("decoder", self._decoder)):
            names = network.state_dict()
            network.load_state_dict({name: as_tensor(tensors[f"{part}.{name}"]) for name in names})

    def _build(self, dimensions: int) -> None:
        lattice = self.lattice_dimensions
        self._encoder = nn.Sequential(
            nn.Linear(dimensions, _HIDDEN),
            nn.GELU(),
            nn.Linear(_HIDDEN, _HIDDEN),
            nn.GELU(),
            nn.Linear(_HIDDEN, lattice),
        )
        self._decoder = nn.Sequential(
            nn.Linear(lattice, _HIDDEN),
            nn.GELU(),
            nn.Linear(_HIDDEN, _HIDDEN),
            nn.GELU(),
            nn.Linear(_HIDDEN, dimensions),
        )

    def _make_table(self) -> None:
        with torch.inference_mode():
            table = self._decoder(self.points()) * self._scale + self._mean
        self.codebook = np.ascontiguousarray(table.numpy())
