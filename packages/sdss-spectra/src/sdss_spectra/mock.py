"""Synthetic spectra in the layout of DR17 ``spec-lite`` files.

A black body times absorption lines whose strengths follow the temperature, as Saha and Boltzmann
make them, and the gravity and metallicity in broad strokes; then a velocity, dust, the line spread
and the noise of a spectrograph. It is made to try the programs, not to stand for stars: every file
says so (SYNTHET = T), and its truth lies beside in ``truth.json``.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from astropy.io import fits
from scipy.ndimage import gaussian_filter1d

from astro_common.atomic import atomic_path
from astro_common.errors import ConfigurationError, OutputError
from astro_common.jsonable import jsonable
from sdss_spectra.linelist import LINES
from sdss_spectra.mkclass import type_from_parameters
from sdss_spectra.preprocessing.extinction import COEFFICIENTS, R_V, extinction_curve
from sdss_spectra.wavelength import C_KMS

__all__ = ["MockStar", "make_star", "star_spectrum", "write_mock"]

Floats = npt.NDArray[np.float64]

LOGLAM_START: Final = 3.5523
LOGLAM_STEP: Final = 1e-4
NUM_PIXELS: Final = 4620
# Teff in K at both ends of each class.
CLASS_RANGE: Final = {
    "O": (32_500.0, 42_000.0),
    "B": (11_000.0, 30_000.0),
    "A": (7_500.0, 9_600.0),
    "F": (6_100.0, 7_200.0),
    "G": (5_350.0, 5_950.0),
    "K": (3_950.0, 5_250.0),
    "M": (2_600.0, 3_800.0),
}
# Of each species: temperature of greatest strength in K, width in ln(T), greatest depth.
_STRENGTH: Final = {
    "H I": (9_500.0, 0.33, 0.75),
    "He I": (20_000.0, 0.28, 0.30),
    "He II": (45_000.0, 0.28, 0.30),
    "Ca II": (5_000.0, 0.38, 0.80),
    "Ca I": (4_000.0, 0.26, 0.65),
    "Fe I": (4_600.0, 0.28, 0.50),
    "Fe II": (7_800.0, 0.28, 0.25),
    "Mg I": (4_400.0, 0.30, 0.60),
    "Mg II": (10_500.0, 0.35, 0.25),
    "Na I": (3_700.0, 0.32, 0.75),
    "K I": (3_000.0, 0.25, 0.50),
    "Sr II": (5_800.0, 0.30, 0.25),
    "Si II": (12_000.0, 0.30, 0.20),
    "CH": (4_900.0, 0.18, 0.35),
    "MgH": (4_000.0, 0.16, 0.35),
    "TiO": (2_900.0, 0.16, 0.70),
    "CaH": (3_200.0, 0.16, 0.50),
    "VO": (2_500.0, 0.14, 0.50),
    "CN": (4_600.0, 0.16, 0.20),
}
_MOLECULES: Final = ("TiO", "CaH", "VO", "CN", "CH", "MgH")


@dataclass(frozen=True)
class MockStar:
    """Parameters of a synthetic star.

    Attributes
    ----------
    letter : str
        Class.
    teff_k, logg_cgs, fe_h_dex : float
        Atmosphere.
    velocity_kms, ebv, snr : float
        Motion, reddening, signal-to-noise ratio per pixel.
    """

    letter: str
    teff_k: float
    logg_cgs: float
    fe_h_dex: float
    velocity_kms: float
    ebv: float
    snr: float


def make_star(letter: str, random: np.random.Generator) -> MockStar:
    """Draw a star of a class."""
    low, high = CLASS_RANGE[letter]
    teff = float(np.exp(random.uniform(np.log(low), np.log(high))))
    giant = letter in "GKM" and random.random() < 0.3
    return MockStar(
        letter,
        teff,
        float(random.uniform(1.5, 3.0) if giant else random.uniform(4.0, 4.7)),
        float(random.uniform(-1.0, 0.3)),
        float(random.normal(0.0, 60.0)),
        float(random.gamma(1.5, 0.03)),
        float(np.exp(random.uniform(np.log(8.0), np.log(80.0)))),
    )


def star_spectrum(star: MockStar, wavelength: Floats) -> Floats:
    """Noise-free flux at rest, without dust; 1 at 6000 angstrom where nothing absorbs.

    Parameters
    ----------
    star : MockStar
        The star.
    wavelength : ndarray of float64
        Vacuum, angstrom.
    """
    x = 1.438776877e8 / (wavelength * star.teff_k)
    reference = 1.438776877e8 / (6000.0 * star.teff_k)
    planck = (6000.0 / wavelength) ** 5 * np.expm1(reference) / np.expm1(x)
    optical_depth = np.zeros(len(wavelength))
    metals = 10.0 ** (0.4 * star.fe_h_dex)
    for line in LINES:
        peak, spread, depth = _STRENGTH[line.elem]
        strength = depth * np.exp(-0.5 * (np.log(star.teff_k / peak) / spread) ** 2)
        if line.elem not in ("H I", "He I", "He II"):
            strength *= metals
        if strength < 1e-3:
            continue
        tau = -np.log1p(-min(strength, 0.97))
        if line.elem in _MOLECULES:
            # Bands begin sharply at the head and fade away to one side: TiO and VO to the red.
            side = -1.0 if line.elem in ("CN", "CH") else 1.0
            beyond = side * (wavelength - line.vacuum_A)
            length = 25.0 if line.elem in ("CH", "CN") else 120.0
            optical_depth += tau * np.where(beyond > 0, np.exp(-np.maximum(beyond, 0) / length), 0)
            continue
        # Pressure broadens the Balmer lines of dwarfs.
        width = 2.0
        if line.elem == "H I":
            width = 3.0 + 1.6 * max(star.logg_cgs - 1.5, 0.0)
        gamma = ((wavelength - line.vacuum_A) / width) ** 2
        optical_depth += tau / (1.0 + gamma)
    return np.asarray(planck * np.exp(-optical_depth))


def write_mock(
    folder: Path, *, per_class: int, seed: int, classes: str = "OBAFGKM", overwrite: bool = False
) -> list[Path]:
    """Write a folder for each class with synthetic spec-lite files, and ``truth.json``.

    Parameters
    ----------
    folder : Path
        To be made.
    per_class : int
        Stars of each class.
    seed : int
        Seed of all random numbers.
    classes : str, optional
        Letters of the classes.
    overwrite : bool, optional
        Replace files that exist.

    Returns
    -------
    list of Path
        The spectra.

    Raises
    ------
    ConfigurationError
        A letter that is no class.
    OutputError
        A file exists or cannot be written.
    """
    unknown = [letter for letter in classes if letter not in CLASS_RANGE]
    if unknown or not classes:
        raise ConfigurationError("--classes", repr(classes), f"letters of {''.join(CLASS_RANGE)}")
    if folder.exists() and not folder.is_dir():
        raise OutputError(folder, "not a folder", "a folder for the spectra")
    if not overwrite and (folder / "truth.json").exists():
        raise OutputError(folder, "holds a mock", action="give --overwrite to replace it")
    random = np.random.default_rng(seed)
    paths: list[Path] = []
    truth: dict[str, Any] = {}
    number = 0
    for letter in dict.fromkeys(classes):
        (folder / letter).mkdir(parents=True, exist_ok=True)
        for _ in range(per_class):
            number += 1
            star = make_star(letter, random)
            plate, fiber = 3500 + number // 900, 1 + number % 900
            mjd = 55_500 + 7 * (number // 900)
            path = folder / letter / f"spec-{plate:04d}-{mjd:05d}-{fiber:04d}.fits"
            hdus = _hdus(star, plate, mjd, fiber, number, random)
            with atomic_path(path, overwrite=overwrite) as partial, partial.open("wb") as file:
                hdus.writeto(file)
            paths.append(path)
            truth[path.stem] = asdict(star)
    text = json.dumps(jsonable({"synthetic": True, "seed": seed, "stars": truth}), indent=1) + "\n"
    with atomic_path(folder / "truth.json", overwrite=overwrite) as partial:
        partial.write_text(text, encoding="utf-8")
    return paths


def _hdus(
    star: MockStar, plate: int, mjd: int, fiber: int, number: int, random: np.random.Generator
) -> fits.HDUList:
    loglam = LOGLAM_START + LOGLAM_STEP * np.arange(NUM_PIXELS)
    wavelength: Floats = np.asarray(10.0**loglam, np.float64)
    rest = wavelength / (1.0 + star.velocity_kms / C_KMS)
    # R = 1 / (2.3548 wdisp 1e-4 ln 10): wdisp from 1.15 in the blue to 0.85 in the red.
    wdisp = np.linspace(1.15, 0.85, NUM_PIXELS)
    flux = gaussian_filter1d(star_spectrum(star, rest), 1.0, mode="nearest")
    flux = flux * 10.0 ** (-0.4 * star.ebv * R_V * extinction_curve(wavelength))
    level = float(random.uniform(5.0, 60.0))
    flux = flux * level / float(np.median(flux))
    sky = 1.5 + 0.8 * (wavelength / 9000.0) ** 3
    # Photons of star and sky, and a detector whose sensitivity falls at both ends.
    sensitivity = np.exp(-(((wavelength - 6800.0) / 3300.0) ** 4))
    sigma = np.sqrt((flux + sky) / (level + 2.0)) * level / star.snr / np.sqrt(sensitivity + 0.02)
    observed = flux + sigma * random.standard_normal(NUM_PIXELS)
    ivar = sigma**-2.0
    and_mask = np.zeros(NUM_PIXELS, np.int32)
    ivar[:4] = 0.0
    and_mask[:4] |= 1 << 24  # NODATA
    for place in random.integers(0, NUM_PIXELS, 6):
        ivar[place] = 0.0
        and_mask[place] |= 1 << 25  # COMBINEREJ
    bright = np.abs(wavelength - 5578.9) < 4.0
    and_mask[bright] |= 1 << 23  # BRIGHTSKY
    or_mask = and_mask | np.where(random.random(NUM_PIXELS) < 0.01, 1 << 16, 0).astype(np.int32)
    arrays = {
        "flux": observed,
        "loglam": loglam,
        "ivar": ivar,
        "and_mask": and_mask,
        "or_mask": or_mask,
        "wdisp": wdisp,
        "sky": sky,
        "model": flux,
    }
    coadd = fits.BinTableHDU.from_columns(
        [
            fits.Column(name, "J" if name.endswith("mask") else "E", array=array)
            for name, array in arrays.items()
        ],
        name="COADD",
    )
    ra, dec = float(random.uniform(0, 360)), float(np.degrees(np.arcsin(random.uniform(-0.2, 0.9))))
    return fits.HDUList(
        [
            _primary(plate, mjd, fiber, number, ra, dec),
            coadd,
            _specobj(star, plate, mjd, fiber, number, ra, dec, observed, ivar, wavelength),
            _lines_table(plate, mjd, fiber),
        ]
    )


def _primary(
    plate: int, mjd: int, fiber: int, number: int, ra: float, dec: float
) -> fits.PrimaryHDU:
    primary = fits.PrimaryHDU()
    for keyword, value, comment in (
        ("SYNTHET", True, "made by sdss-spectra mock; no star was observed"),
        ("TELESCOP", "SDSS 2.5-M", "Sloan Digital Sky Survey"),
        ("RA", round(ra, 1), "Right ascension of telescope boresight (deg)"),
        ("DEC", round(dec, 1), "Declination of telescope boresight (deg)"),
        ("PLATEID", plate, "Plate ID"),
        ("MJD", mjd, "MJD of observation"),
        ("FIBERID", fiber, "Fiber ID"),
        ("PLUG_RA", ra, "RA of object (deg)"),
        ("PLUG_DEC", dec, "DEC of object (deg)"),
        ("THING_ID", 100_000_000 + number, "Unique object identifier"),
        ("EXPTIME", 4500.5, "Exposure time (s)"),
        ("NEXP", 10, "Number of exposures"),
        ("HELIO_RV", 12.5, "Heliocentric correction (added to velocities)"),
        ("VACUUM", True, "Wavelengths are in vacuum"),
        ("RUN2D", "v5_13_2", "IDLSPEC2D reduction"),
        ("BUNIT", "1E-17 erg/cm^2/s/Ang", "Units"),
        ("COEFF0", LOGLAM_START, "Central wavelength (log10) of first pixel"),
        ("COEFF1", LOGLAM_STEP, "Log10 dispersion per pixel"),
        ("CRVAL1", LOGLAM_START, "Iraf zero point"),
        ("CD1_1", LOGLAM_STEP, "Iraf dispersion"),
        ("CRPIX1", 1, "Starting pixel (1-indexed)"),
        ("CTYPE1", "LINEAR", ""),
        ("DC-FLAG", 1, "Log-linear flag"),
        ("WFITTYPE", "LOG-LINEAR", ""),
    ):
        primary.header[keyword] = (value, comment)
    primary.header["COMMENT"] = "SYNTHETIC SPECTRUM: no observation"
    return primary


def _specobj(
    star: MockStar,
    plate: int,
    mjd: int,
    fiber: int,
    number: int,
    ra: float,
    dec: float,
    flux: Floats,
    ivar: Floats,
    wavelength: Floats,
) -> fits.BinTableHDU:
    good = ivar > 0
    snr = float(np.median(flux[good] * np.sqrt(ivar[good])))
    found = type_from_parameters(star.teff_k, star.logg_cgs)
    subclass = star.letter if found is None or found.letter != star.letter else found.mk
    extinction = np.array([COEFFICIENTS["SF11"]]) * star.ebv
    cells: tuple[tuple[str, str, Any], ...] = (
        ("SURVEY", "6A", "eboss"),
        ("INSTRUMENT", "4A", "BOSS"),
        ("PROGRAMNAME", "9A", "synthetic"),
        ("PLATEQUALITY", "8A", "good"),
        ("PLATE", "J", plate),
        ("MJD", "J", mjd),
        ("FIBERID", "J", fiber),
        ("RUN2D", "16A", "v5_13_2"),
        ("RUN1D", "16A", "v5_13_2"),
        ("PLUG_RA", "D", ra),
        ("PLUG_DEC", "D", dec),
        ("CLASS", "6A", "STAR"),
        ("SUBCLASS", "21A", subclass),
        ("Z", "E", star.velocity_kms / C_KMS),
        ("Z_ERR", "E", 2e-5),
        ("ZWARNING", "J", 0),
        ("SN_MEDIAN_ALL", "E", snr),
        ("WAVEMIN", "E", float(wavelength[good][0])),
        ("WAVEMAX", "E", float(wavelength[good][-1])),
        ("OBJID", "19A", str(1_237_650_000_000_000_000 + number)),
        ("THING_ID", "J", 100_000_000 + number),
    )
    columns = [fits.Column(name, form, array=np.array([value])) for name, form, value in cells]
    columns.append(fits.Column("EXTINCTION", "5E", array=extinction))
    return fits.BinTableHDU.from_columns(columns, name="SPECOBJ")


def _lines_table(plate: int, mjd: int, fiber: int) -> fits.BinTableHDU:
    balmer = [
        line for line in LINES if line.elem == "H I" and line.transition in ("H\u03b1", "H\u03b2")
    ]
    count = len(balmer)
    names = {"H\u03b1": "H_alpha", "H\u03b2": "H_beta"}
    return fits.BinTableHDU.from_columns(
        [
            fits.Column("PLATE", "J", array=np.full(count, plate)),
            fits.Column("MJD", "J", array=np.full(count, mjd)),
            fits.Column("FIBERID", "J", array=np.full(count, fiber)),
            fits.Column("LINENAME", "13A", array=[names[line.transition] for line in balmer]),
            fits.Column("LINEWAVE", "D", array=np.array([line.vacuum_A for line in balmer])),
        ],
        name="SPZLINE",
    )
