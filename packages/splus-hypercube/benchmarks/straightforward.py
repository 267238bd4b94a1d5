"""A field's hypercube as one would write it in an afternoon with astropy and pandas.

The baseline of bench_field.py: one `Cutout2D` and one WCS call per source and band, a dictionary
per row, data frames written in chunks. It is correct (epochs, neighbouring pixels, exact
identifiers, light curves in step), so that its values are those of splus-hypercube, and it reads
each file once; nothing in it is slow on purpose.

    python straightforward.py hypercube.yaml FIELD OUTPUT_FOLDER
"""

from __future__ import annotations

import argparse
import re
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml
from astropy import units as u
from astropy.coordinates import Distance, SkyCoord, search_around_sky
from astropy.io import fits
from astropy.nddata import Cutout2D, NoOverlapError
from astropy.time import Time
from astropy.wcs import WCS
from astropy_healpix import HEALPix
from straightforward_tables import (
    archive_files,
    floats,
    position,
    read_fits,
    read_gaia,
    read_parquet,
)

BANDS = ("R", "I", "G", "U", "Z", "F378", "F395", "F410", "F430", "F515", "F660", "F861")
CHUNK_ROWS = 500
ZTF_FILTERS = {"g": 1, "r": 2, "i": 3}
DESI_ARMS = ("b", "r", "z")
GAIA_EPOCH_JYEAR = 2016.0
FASTEST_ARCSEC_PER_YEAR = 10.4
TILE_RADIUS_DEG = 1.7


class Field:
    """The sources of a field, and what every survey needs to match them."""

    def __init__(self, catalogue: pd.DataFrame, epoch_jyear: float) -> None:
        self.catalogue = catalogue
        self.epoch_jyear = epoch_jyear
        self.coordinates = SkyCoord(
            floats(catalogue, "ra") * u.deg, floats(catalogue, "dec") * u.deg
        )
        vectors = self.coordinates.cartesian
        self.centre = SkyCoord(vectors.mean(), representation_type="cartesian")
        self.centre.representation_type = "unitspherical"
        self.radius = self.coordinates.separation(self.centre).max()

    def pixels(self, order: int, margin_arcsec: float) -> set[int]:
        """HEALPix pixels that the field touches."""
        grid = HEALPix(nside=2**order, order="nested")
        reach = self.radius + margin_arcsec * u.arcsec
        found = grid.cone_search_lonlat(self.centre.ra, self.centre.dec, reach)
        return {int(pixel) for pixel in found}

    def pairs(self, objects: SkyCoord, radius_arcsec: float) -> tuple[Any, Any, Any]:
        """All pairs within the radius."""
        if not len(objects):
            return np.empty(0, int), np.empty(0, int), np.empty(0)
        source, other, separation, _ = search_around_sky(
            self.coordinates, objects, (radius_arcsec + 1e-9) * u.arcsec
        )
        return source, other, separation.to_value(u.arcsec)


def match(name: str, field: Field, frame: pd.DataFrame, objects: SkyCoord, radius: float) -> Any:
    """A function that gives a source's columns of the nearest row of a frame."""
    counts = np.bincount(field.pairs(objects, radius)[0], minlength=len(field.catalogue))
    index = np.zeros(len(field.catalogue), int)
    distance = np.full(len(field.catalogue), np.inf)
    if len(objects):
        index, separation, _ = field.coordinates.match_to_catalog_sky(objects)
        distance = separation.to_value(u.arcsec)

    def columns(i: int) -> dict[str, Any]:
        row: dict[str, Any] = {f"{name}_n_candidates": int(counts[i])}
        if counts[i]:
            values = frame.iloc[index[i]].to_dict()
            row.update({f"{name}_{key}": value for key, value in values.items()})
            row[f"{name}_separation_arcsec"] = float(distance[i])
        return row

    return columns


