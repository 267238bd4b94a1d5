"""The S-PLUS dual-mode catalogue of a field."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from astropy.io import fits
from numpy.typing import NDArray

from splus_hypercube.bands import BANDS
from splus_hypercube.mock.camera import CAMERA
from splus_hypercube.mock.fields import PIXEL_SCALE_ARCSEC
from splus_hypercube.mock.fits_files import primary, table_column, write_fits
from splus_hypercube.mock.images import Apertures
from splus_hypercube.mock.photometry import noisy_magnitudes
from splus_hypercube.mock.population import GALAXY
from splus_hypercube.mock.sky import Sky, image_wcs
from splus_hypercube.mock.sphere import offset

__all__ = ["NOT_DETECTED", "SplusCatalogue", "make_catalogue", "write_catalogue"]

Float = NDArray[np.float64]

NOT_DETECTED = 99.0
"""Magnitude and error that S-PLUS catalogues give where a flux is not positive."""

_NULL_COUNT = -99
_CALIBRATION_FRACTION = 0.003
_ASTROMETRIC_FLOOR_ARCSEC = 0.03
_LARGEST_ASTROMETRIC_ERROR_ARCSEC = 0.20
_EDGE_PX = 8.0


@dataclass(slots=True)
class SplusCatalogue:
    """The catalogue of a field.

    Attributes
    ----------
    ids : ndarray of str, shape (n,)
    ra, dec : ndarray of float64, shape (n,)
        Measured positions at the epoch of the images, degrees.
    columns : list of astropy.io.fits.Column
        All columns of the table.
    """

    ids: NDArray[np.str_]
    ra: Float
    dec: Float
    columns: list[fits.Column]


def make_catalogue(sky: Sky, apertures: Apertures) -> SplusCatalogue:
    """Measure all sources of a field.

    Parameters
    ----------
    sky : Sky
    apertures : Apertures
        True fluxes within the 3 arcsec aperture; neighbours are taken as perfectly deblended.

    Returns
    -------
    SplusCatalogue
    """
    rng = sky.field.random("splus catalogue")
    count = len(sky)
    ids = np.array([f"iDR6_3_{sky.field.name}_{number:07d}" for number in range(1, count + 1)])
    reference = CAMERA["R"]
    signal = apertures.own["R"]
    area = np.pi * reference.aperture_radius_px**2
    noise = np.sqrt(area * reference.sky_noise**2 + signal / reference.gain)
    spread = np.hypot(_ASTROMETRIC_FLOOR_ARCSEC, reference.fwhm_arcsec / 2.35 * noise / signal)
    spread = np.minimum(spread, _LARGEST_ASTROMETRIC_ERROR_ARCSEC)
    ra, dec = offset(
        sky.ra, sky.dec, spread * rng.standard_normal(count), spread * rng.standard_normal(count)
    )
    x, y = (np.asarray(value) for value in image_wcs(sky.field).all_world2pix(ra, dec, 1))
    columns = [
        table_column("field", "16A", np.full(count, sky.field.name)),
        table_column("id", "40A", ids),
        table_column("ra", "D", ra, unit="deg"),
        table_column("dec", "D", dec, unit="deg"),
        table_column("x", "E", x, unit="pixel"),
        table_column("y", "E", y, unit="pixel"),
        *_shapes(sky, rng),
    ]
    edge = np.minimum(np.minimum(x, y), sky.field.size_px + 1 - np.maximum(x, y)) < _EDGE_PX
    flags = np.where(edge, 16, 0) | np.where(
        apertures.own["R"] < 0.9 * apertures.blended["R"], 1, 0
    )
    exposures = np.where(edge, _NULL_COUNT, 3)
    columns.append(table_column("sex_flags_det", "I", flags))
    columns.append(table_column("n_exposures_det", "J", exposures, null=_NULL_COUNT))
    columns.append(table_column("s2n_det", "E", signal / noise))
    for band in BANDS:
        columns.extend(_band_columns(sky, apertures, band.name, band.catalogue_name, rng))
    return SplusCatalogue(ids=ids, ra=ra, dec=dec, columns=columns)


def write_catalogue(path: Path, catalogue: SplusCatalogue) -> None:
    """Write the dual-mode catalogue, one binary table in HDU 1."""
    table = fits.BinTableHDU.from_columns(catalogue.columns, name="OBJECTS")
    write_fits(path, [primary(SURVEY="S-PLUS", RELEASE="iDR6"), table])


def _shapes(sky: Sky, rng: np.random.Generator) -> list[fits.Column]:
    population = sky.population
    exposure = CAMERA["R"]
    core = exposure.psf[0][1]
    galaxy = sky.kind == GALAXY
    intrinsic = np.where(galaxy, population.half_light_arcsec / PIXEL_SCALE_ARCSEC * 0.75, 0.0)
    ratio = np.where(galaxy, population.axis_ratio, 1.0)
    scatter = 1.0 + 0.01 * rng.standard_normal((2, len(sky)))
    major = np.sqrt(core**2 + np.nan_to_num(intrinsic) ** 2) * scatter[0]
    minor = np.sqrt(core**2 + np.nan_to_num(intrinsic * ratio) ** 2) * scatter[1]
    theta = np.where(galaxy, population.position_angle, rng.uniform(-90.0, 90.0, len(sky)))
    # The longer axis is the major one, also where noise has made it so.
    swapped = minor > major
    major, minor = np.where(swapped, minor, major), np.where(swapped, major, minor)
    fwhm = 2.3548 * np.sqrt(major * minor) * PIXEL_SCALE_ARCSEC / exposure.fwhm_arcsec
    half_light = 1.1774 * np.sqrt(major * minor)
    return [
        table_column("a_pixel_det", "E", major, unit="pixel"),
        table_column("b_pixel_det", "E", minor, unit="pixel"),
        table_column("theta_det", "E", theta, unit="deg"),
        table_column("elongation_det", "E", major / minor),
        table_column("ellipticity_det", "E", 1.0 - minor / major),
        table_column("fwhm_n_det", "E", fwhm),
        table_column("flux_radius_50_det", "E", half_light, unit="pixel"),
    ]


def _band_columns(
    sky: Sky, apertures: Apertures, image: str, name: str, rng: np.random.Generator
) -> list[fits.Column]:
    exposure = CAMERA[image]
    own = apertures.own[image]
    area = np.pi * exposure.aperture_radius_px**2
    noise = _noise(own, area, exposure.sky_noise, exposure.gain)
    total = -2.5 * np.log10(own / exposure.aperture_fraction) + exposure.zero_point
    pstotal, pstotal_error = noisy_magnitudes(total, noise / own, rng)
    whole = 10.0 ** (-0.4 * (sky.mags[name] - exposure.zero_point))
    size = np.nan_to_num(sky.population.half_light_arcsec) / PIXEL_SCALE_ARCSEC
    auto_area = np.pi * np.hypot(2.5 * exposure.psf[0][1], 2.5 * size) ** 2
    auto_noise = _noise(whole, auto_area, exposure.sky_noise, exposure.gain)
    auto, auto_error = noisy_magnitudes(sky.mags[name], auto_noise / whole, rng)
    columns = []
    for kind, mag, error in (
        ("pstotal", pstotal, pstotal_error),
        ("auto", auto, auto_error),
    ):
        missing = np.isnan(mag)
        for label, values in ((f"mag_{kind}_{name}", mag), (f"err_mag_{kind}_{name}", error)):
            filled = np.where(missing, NOT_DETECTED, values)
            columns.append(table_column(label, "E", filled, unit="mag"))
    return columns


def _noise(flux: Float, area: Float | float, sky_noise: float, gain: float) -> Float:
    """Standard deviation of a flux: sky, photons and calibration."""
    return np.asarray(
        np.sqrt(area * sky_noise**2 + flux / gain + (_CALIBRATION_FRACTION * flux) ** 2)
    )
