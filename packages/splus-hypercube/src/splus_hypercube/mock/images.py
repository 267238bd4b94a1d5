"""The twelve images of a field: sources under the point-spread function, photon and sky noise.

One band is in memory at a time. Images are in counts per second and Rice-compressed row by row, as
fpack writes them, with the image and its WCS in HDU 1.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from astropy.io import fits
from astropy.time import Time
from numpy.typing import NDArray

from splus_hypercube.bands import BANDS, Band
from splus_hypercube.mock.camera import APERTURE_DIAMETER_ARCSEC, CAMERA, BandExposure
from splus_hypercube.mock.fields import EPOCH_MJD, PIXEL_SCALE_ARCSEC, MockField
from splus_hypercube.mock.fits_files import SYNTHETIC_CARDS, write_fits
from splus_hypercube.mock.population import GALAXY
from splus_hypercube.mock.profiles import (
    aperture_weights,
    galaxy_components,
    galaxy_stamp,
    point_factors,
)
from splus_hypercube.mock.sky import Sky, image_wcs

__all__ = ["Apertures", "write_images"]

Float = NDArray[np.float64]

_STAMP_HALF_PX = 12
_APERTURE_HALF_PX = 4
_QUANTIZE_LEVEL = 4.0
_DITHER_SEED = 1  # fixed, so that the same image has the same bytes
_NOISE_ROWS = 256
_MINUTES_PER_BAND = 6.0


@dataclass(slots=True)
class Apertures:
    """True fluxes within the 3 arcsec aperture.

    Attributes
    ----------
    own : dict of str to ndarray of float64, shape (n,)
        Flux of the source itself by band name, counts per second.
    blended : dict of str to ndarray of float64, shape (n,)
        The same with what neighbours add, from the noiseless image.
    """

    own: dict[str, Float]
    blended: dict[str, Float]


def write_images(folder: Path, sky: Sky) -> Apertures:
    """Write the images of all bands and return the true aperture fluxes.

    Parameters
    ----------
    folder : Path
        Existing folder of the field; files are ``<field>_<BAND>.fits.fz``.
    sky : Sky

    Returns
    -------
    Apertures
    """
    apertures = Apertures({}, {})
    column, row = _pixels(sky)
    weights = aperture_weights(
        sky.x - column, sky.y - row, CAMERA["R"].aperture_radius_px, _APERTURE_HALF_PX
    )
    shapes = [_components(sky, index) for index in np.flatnonzero(sky.kind == GALAXY).tolist()]
    for number, band in enumerate(BANDS):
        exposure = CAMERA[band.name]
        image, own = _render(sky, band, exposure, shapes, weights)
        apertures.own[band.name] = own
        apertures.blended[band.name] = _measure(image, column, row, weights)
        _add_noise(image, exposure, sky.field.random(f"image {band.name}"))
        header = _header(sky.field, band, exposure, number)
        hdu = fits.CompImageHDU(
            data=image,
            header=header,
            compression_type="RICE_1",
            tile_shape=(1, image.shape[1]),
            quantize_level=_QUANTIZE_LEVEL,
            quantize_method=1,
            dither_seed=_DITHER_SEED,
        )
        write_fits(folder / f"{sky.field.name}_{band.name}.fits.fz", [fits.PrimaryHDU(), hdu])
        del image, hdu
    return apertures


def _pixels(sky: Sky) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    column = np.floor(sky.x + 0.5).astype(np.int64)
    return column, np.floor(sky.y + 0.5).astype(np.int64)


def _components(sky: Sky, index: int) -> tuple[int, Float, Float]:
    population = sky.population
    weights, covariances = galaxy_components(
        float(population.half_light_arcsec[index]) / PIXEL_SCALE_ARCSEC,
        float(population.axis_ratio[index]),
        float(population.position_angle[index]),
        float(population.bulge[index]),
    )
    return index, weights, covariances


def _render(
    sky: Sky,
    band: Band,
    exposure: BandExposure,
    shapes: list[tuple[int, Float, Float]],
    weights: Float,
) -> tuple[NDArray[np.float32], Float]:
    """The noiseless image, and each source's own flux in the aperture."""
    flux = 10.0 ** (-0.4 * (sky.mags[band.catalogue_name] - exposure.zero_point))
    column, row = _pixels(sky)
    dx, dy = sky.x - column, sky.y - row
    image = np.zeros((sky.field.size_px, sky.field.size_px), dtype=np.float32)
    own = np.zeros(len(sky))
    points = np.flatnonzero(sky.kind != GALAXY)
    factors = point_factors(dx[points], dy[points], exposure.psf, _STAMP_HALF_PX)
    middle = slice(_STAMP_HALF_PX - _APERTURE_HALF_PX, _STAMP_HALF_PX + _APERTURE_HALF_PX + 1)
    for along_y, along_x in factors:
        own[points] += np.einsum(
            "nij,ni,nj->n", weights[points], along_y[:, middle], along_x[:, middle]
        )
    for order, index in enumerate(points.tolist()):
        stamp = sum(np.outer(y[order], x[order]) for y, x in factors)
        _add(image, stamp * flux[index], column[index], row[index])
    for index, part, covariances in shapes:
        stamp = galaxy_stamp(part, covariances, exposure.psf, dx[index], dy[index], _STAMP_HALF_PX)
        half = len(stamp) // 2
        inner = slice(half - _APERTURE_HALF_PX, half + _APERTURE_HALF_PX + 1)
        own[index] = (stamp[inner, inner] * weights[index]).sum()
        _add(image, stamp * flux[index], column[index], row[index])
    return image, own * flux


