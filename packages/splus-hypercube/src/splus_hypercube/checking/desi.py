"""DESI coadds derived again, with `astropy.io.fits` alone."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.io import fits
from numpy.typing import NDArray

from splus_hypercube.checking.comparison import Between, Near, Row
from splus_hypercube.checking.neighbours import Candidate, Sample, near_pairs, pixels_near
from splus_hypercube.checking.tables import FitsRows, reading
from splus_hypercube.configuration import Desi

__all__ = ["desi_rows"]

_ARMS = ("b", "r", "z")
_REDSHIFT_COLUMNS = ("Z", "ZERR", "ZWARN", "SPECTYPE")
# The field of a tile has a radius of 1.6 deg (DESI Collaboration 2022, AJ 164, 207).
_TILE_RADIUS_DEG = 1.7
_TOLERANCE_ARCSEC = 1e-6
# Medians are kept in single precision.
_SNR_TOLERANCE = 1e-5


@dataclass(frozen=True)
class _Fibre:
    path: Path
    row: int
    snr: float


def _coadds(section: Desi, sample: Sample, limit: float) -> list[Path]:
    """Coadds that may hold a fibre near a source."""
    if section.tiles is None:
        pixels = pixels_near(sample, limit, 6)
        folders = [
            section.directory.glob(f"healpix/*/*/{pixel // 100}/{pixel}") for pixel in pixels
        ]
        paths = [path for group in folders for folder in group for path in _coadds_in(folder)]
        return sorted(paths)
    with reading(section.tiles), section.tiles.open(newline="", encoding="utf-8-sig") as file:
        tiles = [
            (int(row["TILEID"]), float(row["TILERA"]), float(row["TILEDEC"]))
            for row in csv.DictReader(file)
        ]
    known = np.isfinite(sample.ra) & np.isfinite(sample.dec)
    if not tiles or not known.any():
        return []
    sources = SkyCoord(sample.ra[known] * u.deg, sample.dec[known] * u.deg)
    paths = []
    for identifier, ra, dec in tiles:
        nearest = SkyCoord(ra * u.deg, dec * u.deg).separation(sources).deg.min()
        if nearest <= _TILE_RADIUS_DEG + limit / 3600.0:
            for folder in section.directory.glob(f"{identifier}/*"):
                paths.extend(_coadds_in(folder))
    return sorted(paths)


def _coadds_in(folder: Path) -> Iterator[Path]:
    for pattern in ("coadd-*.fits", "coadd-*.fits.gz"):
        yield from folder.glob(pattern)


def _near_fibres(section: Desi, sample: Sample, limit: float) -> list[list[Candidate]]:
    """Good target fibres near each source."""
    candidates: list[list[Candidate]] = [[] for _ in range(len(sample))]
    columns = ("TARGET_RA", "TARGET_DEC", "OBJTYPE", "COADD_FIBERSTATUS")
    for path in _coadds(section, sample, limit):
        for first, block in FitsRows(path, "FIBERMAP").blocks(columns):
            kind = np.char.strip(np.asarray(block["OBJTYPE"]).astype(str))
            good = np.flatnonzero((kind == "TGT") & (block["COADD_FIBERSTATUS"] == 0))
            ra, dec = (np.asarray(block[c], np.float64)[good] for c in columns[:2])
            for source, place, separation in zip(
                *(part.tolist() for part in near_pairs(sample, ra, dec, limit)), strict=True
            ):
                row = first + int(good[place])
                fibre = _Fibre(path, row, _signal_to_noise(path, row))
                candidates[source].append(Candidate(separation, fibre))
    return candidates


def _signal_to_noise(path: Path, row: int) -> float:
    """Mean over the arms of the pipeline's medians; without these the median of all pixels."""
    with reading(path), fits.open(path) as hdus:
        if "SCORES" in hdus:
            scores = hdus["SCORES"].data
            names = [f"MEDIAN_COADD_SNR_{arm.upper()}" for arm in _ARMS]
            values = [float(scores[name][row]) for name in names if name in scores.names]
            if values:
                return float(np.mean(values))
        spectra = [_arm(hdus, arm, row) for arm in _ARMS if f"{arm.upper()}_FLUX" in hdus]
        if not spectra:
            return 0.0
        pixels = [s["flux"] * np.sqrt(np.maximum(s["ivar"], 0.0)) for s in spectra]
        return float(np.median(np.concatenate(pixels)))


