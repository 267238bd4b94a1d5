"""Networks, in PyTorch."""

from __future__ import annotations

from manga_ssftt.model.simple_net import SimpleNet
from manga_ssftt.model.spectral_net import SpectralNet
from manga_ssftt.model.ssftt import SSFTT

__all__ = ["SSFTT", "SimpleNet", "SpectralNet"]
