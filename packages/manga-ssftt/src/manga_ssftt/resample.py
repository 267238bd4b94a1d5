"""Spectra on another wavelength grid: flux conserved, errors propagated, bad pixels left out.

A pixel is the interval between its edges, over which flux density is constant. An output pixel is
the mean of the input pixels that it overlaps, weighted by the overlap (Carnall 2017,
arXiv:1705.05165); its variance follows from those weights. All overlaps together are one sparse
matrix, which serves every spectrum of a cube.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

__all__ = [
    "Overlap",
    "Resampled",
    "channel_range",
    "log_edges",
    "log_grid",
    "overlaps",
    "resample",
    "resample_shifted",
]

Floats = npt.NDArray[np.floating]

# Coverage below this is rounding, not an overlap.
_LEAST_COVERAGE: Final = 1e-9
# Spectra and output pixels that are worked on together: their float64 blocks stay in the
# processor's cache, and runs of memory in input and output are long.
_BLOCK_SPECTRA: Final = 64
_BLOCK_PIXELS: Final = 512


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


def log_grid(low: float, high: float, n_pixels: int) -> npt.NDArray[np.float64]:
    """Pixel centres that are equidistant in log10 wavelength.

    Parameters
    ----------
    low, high : float
        Wavelength of the first and of the last centre, angstrom.
    n_pixels : int
        At least 2.

    Returns
    -------
    ndarray of float64, shape (n_pixels,)
        Angstrom.

    Raises
    ------
    ValueError
        If the window is empty or the number of pixels too small.
    """
    if not 0 < low < high < np.inf or n_pixels < 2:
        raise ValueError(f"a window of {low} to {high} angstrom with {n_pixels} pixels")
    return np.asarray(10.0 ** np.linspace(np.log10(low), np.log10(high), n_pixels))


def log_edges(wavelength: Floats) -> npt.NDArray[np.float64]:
    """Edges of pixels: geometric means of neighbouring centres, the outer ones mirrored.

    Parameters
    ----------
    wavelength : ndarray, shape (n,)
        Pixel centres, positive and increasing; n is at least 2.

    Returns
    -------
    ndarray of float64, shape (n + 1,)

    Raises
    ------
    ValueError
        If the centres are not such.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        log = np.log(np.asarray(wavelength, dtype=np.float64))
    if log.ndim != 1 or len(log) < 2 or not np.all(np.isfinite(log)) or np.any(np.diff(log) <= 0):
        raise ValueError("pixel centres that are not positive and increasing")
    middle = (log[1:] + log[:-1]) / 2
    first, last = 2 * log[0] - middle[0], 2 * log[-1] - middle[-1]
    return np.asarray(np.exp(np.concatenate([[first], middle, [last]])))


def channel_range(edges_in: Floats, edges_out: Floats) -> slice:
    """The input pixels that overlap any output pixel, as one range; at least one pixel."""
    first = int(np.searchsorted(edges_in, edges_out[0], side="right")) - 1
    last = int(np.searchsorted(edges_in, edges_out[-1], side="left"))
    n_in = len(edges_in) - 1
    start = min(max(first, 0), n_in - 1)
    return slice(start, max(start + 1, min(last, n_in)))


@dataclass(frozen=True, eq=False)
class Overlap:
    """Width of the overlap of every output pixel with the input pixels, a sparse matrix.

    Input pixels that overlap an output pixel are neighbours, so that each row is a short run of
    columns; rows with fewer than the longest run are filled with zeros.

    Attributes
    ----------
    index : ndarray of int64, shape (n_run, n_out)
        Input pixels.
    width : ndarray of float64, shape (n_run, n_out)
        Widths of the overlaps, in the unit of the edges.
    """

    index: npt.NDArray[np.int64]
    width: npt.NDArray[np.float64]

    def apply(
        self,
        weights: npt.NDArray[np.float64],
        values: npt.NDArray[np.float64],
        out: npt.NDArray[np.float64],
        scratch: npt.NDArray[np.float64],
    ) -> None:
        """Write the sums of weighted input pixels into `out`.

        Parameters
        ----------
        weights : ndarray of float64, shape (n_run, n_out)
        values : ndarray of float64, shape (n_in, n_spectra)
        out, scratch : ndarray of float64, shape (n_out, n_spectra)
        """
        out.fill(0.0)
        for index, weight in zip(self.index, weights, strict=True):
            np.take(values, index, axis=0, out=scratch, mode="clip")
            np.multiply(scratch, weight[:, np.newaxis], out=scratch)
            np.add(out, scratch, out=out)


