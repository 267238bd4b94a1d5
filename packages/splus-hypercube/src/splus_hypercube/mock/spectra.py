"""The spectral energy distribution of each source, as it arrives above the atmosphere."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from splus_hypercube.mock.extinction import TOTAL_TO_SELECTIVE, extinction_curve
from splus_hypercube.mock.galaxies import galaxy_spectra
from splus_hypercube.mock.grid import LIGHT_KM_S, NEAR_INFRARED, OPTICAL, LogGrid, shift_rows
from splus_hypercube.mock.photometry import PASSBANDS, band_matrix, magnitude
from splus_hypercube.mock.population import GALAXY, QUASAR, STAR, Population
from splus_hypercube.mock.quasars import quasar_spectra
from splus_hypercube.mock.stars import star_spectra

__all__ = ["magnitudes", "observed_spectra"]

Float = NDArray[np.float64]
Int = NDArray[np.int64]

_MAX_VELOCITY_KM_S = 900.0
_CHUNK = 384


def observed_spectra(population: Population, rows: Int, grid: LogGrid) -> Float:
    """Flux densities above the atmosphere, reddened and Doppler-shifted.

    Parameters
    ----------
    population : Population
        The sources.
    rows : ndarray of int64, shape (n,)
        Which of them.
    grid : LogGrid
        Observed vacuum wavelengths.

    Returns
    -------
    ndarray of float64, shape (n, grid.size)
        erg/s/cm2/angstrom, once `sky.make_sky` has set ``population.scale``.
    """
    spectra = np.empty((len(rows), grid.size))
    for kind, make in ((STAR, _stars), (GALAXY, _galaxies), (QUASAR, _quasars)):
        chosen = np.flatnonzero(population.kind[rows] == kind)
        for start in range(0, len(chosen), _CHUNK):
            part = chosen[start : start + _CHUNK]
            spectra[part] = make(population, rows[part], grid)
    visual = TOTAL_TO_SELECTIVE * population.ebv[rows]
    spectra *= np.exp(-0.4 * np.log(10.0) * visual[:, None] * extinction_curve(grid.wavelength))
    spectra *= population.scale[rows][:, None]
    return spectra


def _stars(population: Population, rows: Int, grid: LogGrid) -> Float:
    pad = int(np.ceil(_MAX_VELOCITY_KM_S / LIGHT_KM_S / grid.step)) + 1
    rest = star_spectra(
        grid.padded(pad, pad),
        population.teff[rows],
        population.logg[rows],
        population.feh[rows],
        population.alpha_fe[rows],
    )
    shift = np.log1p(population.redshift[rows]) / grid.step
    return shift_rows(rest, shift, pad, grid.size)


def _galaxies(population: Population, rows: Int, grid: LogGrid) -> Float:
    below = _padding(population.redshift[rows], grid)
    rest = galaxy_spectra(
        grid.padded(below, 1),
        population.light[rows],
        population.halpha_width[rows],
        population.line_ratios[rows],
        population.dust_av[rows],
    )
    shift = np.log1p(population.redshift[rows]) / grid.step
    return shift_rows(rest, shift, below, grid.size)


def _quasars(population: Population, rows: Int, grid: LogGrid) -> Float:
    redshift = population.redshift[rows]
    below = _padding(redshift, grid)
    rest = quasar_spectra(
        grid.padded(below, 1), population.slope[rows], population.line_scale[rows], redshift
    )
    return shift_rows(rest, np.log1p(redshift) / grid.step, below, grid.size)


# Coarse steps of the padding keep the number of distinct template grids small.
_PADDING_STEP = 0.25


def _padding(redshift: Float, grid: LogGrid) -> int:
    reach = np.log1p(redshift.max()) + 1e-9
    return int(np.ceil(np.ceil(reach / _PADDING_STEP) * _PADDING_STEP / grid.step)) + 1


def magnitudes(population: Population) -> dict[str, Float]:
    """True AB magnitudes of all sources in all bands of the mock.

    Returns
    -------
    dict of str to ndarray of float64, shape (n,)
        Keys are those of `photometry.PASSBANDS`.
    """
    result = {name: np.empty(len(population)) for name in PASSBANDS}
    for grid in (OPTICAL, NEAR_INFRARED):
        names = tuple(name for name, band in PASSBANDS.items() if band.grid == grid)
        matrix = band_matrix(grid, names)
        for rows in _chunks(len(population)):
            flux = observed_spectra(population, rows, grid) @ matrix
            for column, name in enumerate(names):
                result[name][rows] = magnitude(flux[:, column])
    return result


def _chunks(count: int) -> Iterator[Int]:
    for start in range(0, count, _CHUNK):
        yield np.arange(start, min(start + _CHUNK, count))
