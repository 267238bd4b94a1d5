"""Coadd and redrock files of DESI tiles, as in the public releases."""

from __future__ import annotations

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
from splus_hypercube.mock.desi_tables import (
    binary_table,
    exposure_columns,
    fibermap_columns,
    redshift_columns,
)
from splus_hypercube.mock.fits_files import primary, write_fits
from splus_hypercube.mock.sky import Sky

__all__ = ["write_tile"]

Float = NDArray[np.float64]
Int = NDArray[np.int64]
Bool = NDArray[np.bool_]

_PETALS = 10
_FIBRES_PER_PETAL = 400
_FEWEST_PETALS = 2
_DIAGONALS = 11
_MASK_BIT = 16
_MASKED_FRACTION = 0.003
_DEAD_FRACTION = 0.001
_BAD_COLUMNS = 40
_FLUX_UNIT = "10**-17 erg/(s cm2 Angstrom)"
_IVAR_UNIT = "10**+34 (s2 cm4 Angstrom2) / erg2"
_STEP_ANGSTROM = 0.8
# Noise in the middle and at the blue end of each arm, 1e-17 erg/s/cm2/angstrom.
_NOISE = {"b": (0.28, 0.85), "r": (0.16, 0.30), "z": (0.17, 0.26)}
_PHOTON_VARIANCE = 0.004
_CALIBRATION_FRACTION = 0.004
_SKY_LINES_SEED = 20240611


def write_tile(folder: Path, sky: Sky, targets: Targets, tile: DesiTile) -> Int:
    """Write the coadd and redrock files of a tile.

    Parameters
    ----------
    folder : Path
        Root of the tile layout.
    sky : Sky
    targets : Targets
    tile : DesiTile

    Returns
    -------
    ndarray of int64, shape (number of fibres,)
        Petal of each fibre.
    """
    place = folder / str(tile.tileid) / str(tile.night)
    place.mkdir(parents=True)
    petals = int(np.clip(np.ceil(len(tile) / _FIBRES_PER_PETAL), _FEWEST_PETALS, _PETALS))
    petal = np.arange(len(tile), dtype=np.int64) * petals // len(tile)
    for number in np.unique(petal).tolist():
        _write_petal(place, sky, targets, tile, np.flatnonzero(petal == number), number)
    return petal


def _write_petal(
    place: Path, sky: Sky, targets: Targets, tile: DesiTile, rows: Int, petal: int
) -> None:
    rng = sky.field.random(f"desi {tile.tileid} {petal}")
    cards = {
        "SPGRP": "cumulative",
        "SPGRPVAL": tile.night,
        "NIGHT": tile.night,
        "TILEID": tile.tileid,
        "SPECTRO": petal,
        "PETAL": petal,
        "FIBERMIN": petal * 500,
    }
    fibermap = fibermap_columns(sky, targets, tile, rows, petal, rng)
    exposures = binary_table("EXP_FIBERMAP", EXP_FIBERMAP_COLUMNS, exposure_columns(fibermap, tile))
    scores: dict[str, Any] = {"TARGETID": tile.fibre_id[rows]}
    spectra: list[fits.ImageHDU] = []
    for arm in ARMS:
        flux, ivar, mask = _observe(targets, tile, rows, arm, rng)
        good = (mask == 0) & (ivar > 0)
        label = arm.upper()
        scores[f"MEDIAN_COADD_SNR_{label}"] = _median(flux * np.sqrt(ivar), good)
        scores[f"MEDIAN_COADD_FLUX_{label}"] = _median(flux, good)
        total = np.where(good, flux, 0.0).sum(axis=1) * _STEP_ANGSTROM
        scores[f"INTEG_COADD_FLUX_{label}"] = total
        spectra.extend(_arm_hdus(arm, flux, ivar, mask))
    for name, _ in TSNR2_COLUMNS[1:]:
        scores[name] = rng.uniform(20.0, 300.0, len(rows)) / tile.noise**2
    file_name = f"{petal}-{tile.tileid}-thru{tile.night}.fits"
    coadd = [
        primary(**cards),
        binary_table("FIBERMAP", FIBERMAP_COLUMNS, fibermap),
        exposures,
        *spectra,
        binary_table("SCORES", SCORE_COLUMNS, scores),
    ]
    write_fits(place / f"coadd-{file_name}", coadd)

    signal = np.max([scores[f"MEDIAN_COADD_SNR_{arm.upper()}"] for arm in ARMS], axis=0)
    redshifts = redshift_columns(sky, targets, tile, rows, signal, rng)
    # Redshifts are listed by identifier, not by fibre.
    order = np.argsort(tile.fibre_id[rows], kind="stable")
    redrock = [
        primary(RRVER="0.17.0", **cards),
        binary_table("REDSHIFTS", REDSHIFT_COLUMNS, _take(redshifts, order), nulls=True),
        binary_table("FIBERMAP", FIBERMAP_COLUMNS, _take(fibermap, order), nulls=True),
        exposures,
        binary_table("TSNR2", TSNR2_COLUMNS, _take(scores, order)),
    ]
    write_fits(place / f"redrock-{file_name}", redrock)