def _arm(hdus: Any, arm: str, row: int) -> dict[str, NDArray[Any]]:
    """Wavelength, flux and inverse variance of one fibre."""
    letter = arm.upper()
    ivar = np.array(hdus[f"{letter}_IVAR"].section[row], np.float32)
    if f"{letter}_MASK" in hdus:
        ivar[hdus[f"{letter}_MASK"].section[row] != 0] = 0.0
    return {
        "wave": np.array(hdus[f"{letter}_WAVELENGTH"].data, np.float64),
        "flux": np.array(hdus[f"{letter}_FLUX"].section[row], np.float32),
        "ivar": ivar,
    }


def _columns(section: Desi, fibre: _Fibre) -> Row:
    """All columns that a fibre gives."""
    values = FitsRows(fibre.path, "FIBERMAP").rows(np.array([fibre.row]))[0]
    # Ignoring case, names must differ from those of the spectra.
    row: dict[str, Any] = {
        f"desi_fibermap_{name}" if name.upper().startswith("FLUX_") else f"desi_{name}": value
        for name, value in values.items()
    }
    with reading(fibre.path), fits.open(fibre.path) as hdus:
        for arm in _ARMS:
            if f"{arm.upper()}_FLUX" in hdus:
                for name, spectrum in _arm(hdus, arm, fibre.row).items():
                    row[f"desi_{name}_{arm}"] = spectrum
    row.update(_redshift(fibre.path, int(values["TARGETID"])))
    row["desi_desi_file"] = fibre.path.relative_to(section.directory).as_posix()
    return row


def _redshift(coadd: Path, target: int) -> dict[str, Any]:
    """Redrock's answer for a target, from the file beside the coadd."""
    name = coadd.name.replace("coadd-", "redrock-", 1).removesuffix(".gz")
    for path in (coadd.with_name(name), coadd.with_name(f"{name}.gz")):
        if path.exists():
            table = FitsRows(path, "REDSHIFTS")
            for first, block in table.blocks(["TARGETID"]):
                place = np.flatnonzero(block["TARGETID"] == target)
                if len(place):
                    found = table.rows(place[:1] + first)[0]
                    return {f"desi_{column}": found[column] for column in _REDSHIFT_COLUMNS}
    return {}


def desi_rows(section: Desi, sample: Sample) -> list[list[Row]]:
    """What each source's DESI columns may hold.

    Parameters
    ----------
    section : Desi
        Of the configuration.
    sample : Sample

    Returns
    -------
    list of list of mapping
    """
    limit = section.radius_arcsec + _TOLERANCE_ARCSEC
    near = _near_fibres(section, sample, limit)
    return [_alternatives(section, candidates) for candidates in near]


def _alternatives(section: Desi, candidates: list[Candidate]) -> list[Row]:
    inner = section.radius_arcsec - _TOLERANCE_ARCSEC
    sure = [item for item in candidates if item.separation_arcsec <= inner]
    count = {"desi_n_candidates": Between(len(sure), len(candidates))}
    rows: list[Row] = []
    for inside in (candidates, sure) if len(sure) < len(candidates) else (candidates,):
        if not inside:
            rows.append(count)
            continue
        best = max(np.nan_to_num(item.key.snr, nan=-1.0) for item in inside)
        for item in inside:
            snr = np.nan_to_num(item.key.snr, nan=-1.0)
            if best - snr <= _SNR_TOLERANCE * abs(best):
                separation = Near(item.separation_arcsec, _TOLERANCE_ARCSEC)
                row = {**_columns(section, item.key), **count}
                rows.append({**row, "desi_separation_arcsec": separation})
    return rows
