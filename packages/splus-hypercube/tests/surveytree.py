"""A survey tree small enough to work out by hand what its hypercube must hold.

Unlike the mock sky there is no physics here: sources sit on a grid, and each survey's rows are put
at stated offsets from them, so that every rule of the hypercube has a row that decides it.
"""

from __future__ import annotations

import gzip
import json
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import yaml
from astropy import units
from astropy.io import fits
from astropy.table import Table
from astropy.wcs import WCS
from astropy_healpix import HEALPix

from splus_hypercube.bands import BAND_NAMES

EPOCH = 2019.5
GAIA_EPOCH = 2016.0
FIELD = "SPLUS-t01"
PIXEL_ARCSEC = 0.55
SIDE_PX = 300
NUM_SOURCES = 16
XP_COEFFICIENTS = 55
DESI_LENGTHS = {"b": 21, "r": 17, "z": 19}
# First wavelengths of the shortened arms, angstrom.
DESI_START = {"b": 3600.0, "r": 5760.0, "z": 7520.0}


def shifted(ra, dec, east_arcsec, north_arcsec):
    """A position some arcseconds away (small offsets, away from the poles)."""
    new_dec = dec + north_arcsec / 3600.0
    return (ra + east_arcsec / 3600.0 / np.cos(np.deg2rad(new_dec))) % 360.0, new_dec


