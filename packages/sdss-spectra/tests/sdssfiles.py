"""Small files in the layouts of SDSS, from seeded random numbers, and what tests read of tables."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
from astropy.io import fits

LOGLAM0 = 3.58
STEP = 1e-4
MASTAR_PIXELS = 4563


def rows_of(path: Path) -> list[dict[str, str]]:
    """Rows of a CSV table."""
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def star_flux(wavelength: np.ndarray, temperature: float) -> np.ndarray:
    """A black body with Balmer lines, strongest at 9000 K, and with metal lines if it is cool."""
    x = 1.4388e8 / (wavelength * temperature)
    flux = wavelength**-5.0 / np.expm1(x)
    flux = flux / flux.max()
    balmer = 0.5 * np.exp(-0.5 * (np.log(temperature / 9000.0) / 0.4) ** 2)
    metals = 0.6 / (1.0 + (temperature / 6000.0) ** 6)
    lines = [(centre, balmer) for centre in (6564.61, 4862.68, 4341.68, 4102.89)]
    lines += [(centre, metals) for centre in (3934.78, 4227.92, 5175.0, 5893.0)]
    for centre, depth in lines:
        flux = flux * (1.0 - depth * np.exp(-0.5 * ((wavelength - centre) / 6.0) ** 2))
    return flux


def write_spec(
    path: Path,
    *,
    seed: int = 1,
    temperature: float = 8000.0,
    n_pixels: int = 3800,
    subclass: str = "A0",
    redshift: float = 1e-4,
    plate: int = 266,
    mjd: int = 51602,
    fiber: int = 1,
    thing_id: int = 1000,
    run2d: str = "v5_7_0",
    upper: bool = False,
    extra_row: dict | None = None,
) -> Path:
    """Write a spec-lite file in the layout of BOSS."""
    random = np.random.default_rng(seed)
    loglam = LOGLAM0 + STEP * np.arange(n_pixels)
    wavelength = 10.0**loglam
    sigma = 0.05 * np.ones(n_pixels)
    flux = 20.0 * star_flux(wavelength / (1 + redshift), temperature)
    flux = flux + random.normal(0.0, sigma)
    ivar = sigma**-2.0
    pixel = np.arange(n_pixels)
    ivar[np.isin(pixel, [5, 700])] = 0.0
    and_mask = np.zeros(n_pixels, np.int32)
    and_mask[pixel == 10] = 1 << 24  # NODATA
    and_mask[pixel == 20] = 1 << 23  # BRIGHTSKY
    or_mask = and_mask.copy()
    or_mask[pixel == 30] = 1 << 16
    columns = [
        ("flux", "E", flux),
        ("loglam", "E", loglam),
        ("ivar", "E", ivar),
        ("and_mask", "J", and_mask),
        ("or_mask", "J", or_mask),
        ("wdisp", "E", np.full(n_pixels, 1.1)),
        ("sky", "E", np.ones(n_pixels)),
        ("model", "E", flux),
    ]
    coadd = fits.BinTableHDU.from_columns(
        [fits.Column(n.upper() if upper else n, f, array=a) for n, f, a in columns], name="COADD"
    )
    primary = fits.PrimaryHDU()
    primary.header.update(
        {
            "TELESCOP": "SDSS 2.5-M",
            "RA": 10.0,
            "DEC": -1.0,
            "PLATEID": plate,
            "MJD": mjd,
            "FIBERID": fiber,
            "EXPTIME": 3600.0,
            "HELIO_RV": 25.0,
            "VACUUM": True,
            "COEFF0": LOGLAM0,
            "COEFF1": STEP,
            "BUNIT": "1E-17 erg/cm^2/s/Ang",
        }
    )
    row = {
        "INSTRUMENT": "BOSS",
        "PLATE": np.int32(plate),
        "MJD": np.int32(mjd),
        "FIBERID": np.int32(fiber),
        "RUN2D": run2d,
        "PLUG_RA": 10.0 + 0.01 * fiber,
        "PLUG_DEC": -1.0,
        "CLASS": "STAR",
        "SUBCLASS": subclass,
        "Z": np.float32(redshift),
        "ZWARNING": np.int32(0),
        "SN_MEDIAN_ALL": np.float32(31.5),
        "OBJID": "1237680284389606142",
        "THING_ID": np.int32(thing_id),
        "ANYANDMASK": np.int32(np.bitwise_or.reduce(and_mask)),
        **(extra_row or {}),
    }
    cells = []
    for name, value in row.items():
        if isinstance(value, str):
            cells.append(fits.Column(name, f"{max(len(value), 1)}A", array=[value]))
        elif isinstance(value, (list, tuple)):
            cells.append(fits.Column(name, f"{len(value)}E", array=np.array([value], np.float32)))
        elif isinstance(value, np.int32):
            cells.append(fits.Column(name, "J", array=[value]))
        elif isinstance(value, np.float32):
            cells.append(fits.Column(name, "E", array=[value]))
        else:
            cells.append(fits.Column(name, "D", array=[value]))
    table = fits.BinTableHDU.from_columns(cells, name="SPALL")
    path.parent.mkdir(parents=True, exist_ok=True)
    fits.HDUList([primary, coadd, table]).writeto(path, overwrite=True)
    return path


def write_spspec(path: Path, *, rows: int = 5) -> Path:
    """Write an spSpec file, as data releases 1 to 7 have it."""
    n_pixels = 3800
    loglam = LOGLAM0 + STEP * np.arange(n_pixels)
    flux = 20.0 * star_flux(10.0**loglam, 6000.0)
    image = np.zeros((rows, n_pixels), np.float32)
    image[0], image[1], image[2] = flux, flux - 1.0, 0.5
    image[2, 7] = 0.0
    primary = fits.PrimaryHDU(image)
    primary.header.update(
        {
            "PLATEID": 266,
            "MJD": 51602,
            "FIBERID": 7,
            "COEFF0": LOGLAM0,
            "COEFF1": STEP,
            "CRVAL1": LOGLAM0,
            "CD1_1": STEP,
            "CRPIX1": 1,
            "CTYPE1": "LINEAR",
            "DC-FLAG": 1,
            "VACUUM": True,
            "RAOBJ": 146.1,
            "DECOBJ": -0.5,
            "Z": 0.0002,
            "BUNIT": "1.0E-17 erg/cm/s/Ang",
        }
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    primary.writeto(path, overwrite=True)
    return path


def write_image(path: Path, cards: dict, *, n_pixels: int = 2000, rows: int = 1) -> Path:
    """Write a one-dimensional image, or a stack of them, with these keywords."""
    flux = np.linspace(1.0, 2.0, n_pixels, dtype=np.float32)
    data = flux if rows == 1 else np.tile(flux, (rows, 1))
    primary = fits.PrimaryHDU(data)
    primary.header.update(cards)
    path.parent.mkdir(parents=True, exist_ok=True)
    primary.writeto(path, overwrite=True)
    return path


# Teff of the classes of `write_classes`.
TEMPERATURES = {"B": 18000.0, "A": 9000.0, "F": 6800.0, "K": 4300.0}


def write_classes(folder: Path, per_class: int = 6) -> Path:
    """Write a data set with a folder for each class, each spectrum of a star of its own."""
    number = 0
    for letter, temperature in TEMPERATURES.items():
        for _ in range(per_class):
            number += 1
            write_spec(
                folder / letter / f"spec-{1000 + number}-55000-{number:04d}.fits",
                seed=number,
                temperature=temperature * (1 + 0.01 * (number % 5)),
                subclass=f"{letter}{number % 9}",
                plate=1000 + number,
                mjd=55000,
                fiber=number,
                thing_id=5000 + number,
            )
    return folder


def write_goodspec(
    path: Path,
    *,
    visits: tuple[tuple[str, int], ...] = (("3-1", 57000), ("3-1", 57400), ("3-2", 57000)),
    seed: int = 3,
) -> tuple[np.ndarray, np.ndarray]:
    """Write a row for each visit of a MaStar star; gives wavelengths and fluxes."""
    random = np.random.default_rng(seed)
    wave = 10.0 ** (3.5589 + 1e-4 * np.arange(MASTAR_PIXELS))
    count = len(visits)
    flux = random.normal(20.0, 0.2, (count, MASTAR_PIXELS)).astype(np.float32)
    mask = np.zeros((count, MASTAR_PIXELS), np.int32)
    mask[:, 40] = 1 << 10  # DONOTUSE
    mask[:, 41] = 1 << 0  # NOCOV alone
    spectra = f"{MASTAR_PIXELS}"
    columns = [
        fits.Column("DRPVER", "6A", array=["v3_1_1"] * count),
        fits.Column("MPROCVER", "6A", array=["v1_7_7"] * count),
        fits.Column("MANGAID", "25A", array=[name for name, _ in visits]),
        fits.Column("PLATE", "J", array=np.full(count, 9001)),
        fits.Column("IFUDESIGN", "J", array=701 + np.arange(count)),
        fits.Column("MJD", "J", array=np.array([mjd for _, mjd in visits])),
        fits.Column("OBJRA", "D", array=[180.0 + int(name[-1]) for name, _ in visits]),
        fits.Column("OBJDEC", "D", array=np.full(count, 30.0)),
        fits.Column("HELIOV", "E", array=np.full(count, 45.0)),
        fits.Column("MJDQUAL", "J", array=np.zeros(count)),
        fits.Column("WAVE", spectra + "D", array=np.tile(wave, (count, 1))),
        fits.Column("FLUX", spectra + "E", array=flux),
        fits.Column("IVAR", spectra + "E", array=np.full(flux.shape, 25.0, np.float32)),
        fits.Column("MASK", spectra + "J", array=mask),
        fits.Column("DISP", spectra + "E", array=np.full(flux.shape, 1.2, np.float32)),
    ]
    table = fits.BinTableHDU.from_columns(columns, name="GOODSPEC")
    fits.HDUList([fits.PrimaryHDU(), table]).writeto(path)
    return wave, flux
