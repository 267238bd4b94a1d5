"""The scaling of a cube before a network sees it.

``global``, ``spatial`` and ``spectral`` map the range of a cube's own good pixels to 0 .. 1: over
the whole cube, over the spaxels at each wavelength, over the wavelengths of each spaxel. ``PCA``
standardises each wavelength and projects on a basis, both from training galaxies. A pixel that is
masked becomes 0, which for ``PCA`` is the mean of its wavelength.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from astro_common.errors import ConfigurationError
from manga_ssftt.training_statistics import Statistics

__all__ = ["normalise", "output_bands"]

_RANGE_AXES: Final[dict[str, tuple[int, ...]]] = {
    "global": (0, 1, 2),
    "spatial": (0, 1),
    "spectral": (2,),
}


def normalise(
    cube: npt.NDArray[np.float32],
    bad: npt.NDArray[np.bool_],
    norm: str,
    statistics: Statistics | None = None,
) -> npt.NDArray[np.float32]:
    """Normalise a cube.

    Parameters
    ----------
    cube : ndarray of float32, shape (n_y, n_x, n_wave)
    bad : ndarray of bool, same shape
    norm : {"global", "spatial", "spectral", "PCA"}
    statistics : Statistics, optional
        Needed by ``PCA`` alone.

    Returns
    -------
    ndarray of float32, shape (n_y, n_x, n_wave) or, with PCA, (n_y, n_x, n_components)
        Where the good pixels have no range (all alike, or none), 0.

    Raises
    ------
    ConfigurationError
        If statistics are missing, or are of another wavelength grid.
    """
    if norm == "PCA":
        return _project(cube, bad, _fitting(statistics, cube.shape[2]))
    axes = _RANGE_AXES[norm]
    low = np.min(cube, axis=axes, keepdims=True, where=~bad, initial=np.inf)
    high = np.max(cube, axis=axes, keepdims=True, where=~bad, initial=-np.inf)
    span = np.where(high > low, high - low, np.inf)
    low = np.where(high > low, low, 0.0)
    scaled = (cube - low) / span
    scaled[bad] = 0.0
    return np.asarray(scaled, dtype=np.float32)


def _project(
    cube: npt.NDArray[np.float32], bad: npt.NDArray[np.bool_], statistics: Statistics
) -> npt.NDArray[np.float32]:
    standard = statistics.standardise(
        cube.reshape(-1, cube.shape[2]), bad.reshape(-1, cube.shape[2])
    )
    projected = standard @ statistics.components.T
    return projected.reshape(*cube.shape[:2], -1).astype(np.float32)


def output_bands(norm: str, n_wave: int, statistics: Statistics | None) -> int:
    """Number of values of a normalised spectrum (int).

    Parameters
    ----------
    norm, statistics
        As for `normalise`.
    n_wave : int
        Number of wavelengths of the spectrum.

    Raises
    ------
    ConfigurationError
        As for `normalise`.
    """
    return len(_fitting(statistics, n_wave).components) if norm == "PCA" else n_wave


def _fitting(statistics: Statistics | None, n_wave: int) -> Statistics:
    if statistics is None:
        raise ConfigurationError("--stats", "not given", "the file that the verb stats writes")
    if n_wave != len(statistics.mean):
        raise ConfigurationError(
            "--stats",
            f"statistics of {len(statistics.mean)} wavelengths",
            f"{n_wave}, as the cube has",
            "run stats on cubes of this grid",
        )
    return statistics
