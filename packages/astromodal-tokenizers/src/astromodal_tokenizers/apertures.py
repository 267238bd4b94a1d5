"""Flux in rings around the source, measured and imposed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["impose_flux", "ring_flux", "ring_weights"]

Image = NDArray[np.float32]

# Each pixel is divided into this many squares along a side.
_FINE = 16
# Least part of a ring that must have been observed.
_LEAST_COVERED = 0.5
# A ring whose decoded light is faint is filled evenly: in units of the noise per pixel.
_FLOOR = 0.05


def ring_weights(size_px: int, radii_px: Sequence[float]) -> NDArray[np.float64]:
    """Part of each pixel that lies in each ring around the centre of pixel size // 2.

    Parameters
    ----------
    size_px : int
    radii_px : sequence of float
        Outer radii, rising; the first ring is a disc.

    Returns
    -------
    ndarray of float64, shape (rings, size_px, size_px)
    """
    offset = (np.arange(size_px * _FINE) + 0.5) / _FINE - 0.5 - size_px // 2
    distance = np.hypot(offset[:, None], offset[None])
    discs = []
    for radius in radii_px:
        inside = (distance <= radius).reshape(size_px, _FINE, size_px, _FINE)
        discs.append(inside.mean(axis=(1, 3)))
    return np.diff(np.stack([np.zeros((size_px, size_px)), *discs]), axis=0)


def ring_flux(images: Image, weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Flux in each ring.

    Parameters
    ----------
    images : ndarray of float32, shape (n, bands, size, size)
        NaN where unknown.
    weights : ndarray of float64, shape (rings, size, size)

    Returns
    -------
    ndarray of float64, shape (n, bands, rings)
        In the unit of the pixels, scaled up for unknown pixels; NaN if more than half are.
    """
    used = np.flatnonzero(weights.any(axis=0).ravel())
    rows, bands, height, width = images.shape
    flat = images.reshape(rows, bands, height * width)[:, :, used].astype(np.float64)
    ring = weights.reshape(len(weights), -1)[:, used].T
    known = np.isfinite(flat)
    total = np.where(known, flat, 0.0) @ ring
    covered = known @ ring / ring.sum(axis=0)
    enough = covered > _LEAST_COVERED
    return np.asarray(np.divide(total, covered, out=np.full_like(total, np.nan), where=enough))


def impose_flux(
    images: Image,
    flux: NDArray[np.float64],
    weights: NDArray[np.float64],
    noise: NDArray[np.float64],
) -> None:
    """Change images so that their rings hold a given flux.

    Each ring keeps the shape of its light: what is missing is added in proportion to the positive
    pixels that lie wholly inside.

    Parameters
    ----------
    images : ndarray of float32, shape (n, bands, size, size)
        Changed in place; finite.
    flux : ndarray of float64, shape (n, bands, rings)
        NaN where the ring is to stay as it is.
    weights : ndarray of float64, shape (rings, size, size)
    noise : ndarray of float64, shape (bands,)
        Per pixel, in the unit of the images.
    """
    missing = flux - ring_flux(images, weights)
    missing[~np.isfinite(missing)] = 0.0
    rows, bands, height, width = images.shape
    flat = images.reshape(rows, bands, height * width)
    for ring, weight in enumerate(weights.reshape(len(weights), -1)):
        inside = np.flatnonzero(weight > 0.999)
        if not len(inside):
            inside = np.flatnonzero(weight >= weight.max())
        shape = np.maximum(flat[:, :, inside], 0.0) + _FLOOR * noise[:, None]
        shape /= (shape * weight[inside]).sum(axis=2, keepdims=True)
        flat[:, :, inside] += (missing[:, :, ring, None] * shape).astype(np.float32)
