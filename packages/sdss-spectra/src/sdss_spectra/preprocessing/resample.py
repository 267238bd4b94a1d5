"""Resampling to a common log10-wavelength grid, with conservation of flux."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from astro_common.errors import ConfigurationError

__all__ = ["LogGrid", "pixel_edges", "resample"]

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class LogGrid:
    """Pixels equally spaced in log10 of the vacuum wavelength.

    Attributes
    ----------
    loglam_start : float
        log10(angstrom) of the centre of the first pixel.
    loglam_step : float
        Distance of two pixels in log10(angstrom).
    n_pixels : int
        Number of pixels.
    """

    loglam_start: float = 3.55
    loglam_step: float = 1e-4
    n_pixels: int = 4096

    def __post_init__(self) -> None:
        if not 2.0 < self.loglam_start < 5.5:
            raise ConfigurationError(
                "--loglam-start", f"{self.loglam_start:g}", "log10 of angstrom, 2 to 5.5"
            )
        if not 1e-6 <= self.loglam_step <= 0.05:
            raise ConfigurationError("--loglam-step", f"{self.loglam_step:g}", "1e-6 to 0.05")
        if not 8 <= self.n_pixels <= 1_000_000:
            raise ConfigurationError("--n-pixels", str(self.n_pixels), "8 to 1,000,000")
        if self.loglam_start + self.loglam_step * self.n_pixels > 6.0:
            raise ConfigurationError(
                "--n-pixels", str(self.n_pixels), "a grid that ends below 100 um"
            )

    @property
    def loglam(self) -> Floats:
        """log10 of the wavelengths of the pixel centres (ndarray of float64)."""
        return np.asarray(
            self.loglam_start + self.loglam_step * np.arange(self.n_pixels), np.float64
        )

    @property
    def wavelength(self) -> Floats:
        """Vacuum wavelengths of the pixel centres, angstrom (ndarray of float64)."""
        return np.asarray(10.0**self.loglam)

    @property
    def edges(self) -> Floats:
        """Wavelengths of the pixel edges, angstrom (ndarray of float64, one more than pixels)."""
        places = np.arange(self.n_pixels + 1) - 0.5
        return np.asarray(10.0 ** (self.loglam_start + self.loglam_step * places))


def pixel_edges(wavelength: Floats, is_log10: bool) -> Floats:
    """Edges of pixels half way between their centres, in log10 or in angstrom.

    Parameters
    ----------
    wavelength : ndarray of float64, shape (n_pixel,), n_pixel >= 2
        Centres, angstrom, increasing.
    is_log10 : bool
        Whether they are equally spaced in log10.

    Returns
    -------
    ndarray of float64, shape (n_pixel + 1,)
        Angstrom.
    """
    centres = np.log10(wavelength) if is_log10 else wavelength
    edges = np.empty(len(centres) + 1)
    edges[1:-1] = 0.5 * (centres[1:] + centres[:-1])
    edges[0] = 1.5 * centres[0] - 0.5 * centres[1]
    edges[-1] = 1.5 * centres[-1] - 0.5 * centres[-2]
    return np.asarray(10.0**edges if is_log10 else edges)


def resample(
    edges_in: Floats, flux: Floats, ivar: Floats, edges_out: Floats
) -> tuple[Floats, Floats, npt.NDArray[np.bool_]]:
    """Average flux densities over new pixels, weighted by overlap.

    An output pixel is the mean of the good input pixels (ivar > 0) weighted by the width, in
    angstrom, over which they overlap: sum(w f) / sum(w), so that the integral of the flux density
    is kept. Errors of input pixels are taken as independent: ivar = sum(w)^2 / sum(w^2 / ivar).
    Neighbouring output pixels share input pixels and so are correlated; ivar holds their own
    variance alone.

    Parameters
    ----------
    edges_in : ndarray of float64, shape (n_in + 1,)
        Edges of the input pixels, angstrom, increasing.
    flux, ivar : ndarray of float64, shape (n_in,)
        Flux per angstrom and inverse variance; ivar 0 marks pixels that are not used.
    edges_out : ndarray of float64, shape (n_out + 1,)
        Edges of the output pixels, angstrom, increasing.

    Returns
    -------
    flux, ivar : ndarray of float64, shape (n_out,)
        0 where no good input pixel overlaps.
    mask : ndarray of bool, shape (n_out,)
        True there.
    """
    n_in, n_out = len(flux), len(edges_out) - 1
    # Cutting at all edges makes pieces that lie in one input and in one output pixel each.
    first = max(0, int(np.searchsorted(edges_in, edges_out[0], side="right")) - 1)
    last = min(n_in, int(np.searchsorted(edges_in, edges_out[-1], side="left")))
    flux_out, ivar_out = np.zeros(n_out), np.zeros(n_out)
    if last > first:
        used = edges_in[first : last + 1]
        low, high = max(used[0], edges_out[0]), min(used[-1], edges_out[-1])
        cuts = np.concatenate([used, edges_out])
        cuts = np.sort(cuts[(cuts >= low) & (cuts <= high)])
        middles = 0.5 * (cuts[1:] + cuts[:-1])
        width = np.diff(cuts)
        source = np.clip(np.searchsorted(used, middles, side="right") - 1 + first, 0, n_in - 1)
        target = np.clip(np.searchsorted(edges_out, middles, side="right") - 1, 0, n_out - 1)
        good = (ivar[source] > 0) & (width > 0)
        source, target, width = source[good], target[good], width[good]
        total = np.bincount(target, width, n_out)
        value = np.bincount(target, width * flux[source], n_out)
        variance = np.bincount(target, width**2 / ivar[source], n_out)
        # Slivers of rounding at shared edges are no overlap.
        there = (total > 1e-6 * np.diff(edges_out)) & (variance > 0)
        flux_out[there] = value[there] / total[there]
        ivar_out[there] = total[there] ** 2 / variance[there]
    return flux_out, ivar_out, ivar_out <= 0