def overlaps(edges_in: Floats, edges_out: Floats) -> Overlap:
    """Find how much every output pixel overlaps every input pixel.

    Parameters
    ----------
    edges_in : ndarray of float64, shape (n_in + 1,)
    edges_out : ndarray of float64, shape (n_out + 1,)
        Increasing, in one unit.

    Returns
    -------
    Overlap
    """
    edges_in = np.asarray(edges_in, dtype=np.float64)
    edges_out = np.asarray(edges_out, dtype=np.float64)
    n_in, n_out = len(edges_in) - 1, len(edges_out) - 1
    # Cut at the edges of both grids, the axis falls into segments that lie in one pixel of each.
    cuts = np.unique(np.concatenate([edges_in, edges_out]))
    widths = np.diff(cuts)
    middles = cuts[:-1] + widths / 2
    source = np.searchsorted(edges_in, middles) - 1
    target = np.searchsorted(edges_out, middles) - 1
    inside = (source >= 0) & (source < n_in) & (target >= 0) & (target < n_out)
    source, target, widths = source[inside], target[inside], widths[inside]
    counts = np.bincount(target, minlength=n_out)
    starts = np.concatenate([[0], np.cumsum(counts)[:-1]])
    place = np.arange(len(target)) - starts[target]
    index = np.zeros((max(1, int(counts.max())), n_out), dtype=np.int64)
    width = np.zeros(index.shape)
    index[place, target] = source
    width[place, target] = widths
    return Overlap(index, width)


