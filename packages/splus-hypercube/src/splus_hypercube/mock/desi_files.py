"""Coadd and redrock files of DESI tiles, as in the public releases."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits
from numpy.typing import NDArray

from splus_hypercube.mock.desi import ARMS, DesiTile, Targets, arm_wavelength
from splus_hypercube.mock.desi_columns import (
    EXP_FIBERMAP_COLUMNS,
    FIBERMAP_COLUMNS,
    REDSHIFT_COLUMNS,
    SCORE_COLUMNS,
    TSNR2_COLUMNS,
)
from splus_hypercube.mock.fits_files import primary, table_column, write_fits
from splus_hypercube.mock.photometry import VEGA_OFFSETS
from splus_hypercube.mock.population import GALAXY, QUASAR, STAR
from splus_hypercube.mock.sky import Sky

__all__ = ["write_tile"]

Float = NDArray[np.float64]
Int = NDArray[np.int64]

_PETALS = 10
_FIBRES_PER_PETAL = 400
_FEWEST_PETALS = 2
_DIAGONALS = 11
_MASK_BIT = 16
_MASKED_FRACTION = 0.003
_DEAD_FRACTION = 0.001
_FLUX_UNIT = "10**-17 erg/(s cm2 Angstrom)"
_IVAR_UNIT = "10**+34 (s2 cm4 Angstrom2) / erg2"
_ZWARN_LOW_DELTACHI2 = 4
_NULLS = {"K": 999999, "J": 999999, "I": 16959, "B": 63}
_EXPOSURES = 2
# Noise at the middle and at the blue end of each arm, 1e-17 erg/s/cm2/angstrom.
_NOISE = {"b": (0.28, 0.85), "r": (0.16, 0.30), "z": (0.17, 0.26)}
_SKY_LINES_SEED = 20240611


def write_tile(folder: Path, sky: Sky, targets: Targets, tile: DesiTile) -> Float:
    """Write the coadds and redrock files of a tile.

    Parameters
    ----------
    folder : Path
        Root of the tile layout.
    sky : Sky
    targets : Targets
    tile : DesiTile

    Returns
    -------
    petal : ndarray of int64, shape (number of fibres,)
        Petal of each fibre.
    """
    place = folder / str(tile.tileid) / str(tile.night)
    place.mkdir(parents=True)
    petals = int(np.clip(np.ceil(len(tile) / _FIBRES_PER_PETAL), _FEWEST_PETALS, _PETALS))
    petal = np.arange(len(tile)) * petals // len(tile)
    for number in range(petals):
        rows = np.flatnonzero(petal == number)
        rng = sky.field.random(f"desi {tile.tileid} {number}")
        name = f"{number}-{tile.tileid}-thru{tile.night}.fits"
        _write_petal(place, name, sky, targets, tile, rows, number, rng)
    return petal


def _write_petal(
    place: Path,
    name: str,
    sky: Sky,
    targets: Targets,
    tile: DesiTile,
    rows: Int,
    petal: int,
    rng: np.random.Generator,
) -> None:
    cards = {
        "SPGRP": "cumulative",
        "SPGRPVAL": tile.night,
        "NIGHT": tile.night,
        "TILEID": tile.tileid,
        "SPECTRO": petal,
        "PETAL": petal,
        "FIBERMIN": petal * 500,
    }
    fibermap = _fibermap(sky, targets, tile, rows, petal, rng)
    exposures = _exposures(fibermap, tile)
    hdus: list[Any] = [primary(**cards)]
    hdus.append(_table("FIBERMAP", FIBERMAP_COLUMNS, fibermap))
    hdus.append(_table("EXP_FIBERMAP", EXP_FIBERMAP_COLUMNS, exposures))
    scores: dict[str, Any] = {"TARGETID": tile.fibre_id[rows]}
    signal = np.zeros(len(rows))
    for arm in ARMS:
        flux, ivar, mask = _observe(targets, tile, rows, arm, rng)
        good = (mask == 0) & (ivar > 0)
        snr = _median(flux * np.sqrt(ivar), good)
        scores[f"MEDIAN_COADD_SNR_{arm.upper()}"] = snr
        scores[f"MEDIAN_COADD_FLUX_{arm.upper()}"] = _median(flux, good)
        scores[f"INTEG_COADD_FLUX_{arm.upper()}"] = np.where(good, flux, 0.0).sum(axis=1) * 0.8
        signal = np.maximum(signal, snr)
        hdus.extend(_arm_hdus(arm, flux, ivar, mask))
    for label, _ in TSNR2_COLUMNS[1:]:
        scores[label] = rng.uniform(20.0, 300.0, len(rows)) / tile.noise**2
    hdus.append(_table("SCORES", SCORE_COLUMNS, scores))
    write_fits(place / f"coadd-{name}", hdus)
    redshifts = _redshifts(sky, targets, tile, rows, signal, rng)
    by_id = np.argsort(tile.fibre_id[rows], kind="stable")
    ordered = {key: np.asarray(values)[by_id] for key, values in fibermap.items()}
    found = {key: np.asarray(values)[by_id] for key, values in redshifts.items()}
    tsnr2 = {key: np.asarray(scores[key])[by_id] for key, _ in TSNR2_COLUMNS}
    write_fits(
        place / f"redrock-{name}",
        [
            primary(RRVER="0.17.0", **cards),
            _table("REDSHIFTS", REDSHIFT_COLUMNS, found, nulls=True),
            _table("FIBERMAP", FIBERMAP_COLUMNS, ordered, nulls=True),
            _table("EXP_FIBERMAP", EXP_FIBERMAP_COLUMNS, exposures),
            _table("TSNR2", TSNR2_COLUMNS, tsnr2),
        ],
    )


def _median(values: Float, good: NDArray[np.bool_]) -> Float:
    """Median of the good pixels of each row, 0 where there are none, as in real files."""
    alive = good.any(axis=1)
    result = np.zeros(len(values))
    result[alive] = np.nanmedian(np.where(good[alive], values[alive], np.nan), axis=1)
    return result


def _arm_hdus(arm: str, flux: Float, ivar: Float, mask: Int) -> list[fits.ImageHDU]:
    label = arm.upper()
    hdus = [
        fits.ImageHDU(arm_wavelength(arm), name=f"{label}_WAVELENGTH"),
        fits.ImageHDU(flux.astype(np.float32), name=f"{label}_FLUX"),
        fits.ImageHDU(ivar.astype(np.float32), name=f"{label}_IVAR"),
        fits.ImageHDU(mask.astype(np.int32), name=f"{label}_MASK"),
        fits.ImageHDU(_resolution(len(flux), flux.shape[1]), name=f"{label}_RESOLUTION"),
    ]
    for hdu, unit in zip(hdus, ("Angstrom", _FLUX_UNIT, _IVAR_UNIT), strict=False):
        hdu.header["BUNIT"] = unit
    return hdus


def _resolution(count: int, pixels: int) -> NDArray[np.float32]:
    """Diagonals of the resolution matrix: a Gaussian that widens towards the ends of the arm."""
    offsets = np.arange(_DIAGONALS // 2, -_DIAGONALS // 2, -1, dtype=np.float64)
    sigma = 0.95 + 0.25 * np.linspace(-1.0, 1.0, pixels) ** 2
    bands = np.exp(-0.5 * (offsets[:, None] / sigma) ** 2)
    bands /= bands.sum(axis=0)
    return np.repeat(bands[None].astype(np.float32), count, axis=0)


def _noise(arm: str) -> Float:
    """Standard deviation of a pixel of the first tile: the ends of the arm and the night sky."""
    wavelength = arm_wavelength(arm)
    middle, end = _NOISE[arm]
    noise = middle + (end - middle) * np.exp(-(wavelength - wavelength[0]) / 180.0)
    noise += 0.5 * middle * np.exp(-(wavelength[-1] - wavelength) / 60.0)
    rng = np.random.default_rng(_SKY_LINES_SEED)
    lines = rng.uniform(5500.0, 9800.0, 240)
    strength = rng.gamma(0.7, 1.2, 240) * ((lines - 5000.0) / 3500.0) ** 2
    for centre, height in zip(lines.tolist(), strength.tolist(), strict=True):
        if wavelength[0] - 10.0 < centre < wavelength[-1] + 10.0:
            noise += 0.12 * height * np.exp(-0.5 * ((wavelength - centre) / 1.3) ** 2)
    return np.asarray(noise)


def _observe(
    targets: Targets, tile: DesiTile, rows: Int, arm: str, rng: np.random.Generator
) -> tuple[Float, Float, Int]:
    target = tile.target[rows]
    truth = np.where((target >= 0)[:, None], targets.spectra[arm][target], 0.0)
    throughput = rng.uniform(0.92, 1.1, len(rows))[:, None]
    variance = (_noise(arm) * tile.noise * throughput) ** 2
    # Photons of the source, and a calibration that is good to a fraction of a per cent.
    variance = variance + 0.004 * np.maximum(truth, 0.0) * tile.noise**2 + (0.004 * truth) ** 2
    ivar = (1.0 / variance).astype(np.float32).astype(np.float64)
    flux = truth + rng.standard_normal(truth.shape) / np.sqrt(ivar)
    mask = np.zeros(truth.shape, dtype=np.int64)
    hit = rng.uniform(size=truth.shape) < _MASKED_FRACTION
    trap = np.flatnonzero(rng.uniform(size=len(rows)) < 0.03)
    for row in trap.tolist():
        start = int(rng.integers(0, truth.shape[1] - 60))
        hit[row, start : start + 40] = True
    mask[hit] = _MASK_BIT
    # What is masked is wrong, and its ivar does not tell.
    flux[hit] += rng.uniform(15.0, 200.0, int(hit.sum())) * np.sqrt(variance[hit])
    dead = rng.uniform(size=truth.shape) < _DEAD_FRACTION
    broken = (tile.status[rows] != 0) | ~np.isfinite(tile.fibre_ra[rows])
    dead[~np.isfinite(tile.fibre_ra[rows])] = True
    flux[broken] *= 0.3
    flux[dead] = 0.0
    ivar[dead] = 0.0
    return flux, ivar, mask


def _fibermap(
    sky: Sky, targets: Targets, tile: DesiTile, rows: Int, petal: int, rng: np.random.Generator
) -> dict[str, Any]:
    count = len(rows)
    target = tile.target[rows]
    real = target >= 0
    template = np.where(real, targets.template[target], 0)
    dimming = np.where(real, targets.dimming[target], 0.0)
    fraction = np.where(real, targets.fibre_fraction[target], 0.0)
    kind = np.where(real, sky.kind[template], -1)
    star = kind == STAR
    fibre = np.arange(count)
    ra, dec = tile.fibre_ra[rows], tile.fibre_dec[rows]
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
        "PRIORITY": np.where(kind == QUASAR, 3400, 2000),
        "SUBPRIORITY": rng.uniform(size=count),
        "OBSCONDITIONS": np.full(count, 4),
        "RELEASE": np.full(count, 9011),
        "BRICKNAME": np.full(count, f"{int(sky.field.ra * 10):04d}m{int(-sky.field.dec * 10):03d}"),
        "BRICKID": np.full(count, 300000 + sky.field.index),
        "BRICK_OBJID": np.where(real, target, 0),
        "MORPHTYPE": np.where(kind == GALAXY, "SER", np.where(real, "PSF", "")),
        "EBV": np.where(real, sky.population.ebv[template], 0.0),
        "PHOTSYS": np.full(count, "S"),
        "PRIORITY_INIT": np.full(count, 2000),
        "NUMOBS_INIT": np.ones(count, dtype=np.int64),
        "DESI_TARGET": np.where(kind == QUASAR, 4, np.where(star, 1 << 61, 1 << 60)),
        "BGS_TARGET": np.where(kind == GALAXY, 2, 0),
        "MWS_TARGET": np.where(star, 256, 0),
        "PLATE_RA": ra,
        "PLATE_DEC": dec,
        "TILEID": np.full(count, tile.tileid),
        "COADD_NUMEXP": np.full(count, _EXPOSURES),
        "COADD_EXPTIME": np.full(count, 1000.0 / tile.noise),
        "COADD_NUMNIGHT": np.ones(count, dtype=np.int64),
        "COADD_NUMTILE": np.ones(count, dtype=np.int64),
        "MEAN_FIBER_RA": ra,
        "MEAN_FIBER_DEC": dec,
        "MEAN_PSF_TO_FIBER_SPECFLUX": np.full(count, 0.78),
        "SERSIC": np.where(kind == GALAXY, 1.0 + 3.0 * np.nan_to_num(sky.population.bulge[template]), 0.0),
        "SHAPE_R": np.where(kind == GALAXY, np.nan_to_num(sky.population.half_light_arcsec[template]), 0.0),
        "PARALLAX": np.where(star, sky.parallax[template], 0.0),
    }
    for label, band in (("G", "decam_g"), ("R", "decam_r"), ("Z", "decam_z"), ("W1", "vista_ks"), ("W2", "vista_ks")):
        # Beyond 2 micron all spectra fall like the tail of a black body.
        tail = {"W1": 0.42, "W2": 0.23}.get(label, 1.0)
        flux = dimming * tail * 10.0 ** (-0.4 * (sky.mags[band][template] - 22.5))
        error = np.hypot(0.02 if tail == 1.0 else 0.5, 0.004 * flux)
        values[f"FLUX_{label}"] = np.where(real, flux + error * rng.standard_normal(count), 0.0)
        values[f"FLUX_IVAR_{label}"] = np.where(real, error**-2, 0.0)
        if tail == 1.0:
            values[f"FIBERFLUX_{label}"] = flux * fraction
            values[f"FIBERTOTFLUX_{label}"] = flux * fraction
    for label, band in (("G", "gaia_g"), ("BP", "gaia_bp"), ("RP", "gaia_rp")):
        mag = sky.mags[band][template] - VEGA_OFFSETS[band]
        values[f"GAIA_PHOT_{label}_MEAN_MAG"] = np.where(star, mag, 0.0)
    return values


def _exposures(fibermap: Mapping[str, Any], tile: DesiTile) -> dict[str, Any]:
    repeated = {
        name: np.repeat(np.asarray(fibermap[name]), _EXPOSURES)
        for name, _ in EXP_FIBERMAP_COLUMNS
        if name in fibermap
    }
    count = len(fibermap["TARGETID"])
    number = np.tile(np.arange(_EXPOSURES), count)
    repeated["NIGHT"] = np.full(count * _EXPOSURES, tile.night)
    repeated["EXPID"] = 80000 + tile.tileid * 4 + number
    repeated["MJD"] = 59305.2 + 0.01 * number
    repeated["EXPTIME"] = np.full(count * _EXPOSURES, 500.0 / tile.noise)
    repeated["FIBERSTATUS"] = np.repeat(np.asarray(fibermap["COADD_FIBERSTATUS"]), _EXPOSURES)
    repeated["FIBER_RA"] = repeated["PLATE_RA"]
    repeated["FIBER_DEC"] = repeated["PLATE_DEC"]
    repeated["PSF_TO_FIBER_SPECFLUX"] = np.full(count * _EXPOSURES, 0.78)
    return repeated


def _redshifts(
    sky: Sky,
    targets: Targets,
    tile: DesiTile,
    rows: Int,
    signal: Float,
    rng: np.random.Generator,
) -> dict[str, Any]:
    count = len(rows)
    target = tile.target[rows]
    real = target >= 0
    template = np.where(real, targets.template[target], 0)
    kind = np.where(real, sky.kind[template], GALAXY)
    error = np.where(kind == QUASAR, 1e-3, np.where(kind == STAR, 2e-5, 8e-5))
    error = error * np.clip(6.0 / np.maximum(signal, 0.3), 0.5, 10.0)
    sure = real & (signal > 0.8) & (tile.status[rows] == 0)
    measured = sky.population.redshift[template] + error * rng.standard_normal(count)
    lost = ~sure & (rng.uniform(size=count) < 0.6)
    measured = np.where(lost, rng.uniform(0.0, 1.6, count), measured)
    names = np.array(["STAR", "GALAXY", "QSO"])
    subtype = np.where(kind == STAR, np.where(sky.population.teff[template] > 5300, "G", "K"), "")
    return {
        "TARGETID": tile.fibre_id[rows],
        "Z": measured,
        "ZERR": error,
        "ZWARN": np.where(sure, 0, _ZWARN_LOW_DELTACHI2),
        "CHI2": rng.normal(7900.0, 120.0, count),
        "COEFF": rng.normal(0.0, 10.0, (count, 10)),
        "NPIXELS": np.full(count, 7926),
        "SPECTYPE": names[kind],
        "SUBTYPE": subtype,
        "NCOEFF": np.full(count, 10),
        "DELTACHI2": np.where(sure, 40.0 + 60.0 * signal**2, rng.uniform(0.0, 9.0, count)),
    }


def _table(
    name: str,
    columns: tuple[tuple[str, str], ...],
    values: Mapping[str, Any],
    *,
    nulls: bool = False,
) -> fits.BinTableHDU:
    """A binary table; columns without values are zero or empty."""
    count = len(values["TARGETID"])
    made = []
    for label, code in columns:
        blank = np.full(count, "") if code.endswith("A") else np.zeros(count)
        null = _NULLS.get(code) if nulls else None
        data = np.asarray(values.get(label, blank))
        if code in _NULLS:
            data = data.astype({"K": "i8", "J": "i4", "I": "i2", "B": "u1"}[code])
        made.append(table_column(label, code, data, null=null))
    return fits.BinTableHDU.from_columns(made, name=name)
