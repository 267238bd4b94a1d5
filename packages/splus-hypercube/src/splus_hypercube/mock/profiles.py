"""Light profiles as sums of Gaussians, which a Gaussian point-spread function leaves Gaussian."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["aperture_weights", "galaxy_components", "galaxy_stamp", "point_factors"]

Float = NDArray[np.float64]

# Weight and sigma over half-light radius: least-squares fits to an exponential profile within 4.5
# half-light radii and to a de Vaucouleurs profile within 7. The method is that of Hogg and Lang
# 2013, PASP 125, 719.
_EXPONENTIAL = np.array(
    [[0.0128, 0.1528], [0.0552, 0.3044], [0.3573, 0.6063], [0.5747, 1.2078]],
)
_DE_VAUCOULEURS = np.array(
    [
        [0.0046, 0.0141],
        [0.0196, 0.0387],
        [0.0714, 0.1060],
        [0.1894, 0.2906],
        [0.3235, 0.7964],
        [0.3915, 2.1825],
    ]
)
_MAX_HALF_SIZE_PX = 90
_REACH_SIGMA = 3.5
_SUBPIXELS = 8


def galaxy_components(
    half_light_px: float, axis_ratio: float, position_angle_deg: float, bulge: float
) -> tuple[Float, Float]:
    """Gaussians of a galaxy before the point-spread function.

    Parameters
    ----------
    half_light_px : float
        Half-light radius along the major axis, pixels.
    axis_ratio : float
        Minor over major axis.
    position_angle_deg : float
        From +x to +y.
    bulge : float
        One for de Vaucouleurs, zero for exponential.

    Returns
    -------
    weights : ndarray of float64, shape (k,)
        They sum to one.
    covariances : ndarray of float64, shape (k, 3)
        Elements xx, xy, yy in square pixels.
    """
    table = _DE_VAUCOULEURS if bulge > 0.5 else _EXPONENTIAL
    angle = np.deg2rad(position_angle_deg)
    cos, sin = np.cos(angle), np.sin(angle)
    short = axis_ratio**2
    shape = np.array([cos**2 + short * sin**2, (1.0 - short) * sin * cos, sin**2 + short * cos**2])
    covariances = (table[:, 1] * half_light_px)[:, None] ** 2 * shape
    return table[:, 0] / table[:, 0].sum(), covariances


def galaxy_stamp(
    weights: Float,
    covariances: Float,
    psf: tuple[tuple[float, float], ...],
    dx: float,
    dy: float,
    smallest_px: int,
) -> Float:
    """A galaxy of unit flux on a stamp around its pixel.

    Parameters
    ----------
    weights, covariances : ndarray of float64
        From `galaxy_components`.
    psf : tuple of (weight, sigma_px)
        Gaussians of the point-spread function.
    dx, dy : float
        Offset of the source from the centre of the middle pixel.
    smallest_px : int
        Smallest half-size of the stamp.

    Returns
    -------
    ndarray of float64, shape (2 h + 1, 2 h + 1)
        The sum falls short of one by what lies outside the stamp.
    """
    widest = np.sqrt(max(covariances[-1, 0], covariances[-1, 2]) + psf[0][1] ** 2)
    half = int(np.clip(np.ceil(_REACH_SIGMA * widest), smallest_px, _MAX_HALF_SIZE_PX))
    axis = np.arange(-half, half + 1, dtype=np.float64)
    x, y = axis - dx, axis - dy
    stamp = np.zeros((len(axis), len(axis)))
    for psf_weight, sigma in psf:
        for weight, (xx, xy, yy) in zip(weights.tolist(), covariances.tolist(), strict=True):
            blurred_xx, blurred_yy = xx + sigma**2, yy + sigma**2
            determinant = blurred_xx * blurred_yy - xy**2
            amplitude = psf_weight * weight / (2.0 * np.pi * np.sqrt(determinant))
            # exp of the quadratic form splits into row, column and mixed factors.
            exponent = (-0.5 * blurred_yy / determinant) * x**2
            exponent = exponent + ((-0.5 * blurred_xx / determinant) * y**2)[:, None]
            exponent += np.outer(y, (xy / determinant) * x)
            np.exp(exponent, out=exponent)
            exponent *= amplitude
            stamp += exponent
    return stamp


def point_factors(
    dx: Float, dy: Float, psf: tuple[tuple[float, float], ...], half_px: int
) -> list[tuple[Float, Float]]:
    """Column and row factors of point sources of unit flux.

    Parameters
    ----------
    dx, dy : ndarray of float64, shape (n,)
        Offsets of the sources from the centres of their pixels.
    psf : tuple of (weight, sigma_px)
    half_px : int
        Half-size of the stamps.

    Returns
    -------
    list of (ndarray, ndarray), each of shape (n, 2 half_px + 1)
        For each Gaussian the factors along y (with its weight) and along x; the stamp is the sum
        of their outer products.
    """
    axis = np.arange(-half_px, half_px + 1, dtype=np.float64)
    factors = []
    for weight, sigma in psf:
        norm = 1.0 / (sigma * np.sqrt(2.0 * np.pi))
        along_y = norm * np.exp(-0.5 * ((axis - dy[:, None]) / sigma) ** 2)
        along_x = norm * np.exp(-0.5 * ((axis - dx[:, None]) / sigma) ** 2)
        factors.append((weight * along_y, along_x))
    return factors


def aperture_weights(dx: Float, dy: Float, radius_px: float, half_px: int) -> Float:
    """Fraction of each pixel within a circle around each source.

    Parameters
    ----------
    dx, dy : ndarray of float64, shape (n,)
        Offsets of the sources from the centres of their pixels.
    radius_px : float
    half_px : int
        Half-size of the window, large enough for the circle.

    Returns
    -------
    ndarray of float64, shape (n, 2 half_px + 1, 2 half_px + 1)
    """
    size = 2 * half_px + 1
    steps = (np.arange(size * _SUBPIXELS) + 0.5) / _SUBPIXELS - half_px - 0.5
    weights = np.empty((len(dx), size, size))
    for start in range(0, len(dx), 512):
        part = slice(start, start + 512)
        x2 = (steps - dx[part, None]) ** 2
        y2 = (steps - dy[part, None]) ** 2
        inside = radius_px - np.sqrt(y2[:, :, None] + x2[:, None, :])
        # A point near the circle counts by how much of its own small square lies inside.
        inside = np.clip(inside * _SUBPIXELS + 0.5, 0.0, 1.0)
        shape = (-1, size, _SUBPIXELS, size, _SUBPIXELS)
        weights[part] = inside.reshape(shape).mean(axis=(2, 4))
    return weights