def resample(
    flux: npt.NDArray[np.floating],
    ivar: npt.NDArray[np.floating],
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
    result = _empty(flux.shape[1], len(edges_out) - 1)
    worker = _Worker(edges_in, edges_out)
    for start in range(0, flux.shape[1], _BLOCK_SPECTRA):
        block = slice(start, min(start + _BLOCK_SPECTRA, flux.shape[1]))
        worker.run(flux[:, block], ivar[:, block], bad[:, block], result, block)
    return result


def resample_shifted(
    flux: npt.NDArray[np.floating],
    ivar: npt.NDArray[np.floating],
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
    result = _empty(flux.shape[1], len(edges_out) - 1)
    values, inverse = np.unique(stretch, return_inverse=True)
    order = np.argsort(inverse, kind="stable")
    bounds = np.searchsorted(inverse[order], np.arange(len(values) + 1))
    for number, value in enumerate(values):
        chosen = order[bounds[number] : bounds[number + 1]]
        shifted = np.asarray(edges_in) / value
        needed = channel_range(shifted, edges_out)
        worker = _Worker(shifted[needed.start : needed.stop + 1], edges_out)
        for start in range(0, len(chosen), _BLOCK_SPECTRA):
            some = chosen[start : start + _BLOCK_SPECTRA]
            worker.run(flux[needed, some], ivar[needed, some], bad[needed, some], result, some)
    return result


def _empty(n_spectra: int, n_out: int) -> Resampled:
    shape = (n_spectra, n_out)
    return Resampled(
        np.empty(shape, np.float32),
        np.empty(shape, np.float32),
        np.empty(shape, np.bool_),
        np.empty(shape, np.float32),
    )


@dataclass(frozen=True, eq=False)
class _Tile:
    """A range of output pixels and the input pixels that they need."""

    target: slice
    source: slice
    overlap: Overlap
    square: npt.NDArray[np.float64]
    pixel_width: npt.NDArray[np.float64]


class _Worker:
    """Resamples blocks of spectra in buffers that it keeps.

    Fresh memory for every intermediate result would cost several times the arithmetic.
    """

    def __init__(self, edges_in: Floats, edges_out: Floats) -> None:
        self._tiles = []
        for start in range(0, len(edges_out) - 1, _BLOCK_PIXELS):
            edges = edges_out[start : start + _BLOCK_PIXELS + 1]
            source = channel_range(edges_in, edges)
            found = overlaps(edges_in[source.start : source.stop + 1], edges)
            target = slice(start, start + len(edges) - 1)
            width = np.diff(edges.astype(np.float64))[:, np.newaxis]
            self._tiles.append(_Tile(target, source, found, found.width**2, width))
        n_in = max(tile.source.stop - tile.source.start for tile in self._tiles)
        self._inputs = np.empty((3, n_in * _BLOCK_SPECTRA))
        self._flags = np.empty((2, n_in * _BLOCK_SPECTRA), dtype=np.bool_)
        self._outputs = np.empty((4, _BLOCK_PIXELS * _BLOCK_SPECTRA))

    def run(
        self,
        flux: npt.NDArray[np.floating],
        ivar: npt.NDArray[np.floating],
        bad: npt.NDArray[np.bool_],
        result: Resampled,
        where: slice | npt.NDArray[np.integer],
    ) -> None:
        """Resample spectra (n_in, n) into the rows `where` of the result."""
        for tile in self._tiles:
            rows = tile.source
            self._run_tile(tile, flux[rows], ivar[rows], bad[rows], result, where)

    def _run_tile(
        self,
        tile: _Tile,
        flux: npt.NDArray[np.floating],
        ivar: npt.NDArray[np.floating],
        bad: npt.NDArray[np.bool_],
        result: Resampled,
        where: slice | npt.NDArray[np.integer],
    ) -> None:
        overlap, target = tile.overlap, tile.target
        shape_out = (target.stop - target.start, flux.shape[1])
        # Contiguous also in the last, narrower block: NumPy 2.4 writes wrong flags into strided
        # output of np.isfinite.
        value, variance, good = _shaped(self._inputs, flux.shape)
        usable, flag = _shaped(self._flags, flux.shape)
        mean, spread, covered, scratch = _shaped(self._outputs, shape_out)
        value[...] = flux
        variance[...] = ivar
        np.isfinite(value, out=usable)
        usable &= np.greater(variance, 0.0, out=flag)
        usable &= np.isfinite(variance, out=flag)
        usable &= np.logical_not(bad, out=flag)
        good[...] = usable
        excluded = np.logical_not(usable, out=flag)
        if excluded.any():
            np.copyto(value, 0.0, where=excluded)
            np.copyto(variance, np.inf, where=excluded)
        np.divide(1.0, variance, out=variance)
        overlap.apply(overlap.width, good, covered, scratch)  # angstrom
        overlap.apply(overlap.width, value, mean, scratch)
        # Each input pixel enters the mean with weight overlap / covered.
        overlap.apply(tile.square, variance, spread, scratch)
        mask = covered <= _LEAST_COVERAGE * tile.pixel_width
        is_masked = bool(mask.any())
        if is_masked:
            covered[mask], spread[mask] = 1.0, np.inf
        np.divide(mean, covered, out=mean)
        np.divide(np.square(covered, out=scratch), spread, out=spread)
        if is_masked:
            covered[mask] = 0.0
        np.divide(covered, tile.pixel_width, out=covered)
        np.minimum(covered, 1.0, out=covered)
        result.flux[where, target] = mean.T
        result.ivar[where, target] = spread.T
        result.mask[where, target] = mask.T
        result.coverage[where, target] = covered.T


def _shaped(buffers: npt.NDArray[Any], shape: tuple[int, ...]) -> list[npt.NDArray[Any]]:
    """Each buffer's first part as an array of this shape."""
    return [buffer[: math.prod(shape)].reshape(shape) for buffer in buffers]