def _take(values: dict[str, Any], order: Int) -> dict[str, Any]:
    return {name: np.asarray(column)[order] for name, column in values.items()}


def _median(values: Float, good: Bool) -> Float:
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
        fits.ImageHDU(_resolution(*flux.shape), name=f"{label}_RESOLUTION"),
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
    """Standard deviation of a pixel of a deep tile: the ends of the arm and the night sky."""
    wavelength = arm_wavelength(arm)
    middle, end = _NOISE[arm]
    noise = middle + (end - middle) * np.exp(-(wavelength - wavelength[0]) / 180.0)
    noise += 0.5 * middle * np.exp(-(wavelength[-1] - wavelength) / 60.0)
    rng = np.random.default_rng(_SKY_LINES_SEED)
    lines = rng.uniform(5500.0, 9800.0, 240)
    strength = rng.gamma(0.7, 1.2, 240) * ((lines - 5000.0) / 3500.0) ** 2
    for centre, height in zip(lines.tolist(), strength.tolist(), strict=True):
        noise += 0.12 * height * np.exp(-0.5 * ((wavelength - centre) / 1.3) ** 2)
    return np.asarray(noise)


def _observe(
    targets: Targets, tile: DesiTile, rows: Int, arm: str, rng: np.random.Generator
) -> tuple[Float, Float, Int]:
    """Flux, inverse variance and mask of the fibres of a petal, each (fibres, pixels)."""
    target = tile.target[rows]
    truth = np.where((target >= 0)[:, None], targets.spectra[arm][target], 0.0)
    throughput = rng.uniform(0.92, 1.1, len(rows))[:, None]
    variance = (_noise(arm) * tile.noise * throughput) ** 2
    variance = variance + _PHOTON_VARIANCE * np.maximum(truth, 0.0) * tile.noise**2
    variance += (_CALIBRATION_FRACTION * truth) ** 2
    # The noise has exactly the variance that the file will state.
    ivar = (1.0 / variance).astype(np.float32).astype(np.float64)
    flux = truth + rng.standard_normal(truth.shape) / np.sqrt(ivar)
    hit = rng.uniform(size=truth.shape) < _MASKED_FRACTION
    for row in np.flatnonzero(rng.uniform(size=len(rows)) < 0.03).tolist():
        start = int(rng.integers(0, truth.shape[1] - _BAD_COLUMNS))
        hit[row, start : start + _BAD_COLUMNS] = True
    mask = np.where(hit, _MASK_BIT, 0)
    # Masked pixels have wrong fluxes, which their inverse variance does not show.
    flux[hit] += rng.uniform(15.0, 200.0, int(hit.sum())) * np.sqrt(variance[hit])
    lost = ~np.isfinite(tile.fibre_ra[rows])
    flux[(tile.status[rows] != 0) | lost] *= 0.3
    dead = (rng.uniform(size=truth.shape) < _DEAD_FRACTION) | lost[:, None]
    flux[dead] = 0.0
    ivar[dead] = 0.0
    return flux, ivar, mask
