"""Spectra on another wavelength grid: flux conserved, errors propagated, bad pixels left out.

A pixel is the interval between its edges, over which flux density is constant. An output pixel is
the mean of the input pixels that it overlaps, weighted by the overlap (Carnall 2017,
arXiv:1705.05165); its variance follows from those weights. All overlaps together are one sparse
matrix, which serves every spectrum of a cube.
"""

from __future__ import annotations

from manga_ssftt.resample.grids import channel_range, log_edges, log_grid
from manga_ssftt.resample.overlap import Overlap, overlaps
from manga_ssftt.resample.spectra import Resampled, load_kernel, resample, resample_shifted

__all__ = [
    "Overlap",
    "Resampled",
    "channel_range",
    "load_kernel",
    "log_edges",
    "log_grid",
    "overlaps",
    "resample",
    "resample_shifted",
]
