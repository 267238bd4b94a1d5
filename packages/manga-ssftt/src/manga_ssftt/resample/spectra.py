"""Many spectra on another grid, by one sparse matrix or each with a redshift of its own."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from manga_ssftt.resample.grids import channel_range
from manga_ssftt.resample.overlap import Overlap, overlaps

__all__ = ["Resampled", "load_kernel", "resample", "resample_shifted"]

Floats = npt.NDArray[np.floating]

_N_THREADS: Final = 2
# Fewer spectra than this are not worth a thread.
_LEAST_SHARE: Final = 512


@dataclass(frozen=True, eq=False)
class Resampled:
    """Spectra on the output grid.

    Attributes
    ----------
    flux : ndarray of float32, shape (n_spectra, n_out)
        Flux density in the unit of the input; 0 where masked.
    ivar : ndarray of float32, shape (n_spectra, n_out)
        Inverse variance; 0 where masked.
    mask : ndarray of bool, shape (n_spectra, n_out)
        True where no good input pixel overlaps.
    coverage : ndarray of float32, shape (n_spectra, n_out)
        Fraction of the pixel's width that good input pixels cover, 0 to 1.
    """

    flux: npt.NDArray[np.float32]
    ivar: npt.NDArray[np.float32]
    mask: npt.NDArray[np.bool_]
    coverage: npt.NDArray[np.float32]

    @classmethod
    def empty(cls, n_spectra: int, n_out: int) -> Resampled:
        """Arrays to be filled with spectra; their values are undefined."""
        shape = (n_spectra, n_out)
        return cls(
            np.empty(shape, np.float32),
            np.empty(shape, np.float32),
            np.empty(shape, np.bool_),
            np.empty(shape, np.float32),
        )


def resample(
    flux: Floats,
    ivar: Floats,
    bad: npt.NDArray[np.bool_],
    edges_in: Floats,
    edges_out: Floats,
) -> Resampled:
    """Resample many spectra that share one wavelength grid.

    Parameters
    ----------
    flux, ivar : ndarray of float, shape (n_in, n_spectra)
        Flux density and inverse variance, wavelength first as in a cube.
    bad : ndarray of bool, shape (n_in, n_spectra)
        Pixels to leave out. Those with ivar 0 or a flux or ivar that is not finite are left out
        too.
    edges_in : ndarray of float64, shape (n_in + 1,)
    edges_out : ndarray of float64, shape (n_out + 1,)

    Returns
    -------
    Resampled
    """
    result = Resampled.empty(flux.shape[1], len(edges_out) - 1)
    _apply(overlaps(edges_in, edges_out), flux, ivar, bad, result)
    return result


def resample_shifted(
    flux: Floats,
    ivar: Floats,
    bad: npt.NDArray[np.bool_],
    edges_in: Floats,
    edges_out: Floats,
    stretch: npt.NDArray[np.float64],
) -> Resampled:
    """Resample spectra of which each has a redshift of its own.

    Parameters
    ----------
    flux, ivar, bad, edges_in, edges_out
        As for `resample`.
    stretch : ndarray of float64, shape (n_spectra,)
        What the input wavelengths of each spectrum are divided by.

    Returns
    -------
    Resampled
    """
    result = Resampled.empty(flux.shape[1], len(edges_out) - 1)
    values, inverse = np.unique(stretch, return_inverse=True)
    order = np.argsort(inverse, kind="stable")
    bounds = np.searchsorted(inverse[order], np.arange(len(values) + 1))
    for number, value in enumerate(values):
        chosen = order[bounds[number] : bounds[number + 1]]
        shifted = np.asarray(edges_in) / value
        needed = channel_range(shifted, edges_out)
        some = Resampled.empty(len(chosen), len(edges_out) - 1)
        matrix = overlaps(shifted[needed.start : needed.stop + 1], edges_out)
        _apply(matrix, flux[needed, chosen], ivar[needed, chosen], bad[needed, chosen], some)
        for name in ("flux", "ivar", "mask", "coverage"):
            getattr(result, name)[chosen] = getattr(some, name)
    return result


def load_kernel() -> None:
    """Compile the loop for float32, or load it, so that the first cube need not wait for it."""
    one = np.ones((1, 1), np.float32)
    edges = np.asarray([0.0, 1.0])
    resample(one, one, np.zeros((1, 1), np.bool_), edges, edges)


def _apply(
    matrix: Overlap, flux: Floats, ivar: Floats, bad: npt.NDArray[np.bool_], result: Resampled
) -> None:
    # Importing Numba takes half a second, which reading files alone should not cost.
    from manga_ssftt.resample.kernel import weighted_means

    inputs = [np.ascontiguousarray(values) for values in (flux, ivar, bad)]
    sparse = (matrix.first, matrix.bounds, matrix.width, matrix.pixel_width)
    outputs = (result.flux, result.ivar, result.mask, result.coverage)
    count = flux.shape[1]
    share = max(-(-count // _N_THREADS), _LEAST_SHARE)
    parts = [(start, min(start + share, count)) for start in range(0, count, share)]
    if len(parts) == 1:
        weighted_means(*inputs, 0, count, *sparse, *outputs)
        return
    with ThreadPoolExecutor(_N_THREADS) as pool:
        done = [pool.submit(weighted_means, *inputs, *part, *sparse, *outputs) for part in parts]
    for part_done in done:
        part_done.result()