@dataclass
class SurveyTree:
    """What is written; change an attribute before `write`, or write one survey again after it.

    Attributes
    ----------
    root : Path
    ra, dec : float
        Centre of the field, deg.
    field_name : str
    num_sources : int
        At most 16; 0 for a catalogue without rows.
    surveys_have_rows : bool
        False for files without rows of all other surveys.
    bands : tuple of str
        Bands that have an image.
    settings : dict
        Sections of the configuration in place of the usual ones; None leaves a section out.
    """

    root: Path
    ra: float = 30.0
    dec: float = -30.0
    field_name: str = FIELD
    num_sources: int = NUM_SOURCES
    surveys_have_rows: bool = True
    bands: tuple[str, ...] = BAND_NAMES
    settings: dict = field(default_factory=dict)

    # -- the whole -------------------------------------------------------------------------------

    def write(self) -> SurveyTree:
        self.root.mkdir(parents=True, exist_ok=True)
        self.place_sources()
        self.write_fields()
        self.write_catalogue()
        self.write_images()
        self.write_gaia()
        self.write_xp()
        self.write_ztf()
        self.write_desi()
        self.write_apogee()
        self.write_specz()
        self.write_vista()
        self.write_config()
        return self

    @property
    def config(self) -> Path:
        return self.root / "hypercube.yaml"

    @property
    def output(self) -> Path:
        return self.root / "hypercube"

    @property
    def cube(self) -> Path:
        return self.output / f"datacube_{self.field_name}.parquet"

    def write_config(self, **changes) -> None:
        values = {
            "fields": "fields.csv",
            "output": "hypercube",
            "splus": {
                "catalogue": "main/{field}_dual.fits",
                "images": ["idr6/{field}/{field}_{band}.fits.fz"],
                "epoch_jyear": EPOCH,
            },
            "cutouts": {"size_px": 96, "rows": "all"},
            "gaia": {"directory": "gaia_dr3", "radius_arcsec": 1.2},
            "gaia_xp": {"directory": "gaia_xp"},
            "ztf": {"directory": "ztf", "radius_arcsec": 1.0, "bad_catflags": 32768},
            "desi": {"directory": "desi", "tiles": "desi_tiles.csv", "radius_arcsec": 1.0},
            "apogee": {"file": "allStar.fits", "radius_arcsec": 1.0},
            "specz": {"file": "specz.parquet", "radius_arcsec": 1.0},
            "vista": {"file": "vista/{field}.parquet", "radius_arcsec": 1.0},
            **self.settings,
            **changes,
        }
        self.config.write_text(yaml.safe_dump({k: v for k, v in values.items() if v is not None}))

    def write_fields(self) -> None:
        (self.root / "fields.csv").write_text(
            f"field,ra,dec\n{self.field_name},{self.ra},{self.dec}\n"
        )

    # -- S-PLUS ----------------------------------------------------------------------------------

    def wcs(self) -> WCS:
        wcs = WCS(naxis=2)
        wcs.wcs.ctype = ["RA---TAN", "DEC--TAN"]
        wcs.wcs.crval = [self.ra, self.dec]
        wcs.wcs.crpix = [SIDE_PX / 2 + 0.5, SIDE_PX / 2 + 0.5]
        wcs.wcs.cdelt = [-PIXEL_ARCSEC / 3600, PIXEL_ARCSEC / 3600]
        return wcs

    def place_sources(self) -> None:
        """Sources on a 4 x 4 grid; source 0 in a corner, so that its cutout crosses the edge."""
        step = SIDE_PX / 4
        rows, columns = np.divmod(np.arange(self.num_sources), 4)
        self.x = 20.0 + columns * step + 0.3
        self.y = 20.0 + rows * step - 0.2
        self.source_ra, self.source_dec = self.wcs().all_pix2world(self.x, self.y, 0)
        self.source_ra = np.atleast_1d(self.source_ra) % 360.0
        self.source_dec = np.atleast_1d(self.source_dec)

    def at(self, source: int, east_arcsec: float = 0.0, north_arcsec: float = 0.0):
        """A position near a source."""
        return shifted(
            float(self.source_ra[source]), float(self.source_dec[source]), east_arcsec, north_arcsec
        )

    def write_catalogue(self, **columns) -> None:
        n = self.num_sources
        table = Table(
            {
                "id": np.array([f"iDR6_t01_{k:05d}  " for k in range(n)], dtype="S20"),
                "ra": self.source_ra,
                "dec": self.source_dec,
                "mag_pstotal_r": np.linspace(15, 22, n).astype(np.float32),
                "err_mag_pstotal_r": np.full(n, 0.02, np.float32),
                "ellipticity_det": np.linspace(0, 0.6, n).astype(np.float32),
                "flags_det": np.arange(n, dtype=np.int16),
                "big": np.arange(n, dtype=np.int64) + 2**60 + 1,
                **columns,
            }
        )
        table["mag_pstotal_r"].unit = "mag"
        path = self.root / f"main/{self.field_name}_dual.fits"
        path.parent.mkdir(exist_ok=True)
        table.write(path, overwrite=True)

    def image(self, band: str) -> np.ndarray:
        seed = BAND_NAMES.index(band)
        rng = np.random.default_rng(seed)
        return rng.normal(0, 1, (SIDE_PX, SIDE_PX)).astype(np.float32)

    def image_path(self, band: str) -> Path:
        return self.root / f"idr6/{self.field_name}/{self.field_name}_{band}.fits.fz"

    def write_images(self) -> None:
        for band in self.bands:
            self.write_image(band)

    def write_image(self, band: str, shift_px: tuple[float, float] = (0.0, 0.0), **cards) -> None:
        wcs = self.wcs()
        wcs.wcs.crpix = np.array(wcs.wcs.crpix) + shift_px
        header = wcs.to_header()
        header.update(cards)
        path = self.image_path(band)
        path.parent.mkdir(parents=True, exist_ok=True)
        compressed = fits.CompImageHDU(
            self.image(band), header, compression_type="RICE_1", tile_shape=(1, SIDE_PX)
        )
        fits.HDUList([fits.PrimaryHDU(), compressed]).writeto(path, overwrite=True)

    # -- Gaia ------------------------------------------------------------------------------------

    def gaia_id(self, number: int, ra: float, dec: float) -> int:
        grid = HEALPix(nside=4096, order="nested")
        pixel = int(grid.lonlat_to_healpix(ra * units.deg, dec * units.deg))
        return (pixel << 35) + number + 1

    def gaia_rows(self) -> list[dict]:
        """Rows of Gaia, positions at 2016.0.

        Source 0: two candidates, the second nearer. Source 1: a star of 1 arcsec/yr that is on the
        source in 2019.5 and 3.5 arcsec away in 2016.0. Source 2: null motion. Source 3: just
        outside the radius. Source 4: exactly Barnard's motion. Source 5: parallax and velocity.
        """
        rows = []
        if not self.surveys_have_rows:
            return rows

        def add(source, east, north, pmra=None, pmdec=None, parallax=None, velocity=None):
            ra, dec = self.at(source, east, north)
            rows.append(
                {
                    "source_id": self.gaia_id(len(rows), ra, dec),
                    "ref_epoch": GAIA_EPOCH,
                    "ra": ra,
                    "dec": dec,
                    "pmra": pmra,
                    "pmdec": pmdec,
                    "parallax": parallax,
                    "radial_velocity": velocity,
                    "phot_g_mean_flux": 1000.0 + len(rows),
                    "has_xp_continuous": source % 2 == 0,
                }
            )

        add(0, 0.8, 0.0, 0.0, 0.0)
        add(0, 0.0, -0.3, 0.0, 0.0)
        add(1, -3.5, 0.0, 1000.0, 0.0)
        add(2, 0.1, 0.1)
        add(3, 0.0, 1.21, 0.0, 0.0)
        years = EPOCH - GAIA_EPOCH
        add(4, 0.0, -10.362 * years, 0.0, 10362.0)
        add(5, 0.2, 0.0, 50.0, -20.0, 100.0, 80.0)
        return rows

    def gaia_range(self) -> tuple[int, int]:
        grid = HEALPix(nside=256, order="nested")
        ra, dec = (self.source_ra, self.source_dec) if self.num_sources else (self.ra, self.dec)
        pixels = np.atleast_1d(grid.lonlat_to_healpix(ra * units.deg, dec * units.deg))
        around = np.concatenate([pixels, grid.neighbours(pixels).ravel()])
        return int(around.min()), int(around.max())

    def write_gaia(self) -> None:
        first, last = self.gaia_range()
        columns = {
            "source_id": "int64",
            "ref_epoch": "float64",
            "ra": "float64",
            "dec": "float64",
            "pmra": "float64",
            "pmdec": "float64",
            "parallax": "float64",
            "radial_velocity": "float32",
            "phot_g_mean_flux": "float64",
            "has_xp_continuous": "bool",
        }
        units_of = {"ra": "deg", "dec": "deg", "pmra": "mas.yr**-1", "pmdec": "mas.yr**-1"}
        path = self.root / f"gaia_dr3/GaiaSource_{first:06d}-{last:06d}.csv.gz"
        write_ecsv(path, columns, self.gaia_rows(), units_of)

    def write_xp(self) -> None:
        """XP spectra of some Gaia sources, and of one that matches nothing."""
        first, last = self.gaia_range()
        gaia = self.gaia_rows()
        rows = []
        for number in (1, 3) if gaia else ():
            identifier = gaia[number]["source_id"]
            rows.append(self.xp_row(identifier, number))
        if gaia:
            rows.append(self.xp_row(gaia[1]["source_id"] + 7, 99))
        columns = {
            "source_id": "int64",
            "bp_n_parameters": "int16",
            "bp_standard_deviation": "float64",
            "bp_coefficients": f"float64[{XP_COEFFICIENTS}]",
            "bp_coefficient_errors": f"float32[{XP_COEFFICIENTS}]",
            "rp_coefficients": f"float64[{XP_COEFFICIENTS}]",
        }
        path = self.root / f"gaia_xp/XpContinuousMeanSpectrum_{first:06d}-{last:06d}.csv.gz"
        write_ecsv(path, columns, rows, {})

    def xp_row(self, identifier: int, number: int) -> dict:
        values = np.arange(XP_COEFFICIENTS) + number / 7.0
        return {
            "source_id": identifier,
            "bp_n_parameters": XP_COEFFICIENTS,
            "bp_standard_deviation": 1.5,
            "bp_coefficients": values,
            "bp_coefficient_errors": (values / 100).astype(np.float32),
            "rp_coefficients": None if number == 3 else -values,
        }

    # -- ZTF -------------------------------------------------------------------------------------

    def ztf_objects(self) -> list[dict]:
        """Source 0: two g objects and one r object; source 1: one i object whose epochs are all
        bad; source 2: an object outside the radius."""
        if not self.surveys_have_rows:
            return []
        big = 2**53 + 1

        def one(source, east, north, filterid, number, hmjd, mag, magerr, catflags):
            ra, dec = self.at(source, east, north)
            return {
                "objectid": big + number,
                "filterid": filterid,
                "objra": ra,
                "objdec": dec,
                "nepochs": len(hmjd),
                "hmjd": hmjd,
                "mag": mag,
                "magerr": magerr,
                "catflags": catflags,
            }

        nan = float("nan")
        return [
            one(0, 0.5, 0.0, 1, 10, [58003.0, 58001.0], [15.3, 15.1], [0.03, 0.01], [0, 0]),
            one(
                0,
                0.1,
                0.0,
                1,
                20,
                [58002.0, 58000.0, 58004.0, 58005.0, nan],
                [15.2, nan, 15.4, 15.5, 15.6],
                [0.02, 0.02, 0.02, 0.02, 0.02],
                [0, 0, 32768, 1, 0],
            ),
            one(0, 0.0, 0.9, 2, 30, [58000.5], [14.9], [0.01], [0]),
            one(1, 0.2, 0.0, 3, 40, [58000.0], [16.0], [0.01], [32769]),
            one(2, 0.0, 1.05, 1, 50, [58000.0], [17.0], [0.01], [0]),
        ]

    def write_ztf(self, layout: str = "hats") -> None:
        """Each object in the partition of its position, all of order 6."""
        schema = pa.schema(
            {
                "objectid": pa.int64(),
                "filterid": pa.int8(),
                "objra": pa.float64(),
                "objdec": pa.float64(),
                "nepochs": pa.int32(),
                "hmjd": pa.list_(pa.float64()),
                "mag": pa.list_(pa.float32()),
                "magerr": pa.list_(pa.float32()),
                "catflags": pa.list_(pa.int32()),
            }
        )
        root = self.root / "ztf"
        base = root / "dataset" if layout == "hats" else root
        order = 6
        grid = HEALPix(nside=2**order, order="nested")
        partitions: dict[int, list[dict]] = {
            int(grid.lonlat_to_healpix(self.ra * units.deg, self.dec * units.deg)): []
        }
        for item in self.ztf_objects():
            pixel = grid.lonlat_to_healpix(item["objra"] * units.deg, item["objdec"] * units.deg)
            partitions.setdefault(int(pixel), []).append(item)
        lines = ["Norder,Npix"]
        for pixel, items in partitions.items():
            folder = base / f"Norder={order}/Dir={pixel // 10000 * 10000}"
            folder.mkdir(parents=True, exist_ok=True)
            table = pa.Table.from_pylist(items, schema=schema)
            pq.write_table(table, folder / f"Npix={pixel}.parquet", row_group_size=2)
            lines.append(f"{order},{pixel}")
        (root / "partition_info.csv").write_text("\n".join(lines) + "\n")

    # -- DESI ------------------------------------------------------------------------------------

    def desi_fibres(self) -> list[dict]:
        """Tile 101. Row 0 has no position; row 1 is a sky fibre on source 0; row 2 a bad fibre on
        source 0; row 3 source 0's target; row 4 source 1's, nearer but fainter than tile 102's."""
        if not self.surveys_have_rows:
            return []
        ra0, dec0 = self.at(0, 0.3, 0.0)
        ra1, dec1 = self.at(1, 0.1, 0.0)
        nan = float("nan")
        big = 39627000000000000
        return [
            {"TARGETID": big, "ra": nan, "dec": nan, "type": "TGT", "status": 0, "snr": 9.0},
            {"TARGETID": -5, "ra": ra0, "dec": dec0, "type": "SKY", "status": 0, "snr": 50.0},
            {"TARGETID": big + 2, "ra": ra0, "dec": dec0, "type": "TGT", "status": 2, "snr": 50.0},
            {"TARGETID": big + 3, "ra": ra0, "dec": dec0, "type": "TGT", "status": 0, "snr": 5.0},
            {"TARGETID": big + 4, "ra": ra1, "dec": dec1, "type": "TGT", "status": 0, "snr": 2.0},
        ]

    def write_desi(self) -> None:
        (self.root / "desi_tiles.csv").write_text(
            "TILEID,TILERA,TILEDEC\n"
            f"101,{self.ra},{self.dec}\n102,{(self.ra + 0.5) % 360},{self.dec}\n"
            f"103,{(self.ra + 180) % 360},{-self.dec}\n"
        )
        fibres = self.desi_fibres()
        folder = self.root / "desi/101/20210401"
        self.write_coadd(folder / "coadd-3-101-thru20210401.fits", fibres, seed=1)
        self.write_redrock(folder / "redrock-3-101-thru20210401.fits", fibres)
        other = [{**fibre, "snr": 7.0} for fibre in fibres if fibre["TARGETID"] % 10 == 4]
        for fibre in other:
            fibre["ra"], fibre["dec"] = self.at(1, 0.6, 0.0)
        folder = self.root / "desi/102/20210501"
        self.write_coadd(folder / "coadd-0-102-thru20210501.fits", other, seed=2)

    def desi_flux(self, seed: int, arm: str, count: int) -> tuple[np.ndarray, ...]:
        rng = np.random.default_rng([seed, "brz".index(arm)])
        shape = (count, DESI_LENGTHS[arm])
        flux = rng.normal(3, 1, shape).astype(np.float32)
        ivar = rng.uniform(0.5, 2, shape).astype(np.float32)
        mask = (rng.uniform(size=shape) < 0.2).astype(np.uint32) * 4
        return flux, ivar, mask

    def write_coadd(self, path: Path, fibres: list[dict], seed: int, scores: bool = True) -> None:
        n = len(fibres)

        def column(key, dtype):
            return np.array([fibre[key] for fibre in fibres], dtype=dtype)

        fibermap = Table(
            {
                "TARGETID": column("TARGETID", np.int64),
                "COADD_FIBERSTATUS": column("status", np.int32),
                "TARGET_RA": column("ra", np.float64),
                "TARGET_DEC": column("dec", np.float64),
                "OBJTYPE": column("type", "S3"),
                "FLUX_R": np.arange(n, dtype=np.float32),
                "FLUX_IVAR_R": np.ones(n, dtype=np.float32),
                "EBV": np.full(n, 0.02, np.float32),
            }
        )
        hdus = [fits.PrimaryHDU(), fits.BinTableHDU(fibermap, name="FIBERMAP")]
        for arm, length in DESI_LENGTHS.items():
            letter = arm.upper()
            wave = DESI_START[arm] + 0.8 * np.arange(length)
            flux, ivar, mask = self.desi_flux(seed, arm, n)
            hdus.append(fits.ImageHDU(wave, name=f"{letter}_WAVELENGTH"))
            hdus.append(fits.ImageHDU(flux, name=f"{letter}_FLUX"))
            hdus.append(fits.ImageHDU(ivar, name=f"{letter}_IVAR"))
            hdus.append(fits.ImageHDU(mask, name=f"{letter}_MASK"))
        if scores:
            snr = {f"MEDIAN_COADD_SNR_{arm}": column("snr", np.float32) for arm in "BRZ"}
            hdus.append(
                fits.BinTableHDU(Table({"TARGETID": fibermap["TARGETID"], **snr}), name="SCORES")
            )
        path.parent.mkdir(parents=True, exist_ok=True)
        fits.HDUList(hdus).writeto(path, overwrite=True)

    def write_redrock(self, path: Path, fibres: list[dict]) -> None:
        # In another order than the coadd: the join is by TARGETID.
        fibres = fibres[::-1]
        n = len(fibres)
        table = Table(
            {
                "TARGETID": np.array([fibre["TARGETID"] for fibre in fibres], dtype=np.int64),
                "Z": np.array([0.001 * (fibre["TARGETID"] % 10) for fibre in fibres], dtype=float),
                "ZERR": np.full(n, 1e-5),
                "ZWARN": np.zeros(n, dtype=np.int64),
                "SPECTYPE": np.array(["GALAXY"] * n, dtype="S6"),
            }
        )
        hdu = fits.BinTableHDU(table, name="REDSHIFTS")
        fits.HDUList([fits.PrimaryHDU(), hdu]).writeto(path, overwrite=True)

    # -- the others ------------------------------------------------------------------------------

    def write_apogee(self) -> None:
        """Source 0: a duplicate nearer than the main observation; source 6: exactly at 1 arcsec."""
        rows = [(0, 0.1, 0.0, 1 << 4), (0, 0.4, 0.0, 0), (6, 0.0, 1.0, 0), (7, 0.0, 1.01, 0)]
        rows = rows if self.surveys_have_rows else []
        positions = [self.at(*row[:3]) for row in rows]
        n = len(rows)
        table = Table(
            {
                "APOGEE_ID": np.array([f"2M{k:016d}" for k in range(n)], dtype="S18"),
                "RA": np.array([p[0] for p in positions], dtype=float),
                "DEC": np.array([p[1] for p in positions], dtype=float),
                "TEFF": np.linspace(4000, 5000, n).astype(np.float32),
                "EXTRATARG": np.array([row[3] for row in rows], dtype=np.int32),
                "PARAM": np.arange(9 * n, dtype=np.float32).reshape(n, 9),
            }
        )
        table.write(self.root / "allStar.fits", overwrite=True)

    def write_specz(self) -> None:
        """Source 2: three candidates of which the second is the nearest."""
        offsets = [(2, 0.5, 0.0), (2, -0.2, 0.0), (2, 0.0, 0.7), (8, 3.0, 0.0)]
        offsets = offsets if self.surveys_have_rows else []
        positions = [self.at(*offset) for offset in offsets]
        n = len(offsets)
        table = pa.table(
            {
                "RA": pa.array([p[0] for p in positions], pa.float64()),
                "DEC": pa.array([p[1] for p in positions], pa.float64()),
                "z": pa.array([0.1 * (k + 1) for k in range(n)], pa.float64()),
                "e_z": pa.array([1e-4] * n, pa.float64()),
                "source": pa.array([f"survey {k}" for k in range(n)], pa.string()),
            }
        )
        pq.write_table(table, self.root / "specz.parquet")

    def write_vista(self) -> None:
        positions = [self.at(k, 0.05 * k, 0.0) for k in range(self.num_sources)]
        positions = positions[::-1] if self.surveys_have_rows else []
        n = len(positions)
        table = pa.table(
            {
                "sourceid": pa.array([2**53 + 1 + 2 * k for k in range(n)], pa.int64()),
                "ra2000": pa.array([p[0] for p in positions], pa.float64()),
                "dec2000": pa.array([p[1] for p in positions], pa.float64()),
                "japermag3": pa.array(np.linspace(14, 18, n), pa.float32()),
            }
        )
        path = self.root / f"vista/{self.field_name}.parquet"
        path.parent.mkdir(exist_ok=True)
        pq.write_table(table, path)


def write_ecsv(path: Path, columns: dict, rows: list[dict], units_of: dict) -> None:
    """A file as the Gaia archive writes it: ECSV header, commas, null for missing."""
    lines = ["# %ECSV 1.0", "# ---", "# delimiter: ','", "# datatype:"]
    for name, kind in columns.items():
        base, _, length = kind.partition("[")
        entry = {"name": name, "datatype": "string" if length else base}
        if length:
            entry["subtype"] = kind
        if name in units_of:
            entry["unit"] = units_of[name]
        lines.append(f"# - {json.dumps(entry)}")
    lines.append(",".join(columns))
    lines.extend(",".join(_cell(row[name]) for name in columns) for row in rows)
    path.parent.mkdir(parents=True, exist_ok=True)
    with gzip.GzipFile(path, "wb", mtime=0) as file:
        file.write(("\n".join(lines) + "\n").encode())


def _cell(value) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value)
    if isinstance(value, np.ndarray):
        return '"[' + ", ".join(repr(float(item)) for item in value) + ']"'
    return str(value)
