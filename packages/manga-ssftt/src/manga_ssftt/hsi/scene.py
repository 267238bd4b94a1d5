"""Hyperspectral scenes: image and ground truth in MATLAB files, or a synthetic image."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.io import loadmat, whosmat
from scipy.io.matlab import MatReadError
from scipy.ndimage import gaussian_filter, gaussian_filter1d

from astro_common.errors import InputError

__all__ = ["Scene", "mock_image", "read_ground_truth", "read_scene"]

_MAX_VALUES = 2 << 30
# What SciPy raises over a file that is damaged or no MATLAB file.
_DAMAGED = (OSError, ValueError, TypeError, LookupError, EOFError, MatReadError, zlib.error)


@dataclass(frozen=True, eq=False)
class Scene:
    """An image with a class for some of its pixels.

    Attributes
    ----------
    image : ndarray of float32, shape (n_y, n_x, n_bands)
    truth : ndarray of int64, shape (n_y, n_x)
        Class, 1 and up; 0 is not labelled.
    """

    image: npt.NDArray[np.float32]
    truth: npt.NDArray[np.int64]

    @property
    def classes(self) -> npt.NDArray[np.int64]:
        """The classes that occur (ndarray of int64)."""
        return np.unique(self.truth[self.truth > 0])


def read_scene(image: Path, ground_truth: Path) -> Scene:
    """Read an image and its ground truth.

    Parameters
    ----------
    image, ground_truth : Path
        ``.mat`` files (version 4 to 7) that hold one array of three and of two dimensions each.

    Returns
    -------
    Scene

    Raises
    ------
    InputError
        If a file is missing, damaged, or holds no such array, or the two differ in size.
    """
    values = _read_array(image, 3)
    truth = read_ground_truth(ground_truth)
    if values.shape[:2] != truth.shape:
        raise InputError(
            image, f"an image of {values.shape[:2]} pixels", f"{truth.shape}, as {ground_truth}"
        )
    if not np.all(np.isfinite(values)):
        raise InputError(image, "pixels that are not finite", "finite values")
    return Scene(values.astype(np.float32), truth)


def read_ground_truth(path: Path) -> npt.NDArray[np.int64]:
    """Read a ground truth.

    Returns
    -------
    ndarray of int64, shape (n_y, n_x)

    Raises
    ------
    InputError
        If the file is missing, damaged, or holds no whole numbers of 0 and up with two classes.
    """
    values = _read_array(path, 2)
    # Beyond these bounds a float has no integer, NaN included.
    whole = (values >= 0) & (values < 2.0**53)
    truth = np.where(whole, values, -1).astype(np.int64)
    if not np.array_equal(truth, values):
        raise InputError(path, "values that are no classes", "whole numbers, 0 for not labelled")
    if len(np.unique(truth[truth > 0])) < 2:
        raise InputError(path, "fewer than two classes", "at least two")
    return truth


def _read_array(path: Path, n_dimensions: int) -> npt.NDArray[Any]:
    kind = f"one array of {n_dimensions} dimensions"
    try:
        found = [(name, shape) for name, shape, _ in whosmat(path) if len(shape) == n_dimensions]
        if len(found) != 1:
            names = ", ".join(name for name, _ in found) or "none"
            raise InputError(path, f"arrays of {n_dimensions} dimensions: {names}", kind)
        name, shape = found[0]
        if np.prod([float(size) for size in shape]) > _MAX_VALUES:
            raise InputError(path, f"an array of {shape}", "at most 2^31 values")
        values = np.asarray(loadmat(path, variable_names=[name])[name])
    except FileNotFoundError as error:
        raise InputError(path, "no such file", "a .mat file") from error
    except NotImplementedError as error:
        raise InputError(
            path, "a MATLAB 7.3 file", "version 4 to 7", "save it with -v7 in MATLAB"
        ) from error
    except _DAMAGED as error:
        raise InputError(path, f"cannot be read ({error})", "a .mat file") from error
    if values.dtype.kind not in "iuf" or values.size == 0:
        raise InputError(path, f"an array of {values.dtype}", kind)
    return values


def mock_image(
    truth: npt.NDArray[np.int64], *, n_bands: int = 200, noise: float = 0.08, seed: int = 0
) -> npt.NDArray[np.float32]:
    """Make an image for a ground truth whose own image is not at hand.

    Each class has a smooth random spectrum, each pixel a brightness that varies over the scene, and
    noise that is independent by pixel and band. The result is synthetic: figures on it tell about
    the protocol, not about the scene.

    Parameters
    ----------
    truth : ndarray of int64, shape (n_y, n_x)
    n_bands : int, optional
    noise : float, optional
        Standard deviation, where spectra are about 0.5 with differences of 0.05.
    seed : int, optional

    Returns
    -------
    ndarray of float32, shape (n_y, n_x, n_bands)
    """
    random = np.random.default_rng(seed)
    n_classes = int(truth.max()) + 1
    common = 0.5 + 0.15 * gaussian_filter1d(random.normal(size=n_bands), 20) * np.sqrt(20)
    shapes = gaussian_filter1d(random.normal(size=(n_classes, n_bands)), 8, axis=1) * np.sqrt(8)
    spectra = common + 0.05 * shapes
    light = 1.0 + 0.3 * gaussian_filter(random.normal(size=truth.shape), 12) * 12
    image = spectra[truth] * light[..., np.newaxis]
    image += random.normal(0.0, noise, image.shape)
    return np.asarray(image, dtype=np.float32)
