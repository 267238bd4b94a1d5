"""SCONE's network (Qu, Sako, Moller & Doux 2021, AJ 162, 67), in PyTorch.

Convolutions span all wavelengths, so that each leaves one row; its channels then become the rows of
the next image. With 32 x 180 bins there are 22,449 parameters for two classes and 22,614 for six.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import nn

__all__ = ["NetworkConfiguration", "SconeNetwork"]

# Keras' defaults, which differ from PyTorch's.
_BATCH_NORM_EPSILON = 1e-3
_BATCH_NORM_MOMENTUM = 0.01


@dataclass(frozen=True)
class NetworkConfiguration:
    """Sizes of the network.

    Attributes
    ----------
    num_wavelength_bins, num_time_bins : int
    num_classes : int
        With 2 the network has one output, the probability of SN Ia.
    with_redshift : bool
        Also use redshift and its uncertainty.
    """

    num_wavelength_bins: int = 32
    num_time_bins: int = 180
    num_classes: int = 2
    with_redshift: bool = False

    def as_json(self) -> dict[str, Any]:
        """The configuration as a JSON file holds it."""
        return asdict(self)


class _Block(nn.Module):
    """A convolution over all wavelengths and three days; its channels become the new rows."""

    def __init__(self, rows: int, channels: int) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(channels, rows, (rows, 3), padding=(0, 1))
        self.activation = nn.ELU()
        self.normalisation = nn.BatchNorm2d(
            1, eps=_BATCH_NORM_EPSILON, momentum=_BATCH_NORM_MOMENTUM
        )

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        rows = self.activation(self.convolution(image))  # (n, rows, 1, time)
        result: torch.Tensor = self.normalisation(rows.transpose(1, 2))  # (n, 1, rows, time)
        return result


class SconeNetwork(nn.Module):
    """The classifier.

    Parameters
    ----------
    configuration : NetworkConfiguration
    """

    def __init__(self, configuration: NetworkConfiguration) -> None:
        super().__init__()
        self.configuration = configuration
        rows, days = configuration.num_wavelength_bins, configuration.num_time_bins
        self.features = nn.Sequential(
            _Block(rows, 2),
            _Block(rows, 1),
            nn.MaxPool2d(2),
            _Block(rows // 2, 1),
            _Block(rows // 2, 1),
            nn.MaxPool2d(2),
            nn.Flatten(),
            nn.Dropout(0.5),
        )
        width = (rows // 2 // 2) * (days // 2 // 2) + 2 * configuration.with_redshift
        self.hidden = nn.Sequential(nn.Linear(width, 32), nn.ReLU(), nn.Dropout(0.3))
        outputs = 1 if configuration.num_classes == 2 else configuration.num_classes
        self.output = nn.Linear(32, outputs)
        for module in self.modules():
            if isinstance(module, (nn.Conv2d, nn.Linear)):
                nn.init.xavier_uniform_(module.weight)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def forward(self, image: torch.Tensor, redshift: torch.Tensor | None = None) -> torch.Tensor:
        """Logits of the classes.

        Parameters
        ----------
        image : tensor of float32, shape (n, n_wavelength, n_time, 2)
            Normalised.
        redshift : tensor of float32, shape (n, 2), optional

        Returns
        -------
        tensor of float32, shape (n,) or (n, num_classes)
            With two classes, the logit of SN Ia.
        """
        found = self.features(image.permute(0, 3, 1, 2))  # (n, 2, wavelength, time) -> (n, width)
        if self.configuration.with_redshift:
            if redshift is None:
                raise ValueError("this network needs redshifts")
            # An unknown redshift, or SNANA's -9, is the same for all events.
            known = torch.nan_to_num(redshift, nan=-1.0).clamp(min=-1.0)
            found = torch.cat([found, known], dim=1)
        logits: torch.Tensor = self.output(self.hidden(found))
        return logits[:, 0] if self.configuration.num_classes == 2 else logits
