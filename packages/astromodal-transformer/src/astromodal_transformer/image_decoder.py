"""Codes of cutouts to pixels: the decoder whose weights lie in the codebook of the images."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from astromodal_transformer.codebooks import ImageCodebook

__all__ = ["ImageDecoder"]

Codes = NDArray[np.uint16]

_GROUPS = 8
# Pixels are divided into this many squares along a side to weigh the rings.
_FINE = 16
# Beyond this the network's arsinh of flux / noise has no meaning.
_LARGEST = 20.0
# Of the noise per pixel: what a ring without light is filled with, evenly.
_FLOOR = 0.05


class ImageDecoder:
    """Latent pixels through the network, then the flux of each ring as its own token says.

    Parameters
    ----------
    image : ImageCodebook
    """

    def __init__(self, image: ImageCodebook) -> None:
        self.image = image
        self._weights = {
            name.removeprefix("network.decoder."): torch.from_numpy(np.array(array))
            for name, array in image.arrays.items()
            if name.startswith("network.decoder.")
        }
        self._noise = np.asarray(image.arrays["noise"], dtype=np.float64)
        radii = [float(radius) for radius in image.record["radii_px"]]
        self._rings = _ring_weights(image.size_px, radii)

    def decode(self, tokens: Codes, scale: Codes, missing: int) -> NDArray[np.float64]:
        """Cutouts.

        Parameters
        ----------
        tokens : ndarray of uint16, shape (n, side ** 2)
        scale : ndarray of uint16, shape (n, bands * rings)
        missing : int

        Returns
        -------
        ndarray of float64, shape (n, bands * size_px ** 2)
            In the unit of the hypercube. A token that is missing is taken as the mean of the
            codebook; a ring whose token is missing keeps the light that the network gives it.
        """
        image = self.image
        known = tokens != missing
        vectors = image.codebook[np.where(known, tokens, 0)]
        vectors = np.where(known[:, :, None], vectors, image.codebook.mean(axis=0))
        latent = vectors.reshape(len(tokens), image.side, image.side, -1).transpose(0, 3, 1, 2)
        flux = image.flux.decode(scale.reshape(len(scale), len(image.bands), image.rings), missing)
        area = (self._rings**2).sum(axis=(1, 2))
        flux = flux * (self._noise[:, None] * np.sqrt(area))
        with torch.inference_mode():
            scaled = self._network(torch.from_numpy(np.ascontiguousarray(latent)).float())
        pixels = np.sinh(scaled.clamp(-_LARGEST, _LARGEST).double().numpy())
        pixels *= self._noise[:, None, None]
        self._impose(pixels, flux)
        return np.asarray(pixels.reshape(len(tokens), -1))

    def _network(self, x: Tensor) -> Tensor:
        w = self._weights
        x = _convolved(x, w, "0")
        x = _residual(x, w, "1")
        x = functional.interpolate(x, scale_factor=2, mode="nearest")
        x = _residual(_convolved(x, w, "3"), w, "4")
        x = functional.interpolate(x, scale_factor=2, mode="nearest")
        x = _residual(_convolved(x, w, "6"), w, "7")
        return _convolved(x, w, "8")

    def _impose(self, pixels: NDArray[np.float64], flux: NDArray[np.float64]) -> None:
        """Add to each ring, in proportion to its light, what its flux lacks."""
        flat = pixels.reshape(*pixels.shape[:2], -1)
        rings = self._rings.reshape(len(self._rings), -1)
        lacking = flux - flat @ rings.T
        lacking = np.where(np.isfinite(lacking), lacking, 0.0)
        for number, ring in enumerate(rings):
            inside = np.flatnonzero(ring > 0.999)
            if not len(inside):
                inside = np.flatnonzero(ring >= ring.max())
            light = np.maximum(flat[:, :, inside], 0.0) + _FLOOR * self._noise[:, None]
            light /= (light * ring[inside]).sum(axis=2, keepdims=True)
            flat[:, :, inside] += lacking[:, :, number, None] * light


def _convolved(x: Tensor, weights: Mapping[str, Tensor], name: str) -> Tensor:
    kernel = weights[f"{name}.weight"]
    return functional.conv2d(x, kernel, weights[f"{name}.bias"], padding=kernel.shape[-1] // 2)


def _residual(x: Tensor, weights: Mapping[str, Tensor], name: str) -> Tensor:
    inner = x
    for norm, convolution in (("0", "2"), ("3", "5")):
        scale = weights[f"{name}.layers.{norm}.weight"]
        shift = weights[f"{name}.layers.{norm}.bias"]
        groups = next(n for n in range(min(_GROUPS, len(scale)), 0, -1) if len(scale) % n == 0)
        inner = functional.silu(functional.group_norm(inner, groups, scale, shift))
        inner = _convolved(inner, weights, f"{name}.layers.{convolution}")
    return x + inner


def _ring_weights(size_px: int, radii_px: list[float]) -> NDArray[Any]:
    """Part of each pixel in each ring around the centre of pixel ``size_px // 2``."""
    offset = (np.arange(size_px * _FINE) + 0.5) / _FINE - 0.5 - size_px // 2
    distance = np.hypot(offset[:, None], offset)
    discs = [np.zeros((size_px, size_px))]
    for radius in radii_px:
        inside = distance <= radius
        discs.append(inside.reshape(size_px, _FINE, size_px, _FINE).mean(axis=(1, 3)))
    return np.diff(np.stack(discs), axis=0)
