"""The tables of DESI coadd and redrock files: fibres, exposures and redshifts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from astropy.io import fits
from numpy.typing import NDArray

from splus_hypercube.mock.desi import DesiTile, Targets
from splus_hypercube.mock.desi_columns import EXP_FIBERMAP_COLUMNS
from splus_hypercube.mock.fits_files import table_column
from splus_hypercube.mock.photometry import VEGA_OFFSETS
from splus_hypercube.mock.population import GALAXY, QUASAR, STAR
from splus_hypercube.mock.sky import Sky

__all__ = ["binary_table", "exposure_columns", "fibermap_columns", "redshift_columns"]

Float = NDArray[np.float64]
Int = NDArray[np.int64]

_EXPOSURES = 2
_ZWARN_SMALL_DELTA_CHI2 = 4
_PIXELS = 7926
# TNULL and NumPy type of integer columns.
_INTEGERS = {"K": (999999, "i8"), "J": (999999, "i4"), "I": (16959, "i2"), "B": (63, "u1")}
# Survey band, and flux relative to it: beyond 2 micron all spectra fall like a black body's tail.
_LEGACY_BANDS = {
    "G": ("decam_g", 1.0),
    "R": ("decam_r", 1.0),
    "Z": ("decam_z", 1.0),
    "W1": ("vista_ks", 0.42),
    "W2": ("vista_ks", 0.23),
}


def binary_table(
    name: str,
    columns: tuple[tuple[str, str], ...],
    values: Mapping[str, Any],
    *,
    nulls: bool = False,
) -> fits.BinTableHDU:
    """A binary table of given columns; those without values are zero or empty.

    Parameters
    ----------
    name : str
        EXTNAME.
    columns : tuple of (str, str)
        Names and formats.
    values : mapping of str to array_like
        At least ``TARGETID``.
    nulls : bool, optional
        Declare TNULL of integer columns, as redrock files do.
    """
    count = len(values["TARGETID"])
    made = []
    for label, code in columns:
        blank = np.full(count, "") if code.endswith("A") else np.zeros(count)
        data = np.asarray(values.get(label, blank))
        null, kind = _INTEGERS.get(code, (None, data.dtype.str))
        made.append(
            table_column(label, code, data.astype(kind, copy=False), null=null if nulls else None)
        )
    return fits.BinTableHDU.from_columns(made, name=name)


def fibermap_columns(
    sky: Sky, targets: Targets, tile: DesiTile, rows: Int, petal: int, rng: np.random.Generator
) -> dict[str, Any]:
    """FIBERMAP of some fibres of a tile, those of one petal."""
    count = len(rows)
    target = tile.target[rows]
    real = target >= 0
    template = np.where(real, targets.template[target], 0)
    kind = np.where(real, sky.kind[template], -1)
    star, galaxy, quasar = kind == STAR, kind == GALAXY, kind == QUASAR
    population = sky.population
    fibre = np.arange(count)
    ra, dec = tile.fibre_ra[rows], tile.fibre_dec[rows]
    brick = f"{int(sky.field.ra * 10):04d}m{int(abs(sky.field.dec) * 10):03d}"
    values: dict[str, Any] = {
        "TARGETID": tile.fibre_id[rows],
        "PETAL_LOC": np.full(count, petal),
        "DEVICE_LOC": fibre,
        "LOCATION": petal * 1000 + fibre,
        "FIBER": petal * 500 + fibre,
        "COADD_FIBERSTATUS": tile.status[rows],
        "TARGET_RA": ra,
        "TARGET_DEC": dec,
        "PMRA": np.where(star, sky.pmra[template], 0.0),
        "PMDEC": np.where(star, sky.pmdec[template], 0.0),
        "REF_EPOCH": np.full(count, 2016.0),
        "LAMBDA_REF": np.full(count, 5400.0),
        "FA_TYPE": np.where(tile.objtype[rows] == "SKY", 4, 1),
        "OBJTYPE": tile.objtype[rows],
        "FIBERASSIGN_X": rng.uniform(-400.0, 400.0, count),
        "FIBERASSIGN_Y": rng.uniform(-400.0, 400.0, count),
        "PRIORITY": np.where(quasar, 3400, 2000),
        "SUBPRIORITY": rng.uniform(size=count),
        "OBSCONDITIONS": np.full(count, 4),
        "RELEASE": np.full(count, 9011),
        "BRICKNAME": np.full(count, brick),
        "BRICKID": np.full(count, 300_000 + sky.field.index),
        "BRICK_OBJID": np.where(real, target, 0),
        "MORPHTYPE": np.where(galaxy, "SER", np.where(real, "PSF", "")),
        "EBV": np.where(real, population.ebv[template], 0.0),
        "SERSIC": np.where(galaxy, 1.0 + 3.0 * population.bulge[template], 0.0),
        "SHAPE_R": np.where(galaxy, population.half_light_arcsec[template], 0.0),
        "PARALLAX": np.where(star, sky.parallax[template], 0.0),
        "PHOTSYS": np.full(count, "S"),
        "PRIORITY_INIT": np.full(count, 2000),
        "NUMOBS_INIT": np.ones(count),
        "DESI_TARGET": np.select([quasar, star, galaxy], [1 << 2, 1 << 61, 1 << 60], 0),
        "BGS_TARGET": np.where(galaxy, 2, 0),
        "MWS_TARGET": np.where(star, 256, 0),
        "PLATE_RA": ra,
        "PLATE_DEC": dec,
        "TILEID": np.full(count, tile.tileid),
        "COADD_NUMEXP": np.full(count, _EXPOSURES),
        "COADD_EXPTIME": np.full(count, 1000.0 / tile.noise),
        "COADD_NUMNIGHT": np.ones(count),
        "COADD_NUMTILE": np.ones(count),
        "MEAN_FIBER_RA": ra,
        "MEAN_FIBER_DEC": dec,
        "MEAN_PSF_TO_FIBER_SPECFLUX": np.full(count, 0.78),
    }
    dimming = np.where(real, targets.dimming[target], 0.0)
    in_fibre = np.where(real, targets.fibre_fraction[target], 0.0)
    for label, (band, tail) in _LEGACY_BANDS.items():
        flux = dimming * tail * 10.0 ** (-0.4 * (sky.mags[band][template] - 22.5))
        error = np.hypot(0.02 if tail == 1.0 else 0.5, 0.004 * flux)
        values[f"FLUX_{label}"] = np.where(real, flux + error * rng.standard_normal(count), 0.0)
        values[f"FLUX_IVAR_{label}"] = np.where(real, error**-2, 0.0)
        values[f"FIBERFLUX_{label}"] = values[f"FIBERTOTFLUX_{label}"] = flux * in_fibre
    for label, band in (("G", "gaia_g"), ("BP", "gaia_bp"), ("RP", "gaia_rp")):
        mag = sky.mags[band][template] - VEGA_OFFSETS[band]
        values[f"GAIA_PHOT_{label}_MEAN_MAG"] = np.where(star, mag, 0.0)
    return values


def exposure_columns(fibermap: Mapping[str, Any], tile: DesiTile) -> dict[str, Any]:
    """EXP_FIBERMAP: the rows of a FIBERMAP once per exposure."""
    values = {
        name: np.repeat(np.asarray(fibermap[name]), _EXPOSURES)
        for name, _ in EXP_FIBERMAP_COLUMNS
        if name in fibermap
    }
    count = len(fibermap["TARGETID"])
    number = np.tile(np.arange(_EXPOSURES), count)
    values.update(
        NIGHT=np.full(count * _EXPOSURES, tile.night),
        EXPID=80_000 + tile.tileid * 4 + number,
        MJD=59_305.2 + 0.01 * number,
        EXPTIME=np.full(count * _EXPOSURES, 500.0 / tile.noise),
        FIBERSTATUS=np.repeat(np.asarray(fibermap["COADD_FIBERSTATUS"]), _EXPOSURES),
        FIBER_RA=values["PLATE_RA"],
        FIBER_DEC=values["PLATE_DEC"],
        PSF_TO_FIBER_SPECFLUX=np.full(count * _EXPOSURES, 0.78),
    )
    return values


def redshift_columns(
    sky: Sky,
    targets: Targets,
    tile: DesiTile,
    rows: Int,
    signal: Float,
    rng: np.random.Generator,
) -> dict[str, Any]:
    """REDSHIFTS: right where the spectrum is good; often wrong, with a warning, where it is not.

    Parameters
    ----------
    sky : Sky
    targets : Targets
    tile : DesiTile
    rows : ndarray of int64, shape (n,)
        Fibres of the tile.
    signal : ndarray of float64, shape (n,)
        Median signal-to-noise ratio of the best arm.
    rng : numpy.random.Generator
    """
    count = len(rows)
    target = tile.target[rows]
    real = target >= 0
    template = np.where(real, targets.template[target], 0)
    kind = np.where(real, sky.kind[template], GALAXY)
    star = kind == STAR
    error = np.select([kind == QUASAR, star], [1e-3, 2e-5], 8e-5)
    error = error * np.clip(6.0 / np.maximum(signal, 0.3), 0.5, 10.0)
    sure = real & (signal > 0.8) & (tile.status[rows] == 0)
    measured = sky.population.redshift[template] + error * rng.standard_normal(count)
    lost = ~sure & (rng.uniform(size=count) < 0.6)
    hot = np.nan_to_num(sky.population.teff[template]) > 5300.0
    return {
        "TARGETID": tile.fibre_id[rows],
        "Z": np.where(lost, rng.uniform(0.0, 1.6, count), measured),
        "ZERR": error,
        "ZWARN": np.where(sure, 0, _ZWARN_SMALL_DELTA_CHI2),
        "CHI2": rng.normal(_PIXELS, 120.0, count),
        "COEFF": rng.normal(0.0, 10.0, (count, 10)),
        "NPIXELS": np.full(count, _PIXELS),
        "SPECTYPE": np.select([star, kind == QUASAR], ["STAR", "QSO"], "GALAXY"),
        "SUBTYPE": np.where(star, np.where(hot, "G", "K"), ""),
        "NCOEFF": np.full(count, 10),
        "DELTACHI2": np.where(sure, 40.0 + 60.0 * signal**2, rng.uniform(0.0, 9.0, count)),
    }