def _add(image: NDArray[np.float32], stamp: Float, column: int, row: int) -> None:
    half = len(stamp) // 2
    top, bottom = max(row - half, 0), min(row + half + 1, image.shape[0])
    left, right = max(column - half, 0), min(column + half + 1, image.shape[1])
    image[top:bottom, left:right] += stamp[
        top - row + half : bottom - row + half, left - column + half : right - column + half
    ]


def _measure(
    image: NDArray[np.float32],
    column: NDArray[np.int64],
    row: NDArray[np.int64],
    weights: Float,
) -> Float:
    """Sums within apertures; pixels outside the image count as empty."""
    size = image.shape[0]
    steps = np.arange(-_APERTURE_HALF_PX, _APERTURE_HALF_PX + 1)
    result = np.empty(len(column))
    for start in range(0, len(column), 4096):
        part = slice(start, start + 4096)
        rows = row[part, None] + steps
        columns = column[part, None] + steps
        inside = ((rows >= 0) & (rows < size))[:, :, None] & ((columns >= 0) & (columns < size))[
            :, None, :
        ]
        window = image[
            np.clip(rows, 0, size - 1)[:, :, None], np.clip(columns, 0, size - 1)[:, None, :]
        ]
        result[part] = np.einsum("nij,nij->n", weights[part], np.where(inside, window, 0.0))
    return result


def _row_blocks(size: int) -> Iterator[slice]:
    for start in range(0, size, _NOISE_ROWS):
        yield slice(start, min(start + _NOISE_ROWS, size))


def _add_noise(
    image: NDArray[np.float32], exposure: BandExposure, rng: np.random.Generator
) -> None:
    sky_variance = np.float32(exposure.sky_noise**2)
    per_electron = np.float32(1.0 / exposure.gain)
    for block in _row_blocks(image.shape[0]):
        part = image[block]
        sigma = np.sqrt(sky_variance + np.maximum(part, 0.0) * per_electron)
        part += sigma * rng.standard_normal(part.shape, dtype=np.float32)


def _header(field: MockField, band: Band, exposure: BandExposure, number: int) -> fits.Header:
    header = image_wcs(field).to_header()
    for old, new in (("PC1_1", "CD1_1"), ("PC2_2", "CD2_2")):
        header.rename_keyword(old, new)
    header["CD1_2"], header["CD2_1"] = 0.0, 0.0
    for redundant in ("CDELT1", "CDELT2"):
        header.remove(redundant, ignore_missing=True)
    mjd = EPOCH_MJD + (number - 0.5 * (len(BANDS) - 1)) * _MINUTES_PER_BAND / 1440.0
    cards = (
        ("OBJECT", field.name, "S-PLUS field"),
        ("FILTER", band.name, "S-PLUS band"),
        ("TELESCOP", "T80S", ""),
        ("INSTRUME", "T80Cam", ""),
        ("DATE-OBS", Time(mjd, format="mjd", scale="utc").isot, "UTC"),
        ("MJD-OBS", mjd, "[d] UTC"),
        ("EXPTIME", exposure.exposure_s, "[s] total exposure time"),
        ("GAIN", exposure.gain, "[electron/(adu/s)] effective gain of the coadd"),
        ("BUNIT", "adu/s", "unit of the pixels"),
        ("MAGZP", exposure.zero_point, "[mag] AB magnitude of 1 adu/s"),
        ("SKYNOISE", exposure.sky_noise, "[adu/s] noise of an empty pixel"),
        ("FWHMSEXT", exposure.fwhm_arcsec, "[arcsec] FWHM of the core of the PSF"),
        ("APDIAM", APERTURE_DIAMETER_ARCSEC, "[arcsec] diameter of the aperture"),
        ("APFRAC", exposure.aperture_fraction, "part of a star's light in the aperture"),
        *SYNTHETIC_CARDS,
    )
    for keyword, value, comment in cards:
        header[keyword] = (value, comment)
    return header