def gaia(settings: dict[str, Any], root: Path, field: Field) -> Any:
    """Gaia at the epoch of the field, and positions at J2000."""
    years = abs(field.epoch_jyear - GAIA_EPOCH_JYEAR)
    pixels = field.pixels(8, settings["radius_arcsec"] + FASTEST_ARCSEC_PER_YEAR * years)
    frames = [
        read_gaia(path)
        for path in archive_files(root / settings["directory"], "GaiaSource", pixels)
    ]
    frame = pd.concat(frames, ignore_index=True)
    motions = [floats(frame, name) for name in ("pmra", "pmdec")]
    moving = np.isfinite(motions[0]) & np.isfinite(motions[1])
    parallax = floats(frame, "parallax")
    near = parallax > 0.0
    stars = SkyCoord(
        floats(frame, "ra") * u.deg,
        floats(frame, "dec") * u.deg,
        pm_ra_cosdec=np.where(moving, motions[0], 0.0) * u.mas / u.yr,
        pm_dec=np.where(moving, motions[1], 0.0) * u.mas / u.yr,
        distance=Distance(parallax=np.where(near, parallax, 1e-3) * u.mas),
        radial_velocity=np.where(near, np.nan_to_num(floats(frame, "radial_velocity")), 0.0)
        * u.km
        / u.s,
        obstime=Time(GAIA_EPOCH_JYEAR, format="jyear"),
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        now = stars.apply_space_motion(Time(field.epoch_jyear, format="jyear"))
        then = stars.apply_space_motion(Time(2000.0, format="jyear"))
    frame["ra_j2000"], frame["dec_j2000"] = then.ra.deg.astype(object), then.dec.deg.astype(object)
    return match("gaia", field, frame, SkyCoord(now.ra, now.dec), settings["radius_arcsec"])


def gaia_xp(settings: dict[str, Any], root: Path, field: Field) -> Any:
    """XP spectra by source_id."""
    pixels = field.pixels(8, 60.0)
    files = archive_files(root / settings["directory"], "XpContinuousMeanSpectrum", pixels)
    frame = pd.concat([read_gaia(path) for path in files], ignore_index=True)
    place = {int(identifier): k for k, identifier in enumerate(frame["source_id"])}

    def columns(source_id: Any) -> dict[str, Any]:
        if source_id is None or int(source_id) not in place:
            return {}
        values = frame.iloc[place[int(source_id)]].to_dict()
        return {f"gaiaxp_{key}": value for key, value in values.items()}

    return columns


def ztf(settings: dict[str, Any], root: Path, field: Field) -> Any:
    """Light curves of all ZTF objects near each source."""
    base = root / settings["directory"]
    base = base / "dataset" if (base / "dataset").is_dir() else base
    frames = []
    for path in sorted(base.glob("Norder=*/Dir=*/Npix=*.parquet")):
        order, pixel = re.findall(r"Norder=(\d+)/.*Npix=(\d+)", path.as_posix())[0]
        if int(pixel) in field.pixels(int(order), settings["radius_arcsec"]):
            frames.append(read_parquet(path))
    frame = pd.concat(frames, ignore_index=True)
    objects = position(frame, "objra", "objdec")
    near: dict[int, list[tuple[float, int]]] = {}
    for i, k, separation in zip(*field.pairs(objects, settings["radius_arcsec"]), strict=True):
        near.setdefault(int(i), []).append((float(separation), int(k)))

    def columns(i: int) -> dict[str, Any]:
        row: dict[str, Any] = {"ztf_n_candidates": len(near.get(i, []))}
        if i not in near:
            return row
        rows = [frame.iloc[k].to_dict() for _, k in sorted(near[i])]
        row["ztf_objectids"] = [int(item["objectid"]) for item in rows]
        row["ztf_objectid"] = row["ztf_objectids"][0]
        row["ztf_separation_arcsec"] = min(near[i])[0]
        for band, number in ZTF_FILTERS.items():
            epochs = []
            for item in rows:
                if item["filterid"] == number:
                    lists = (item["hmjd"], item["mag"], item["magerr"], item["catflags"])
                    for *values, flags in zip(*lists, strict=True):
                        if np.all(np.isfinite(values)) and not flags & settings["bad_catflags"]:
                            epochs.append(tuple(values))
            epochs.sort(key=lambda values: values[0])
            for place, name in enumerate(("hmjd", "mag", "magerr")):
                row[f"ztf_{name}_{band}"] = [values[place] for values in epochs]
            row[f"ztf_nepochs_{band}"] = len(epochs)
        return row

    return columns


def desi(settings: dict[str, Any], root: Path, field: Field) -> Any:
    """The best coadd of each source."""
    folder = root / settings["directory"]
    tiles = pd.read_csv(root / settings["tiles"])
    centres = SkyCoord(tiles["TILERA"].to_numpy() * u.deg, tiles["TILEDEC"].to_numpy() * u.deg)
    reach = field.radius + TILE_RADIUS_DEG * u.deg + 1.0 * u.arcsec
    near = tiles["TILEID"][centres.separation(field.centre) <= reach]
    counts = np.zeros(len(field.catalogue), int)
    best: dict[int, tuple[float, float, Path, int]] = {}
    frames: dict[Path, pd.DataFrame] = {}
    for tile in near:
        for path in sorted(folder.glob(f"{tile}/*/coadd-*.fits")):
            frame = read_fits(path, "FIBERMAP")
            good = np.flatnonzero(
                (frame["OBJTYPE"] == "TGT").to_numpy()
                & (floats(frame, "COADD_FIBERSTATUS") == 0)
                & np.isfinite(floats(frame, "TARGET_RA"))
            )
            objects = position(frame.iloc[good], "TARGET_RA", "TARGET_DEC")
            scores = read_fits(path, "SCORES")
            snr = np.mean(
                [floats(scores, f"MEDIAN_COADD_SNR_{arm.upper()}") for arm in DESI_ARMS], axis=0
            )
            frames[path] = frame
            pairs = field.pairs(objects, settings["radius_arcsec"])
            for i, k, separation in zip(*pairs, strict=True):
                counts[i] += 1
                found = (float(snr[good[k]]), -float(separation), path, int(good[k]))
                if int(i) not in best or found[:2] > best[int(i)][:2]:
                    best[int(i)] = found
    files: dict[Path, dict[str, Any]] = {}

    def columns(i: int) -> dict[str, Any]:
        row: dict[str, Any] = {"desi_n_candidates": int(counts[i])}
        if i not in best:
            return row
        _, separation, path, fibre = best[i]
        if path not in files:
            files[path] = read_coadd(path)
        for key, value in frames[path].iloc[fibre].to_dict().items():
            row[f"desi_fibermap_{key}" if key.startswith("FLUX_") else f"desi_{key}"] = value
        spectra, redshifts = files[path]["spectra"], files[path]["redshifts"]
        for arm in DESI_ARMS:
            wave, flux, ivar = spectra[arm]
            row[f"desi_wave_{arm}"] = wave
            row[f"desi_flux_{arm}"], row[f"desi_ivar_{arm}"] = flux[fibre], ivar[fibre]
        row.update(redshifts.get(int(row["desi_TARGETID"]), {}))
        row["desi_desi_file"] = path.relative_to(folder).as_posix()
        row["desi_separation_arcsec"] = -separation
        return row

    return columns


def read_coadd(path: Path) -> dict[str, Any]:
    """Spectra of all fibres, masked pixels without weight, and the redshifts beside them."""
    spectra = {}
    with fits.open(path) as hdus:
        for arm in DESI_ARMS:
            letter = arm.upper()
            ivar = np.array(hdus[f"{letter}_IVAR"].data, np.float32)
            ivar[hdus[f"{letter}_MASK"].data != 0] = 0.0
            wave = np.array(hdus[f"{letter}_WAVELENGTH"].data, np.float64)
            spectra[arm] = (wave, np.array(hdus[f"{letter}_FLUX"].data, np.float32), ivar)
    redshifts: dict[int, dict[str, Any]] = {}
    redrock = path.with_name(path.name.replace("coadd-", "redrock-"))
    if redrock.exists():
        frame = read_fits(redrock, "REDSHIFTS")[["TARGETID", "Z", "ZERR", "ZWARN", "SPECTYPE"]]
        for k in range(len(frame)):
            values = frame.iloc[k].to_dict()
            identifier = int(values.pop("TARGETID"))
            redshifts[identifier] = {f"desi_{key}": value for key, value in values.items()}
    return {"spectra": spectra, "redshifts": redshifts}


def apogee(settings: dict[str, Any], root: Path, field: Field) -> Any:
    frame = read_fits(root / settings["file"])
    duplicate = frame["EXTRATARG"].to_numpy(np.int64) & 16
    frame = frame[duplicate == 0].reset_index(drop=True)
    return match("apogee", field, frame, position(frame, "RA", "DEC"), settings["radius_arcsec"])


def specz(settings: dict[str, Any], root: Path, field: Field) -> Any:
    frame = read_parquet(root / settings["file"])
    return match("specz", field, frame, position(frame, "RA", "DEC"), settings["radius_arcsec"])


def vista(settings: dict[str, Any], root: Path, name: str, field: Field) -> Any:
    frame = read_parquet(root / settings["file"].format(field=name))
    objects = position(frame, "ra2000", "dec2000")
    return match("vista", field, frame, objects, settings["radius_arcsec"])


def cutouts(images: dict[str, Any], coordinate: SkyCoord, size: int) -> dict[str, Any]:
    """One source's cutouts: a WCS call and a Cutout2D for each band."""
    row: dict[str, Any] = {}
    for band, (pixels, wcs) in images.items():
        x, y = wcs.world_to_pixel(coordinate)
        column, line = np.floor(x + 0.5), np.floor(y + 0.5)
        row.setdefault("splus_cut_dx_px", float(x - column))
        row.setdefault("splus_cut_dy_px", float(y - line))
        try:
            # Half a pixel less: the centre of an even cutout lies between two pixels.
            cutout = Cutout2D(
                pixels, (column - 0.5, line - 0.5), size, mode="partial", fill_value=np.nan
            ).data
        except NoOverlapError:
            cutout = np.full((size, size), np.nan, np.float32)
        row[f"splus_cut_{band}"] = cutout.astype(np.float32).ravel()
    return row


def build(config: Path, name: str, output: Path) -> None:
    """Write the hypercube of a field as a folder of Parquet files."""
    settings = yaml.safe_load(config.read_text(encoding="utf-8"))
    root = config.parent
    catalogue = read_fits(root / settings["splus"]["catalogue"].format(field=name))
    field = Field(catalogue, settings["splus"]["epoch_jyear"])
    images = {}
    for band in BANDS:
        path = root / settings["splus"]["images"][0].format(field=name, band=band)
        with fits.open(path) as hdus:
            images[band] = (np.array(hdus[1].data, np.float32), WCS(hdus[1].header))
    of_gaia = gaia(settings["gaia"], root, field)
    of_gaia_xp = gaia_xp(settings["gaia_xp"], root, field)
    others = [
        ztf(settings["ztf"], root, field),
        desi(settings["desi"], root, field),
        apogee(settings["apogee"], root, field),
        specz(settings["specz"], root, field),
        vista(settings["vista"], root, name, field),
    ]
    output.mkdir(parents=True)
    for start in range(0, len(catalogue), CHUNK_ROWS):
        rows = []
        for i in range(start, min(start + CHUNK_ROWS, len(catalogue))):
            row = catalogue.iloc[i].to_dict()
            row.update(cutouts(images, field.coordinates[i], settings["cutouts"]["size_px"]))
            row.update(of_gaia(i))
            row.update(of_gaia_xp(row.get("gaia_source_id")))
            for survey in others:
                row.update(survey(i))
            rows.append(row)
        # Without `object`, pandas makes floats of identifiers that are missing somewhere.
        pd.DataFrame(rows, dtype=object).to_parquet(output / f"part-{start:08d}.parquet")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("config", type=Path)
    parser.add_argument("field")
    parser.add_argument("output", type=Path)
    arguments = parser.parse_args()
    build(arguments.config, arguments.field, arguments.output)


if __name__ == "__main__":
    main()
