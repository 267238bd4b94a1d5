"""Mock galaxies as the files of DR17: DAP model LOGCUBE, MAPS and dapall."""

from __future__ import annotations

import gzip
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from astropy.io import fits

from astro_common.atomic import atomic_path
from manga_ssftt.layout import DEFAULT_DAPTYPE
from manga_ssftt.mock.lines import LINES
from manga_ssftt.mock.measurement import Measured
from manga_ssftt.mock.population import GalaxyParameters
from manga_ssftt.mock.spectra import INSTRUMENT_SIGMA_KM_S, LIGHT_SPEED_KM_S, WAVE, Spectra
from manga_ssftt.mock.truth import Truth

__all__ = ["write_dapall", "write_logcube", "write_maps", "write_truth"]

SPAXEL_ARCSEC = 0.5
_CUBE_UNIT = "1E-17 erg/s/cm^2/ang/spaxel"
_FLUX_UNIT = "1E-17 erg/s/cm^2/spaxel"
_OUTSIDE_BIT, _DO_NOT_USE = 1, 1 << 30


def _primary(galaxy: GalaxyParameters, form: str) -> fits.PrimaryHDU:
    header = fits.Header()
    header["TELESCOP"] = ("SDSS 2.5-M", "simulated")
    header["INSTRUME"] = ("MaNGA", "simulated")
    header["PLATEIFU"] = galaxy.plateifu
    header["PLATEID"] = int(galaxy.plateifu.split("-")[0])
    header["IFUDSGN"] = galaxy.plateifu.split("-")[1]
    header["MANGAID"] = galaxy.mangaid
    header["OBJRA"], header["OBJDEC"] = galaxy.ra, galaxy.dec
    header["EBVGAL"] = galaxy.ebv_galactic
    header["DRP3QUAL"], header["DAPQUAL"] = 0, 0
    header["VERSDRP3"], header["VERSDAP"] = "v3_1_1", "3.1.0"
    header["DAPTYPE"], header["DAPFRMT"] = DEFAULT_DAPTYPE, form
    header["SCINPVEL"] = (galaxy.redshift * LIGHT_SPEED_KM_S, "[km/s] cz that the fits start from")
    header["SYNTHETI"] = (True, "synthetic data, not an observation")
    return fits.PrimaryHDU(header=header)


def _wcs(galaxy: GalaxyParameters, shape: tuple[int, int], *, spectral: bool) -> fits.Header:
    header = fits.Header()
    header["CRPIX1"], header["CRPIX2"] = (shape[1] + 1) / 2, (shape[0] + 1) / 2
    header["CRVAL1"], header["CRVAL2"] = galaxy.ra, galaxy.dec
    header["CD1_1"], header["CD2_2"] = -SPAXEL_ARCSEC / 3600, SPAXEL_ARCSEC / 3600
    header["CTYPE1"], header["CTYPE2"] = "RA---TAN", "DEC--TAN"
    header["CUNIT1"], header["CUNIT2"] = "deg", "deg"
    if spectral:
        header["CRPIX3"], header["CRVAL3"] = 1.0, float(WAVE[0])
        header["CD3_3"] = float(WAVE[0] * np.log(10.0) * 1e-4)
        header["CTYPE3"], header["CUNIT3"] = "WAVE-LOG", "Angstrom"
    header["RADESYS"] = "ICRS"
    return header


def _write(path: Path, hdus: Sequence[Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with (
        atomic_path(path) as partial,
        partial.open("wb") as raw,
        # Without name and time in the gzip header, the same mock has the same bytes.
        gzip.GzipFile("", "wb", compresslevel=1, fileobj=raw, mtime=0) as packed,
    ):
        fits.HDUList(list(hdus)).writeto(packed)


def write_logcube(path: Path, galaxy: GalaxyParameters, truth: Truth, spectra: Spectra) -> None:
    """Write a DAP model LOGCUBE with its 13 HDUs.

    Raises
    ------
    OutputError
        If the file exists or cannot be written.
    """
    shape = truth.inside.shape
    cube_wcs = _wcs(galaxy, shape, spectral=True)

    def cube(name: str, values: npt.NDArray[Any], unit: str = "") -> fits.ImageHDU:
        data = np.ascontiguousarray(values.T).reshape(len(WAVE), *shape)
        hdu = fits.ImageHDU(data, header=cube_wcs, name=name)
        if unit:
            hdu.header["BUNIT"] = unit
        return hdu

    model_mask = np.where(truth.inside.ravel()[:, np.newaxis], 0, _OUTSIDE_BIT).astype(np.int32)
    model_mask = np.broadcast_to(model_mask, spectra.flux.shape)
    sigma = (INSTRUMENT_SIGMA_KM_S / LIGHT_SPEED_KM_S * WAVE).astype(np.float32)
    flux = cube("FLUX", spectra.flux, _CUBE_UNIT)
    flux.header["ERRDATA"], flux.header["QUALDATA"] = "IVAR", "MASK"
    _write(
        path,
        [
            _primary(galaxy, "MODEL"),
            flux,
            cube("IVAR", spectra.ivar),
            cube("MASK", spectra.mask),
            cube("LSF", np.broadcast_to(sigma, spectra.flux.shape), "Angstrom"),
            fits.ImageHDU(WAVE, name="WAVE"),
            fits.ImageHDU(spectra.correction, name="REDCORR"),
            cube("MODEL", spectra.stars + spectra.lines, _CUBE_UNIT),
            cube("MODEL_MASK", model_mask),
            cube("EMLINE", spectra.lines, _CUBE_UNIT),
            cube("STELLAR", spectra.stars, _CUBE_UNIT),
            cube("STELLAR_MASK", model_mask),
            fits.ImageHDU(
                np.broadcast_to(_bin_ids(truth), (5, *shape)).astype(np.int32), name="BINID"
            ),
        ],
    )


def _bin_ids(truth: Truth) -> npt.NDArray[np.int32]:
    """Every spaxel is a bin of its own; -1 outside."""
    numbers = np.cumsum(truth.inside.ravel()) - 1
    return np.where(truth.inside, numbers.reshape(truth.inside.shape), -1).astype(np.int32)


def write_maps(
    path: Path, galaxy: GalaxyParameters, truth: Truth, spectra: Spectra, measured: Measured
) -> None:
    """Write a MAPS file with HDUs 0 to 42 of DR17, in their order.

    Raises
    ------
    OutputError
        If the file exists or cannot be written.
    """
    shape = truth.inside.shape
    wcs = _wcs(galaxy, shape, spectral=False)
    hdus: list[Any] = [_primary(galaxy, "MAPS")]

    def add(name: str, values: npt.NDArray[Any], unit: str = "", **keywords: str) -> None:
        kind = np.int32 if values.dtype.kind in "iu" else np.float32
        hdu = fits.ImageHDU(values.astype(kind), header=wcs, name=name)
        if unit:
            hdu.header["BUNIT"] = unit
        for keyword, value in keywords.items():
            hdu.header[keyword] = value
        hdus.append(hdu)

    y, x = np.indices(shape) - np.reshape([(n - 1) / 2 for n in shape], (2, 1, 1))
    sky = np.stack([-x, y]) * SPAXEL_ARCSEC
    arcsec = truth.radius_px * SPAXEL_ARCSEC
    kpc = arcsec * galaxy.redshift * LIGHT_SPEED_KM_S / 100.0 * 1e3 / 206264.8
    elliptical = np.stack([arcsec, truth.radius_re, kpc, truth.azimuth_deg])
    ell_names = {"C1": "Elliptical radius", "C2": "R/Re", "C3": "R h/kpc", "C4": "Azimuth"}
    sky_names = {"C1": "On-sky X", "C2": "On-sky Y"}
    r_band = (WAVE > 5600) & (WAVE < 7000)
    level = spectra.flux[:, r_band].mean(axis=1).reshape(shape)
    level_ivar = spectra.ivar[:, r_band].mean(axis=1).reshape(shape) * r_band.sum()
    snr = np.median(spectra.flux[:, r_band] * np.sqrt(spectra.ivar[:, r_band]), axis=1).reshape(
        shape
    )
    map_mask = np.where(truth.inside, 0, _OUTSIDE_BIT | _DO_NOT_USE).astype(np.int32)
    flux_unit, ell_unit = "1E-17 erg/s/cm^2/ang/spaxel", "arcsec,,kpc/h,deg"

    add("SPX_SKYCOO", sky, "arcsec", **sky_names)
    add("SPX_ELLCOO", elliptical, ell_unit, **ell_names)
    add("SPX_MFLUX", level, flux_unit, ERRDATA="SPX_MFLUX_IVAR")
    add("SPX_MFLUX_IVAR", level_ivar)
    add("SPX_SNR", snr)
    add("BINID", np.broadcast_to(_bin_ids(truth), (5, *shape)))
    add("BIN_LWSKYCOO", sky, "arcsec", **sky_names)
    add("BIN_LWELLCOO", elliptical, ell_unit, **ell_names)
    add("BIN_AREA", np.where(truth.inside, SPAXEL_ARCSEC**2, 0.0), "arcsec^2")
    add("BIN_FAREA", np.where(truth.inside, 1.0, 0.0))
    add("BIN_MFLUX", level, flux_unit)
    add("BIN_MFLUX_IVAR", level_ivar)
    add("BIN_MFLUX_MASK", map_mask)
    add("BIN_SNR", snr)
    stellar_error = 4.0 + 20.0 / np.maximum(snr, 0.5)
    for name, values in (("VEL", truth.velocity_km_s), ("SIGMA", truth.sigma_star_km_s)):
        add(
            f"STELLAR_{name}",
            np.where(truth.inside, values, 0.0),
            "km/s",
            ERRDATA=f"STELLAR_{name}_IVAR",
            QUALDATA=f"STELLAR_{name}_MASK",
        )
        add(f"STELLAR_{name}_IVAR", np.where(truth.inside, 1.0 / stellar_error**2, 0.0))
        add(f"STELLAR_{name}_MASK", map_mask)
    add("STELLAR_SIGMACORR", np.zeros((2, *shape)), "km/s", C1="resolution difference", C2="fit")
    add("STELLAR_FOM", np.zeros((9, *shape)))
    _add_lines(add, measured, flux_unit)
    _write(path, hdus)


def _add_lines(add: Any, measured: Measured, continuum_unit: str) -> None:
    channels = {f"C{number:02d}": name for number, (name, _) in enumerate(LINES, start=1)}

    def group(
        name: str,
        values: npt.NDArray[Any],
        ivar: npt.NDArray[Any],
        unit: str,
        continuum: npt.NDArray[Any] | None = None,
    ) -> None:
        references = {"ERRDATA": f"{name}_IVAR", "QUALDATA": f"{name}_MASK"}
        add(name, values, unit, **references, **channels)
        if continuum is not None:
            add(f"{name}_CNT", continuum, continuum_unit, **channels)
        add(f"{name}_IVAR", ivar, **channels)
        add(f"{name}_MASK", measured.mask, **channels)

    sigma = np.full_like(measured.velocity, 72.4)
    group("EMLINE_SFLUX", measured.flux, measured.flux_ivar, _FLUX_UNIT)
    group("EMLINE_SEW", measured.ew, measured.ew_ivar, "ang", measured.continuum)
    group("EMLINE_GFLUX", measured.flux, measured.flux_ivar, _FLUX_UNIT)
    group("EMLINE_GEW", measured.ew, measured.ew_ivar, "ang", measured.continuum)
    group("EMLINE_GVEL", measured.velocity, measured.velocity_ivar, "km/s")
    group("EMLINE_GSIGMA", sigma, measured.velocity_ivar, "km/s")


def write_truth(
    path: Path, galaxy: GalaxyParameters, truth: Truth, bpt: npt.NDArray[np.uint8]
) -> None:
    """Write the true maps of a galaxy.

    Raises
    ------
    OutputError
        If the file exists or cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    wcs = _wcs(galaxy, truth.inside.shape, spectral=False)
    primary = _primary(galaxy, "TRUTH")
    primary.header["REDSHIFT"] = galaxy.redshift
    hdus: list[Any] = [primary]
    for name, values, unit in (
        ("LOGOH", np.where(truth.inside, truth.log_oh, np.nan), "dex"),
        ("BPT", bpt, ""),
        ("VELOCITY", truth.velocity_km_s, "km/s"),
        ("AV", truth.av, "mag"),
        ("FAGN", truth.agn_fraction, ""),
        ("INSIDE", truth.inside.astype(np.uint8), ""),
        ("FLUX", np.stack([truth.fluxes[line] for line, _ in LINES]), _FLUX_UNIT),
        ("INTRINSIC", np.stack([truth.intrinsic[line] for line, _ in LINES]), _FLUX_UNIT),
    ):
        hdu = fits.ImageHDU(values, header=wcs, name=name)
        if unit:
            hdu.header["BUNIT"] = unit
        if name in ("FLUX", "INTRINSIC"):
            for number, (line, _) in enumerate(LINES, start=1):
                hdu.header[f"C{number:02d}"] = line
        hdus.append(hdu)
    with atomic_path(path) as partial:
        fits.HDUList(hdus).writeto(partial, overwrite=True)


def write_dapall(path: Path, galaxies: Sequence[GalaxyParameters], size_px: int) -> None:
    """Write a dapall file with one extension, named after the analysis.

    Raises
    ------
    OutputError
        If the file exists or cannot be written.
    """
    plates = np.asarray([int(galaxy.plateifu.split("-")[0]) for galaxy in galaxies])
    ifus = np.asarray([int(galaxy.plateifu.split("-")[1]) for galaxy in galaxies])

    def numbers(name: str, values: Sequence[float]) -> fits.Column:
        return fits.Column(name, "D", array=np.asarray(values, dtype=np.float64))

    def text(name: str, values: Sequence[str]) -> fits.Column:
        return fits.Column(name, f"{max(map(len, values))}A", array=np.asarray(values))

    columns = [
        fits.Column("PLATE", "J", array=plates),
        fits.Column("IFUDESIGN", "J", array=ifus),
        text("PLATEIFU", [galaxy.plateifu for galaxy in galaxies]),
        text("MANGAID", [galaxy.mangaid for galaxy in galaxies]),
        text("MODE", ["CUBE"] * len(galaxies)),
        text("DAPTYPE", [DEFAULT_DAPTYPE] * len(galaxies)),
        fits.Column("DAPDONE", "L", array=np.ones(len(galaxies), dtype=bool)),
        numbers("OBJRA", [galaxy.ra for galaxy in galaxies]),
        numbers("OBJDEC", [galaxy.dec for galaxy in galaxies]),
        numbers("Z", [galaxy.redshift for galaxy in galaxies]),
        numbers("NSA_Z", [galaxy.nsa_redshift for galaxy in galaxies]),
        numbers("NSA_ELPETRO_BA", [galaxy.axis_ratio for galaxy in galaxies]),
        numbers("NSA_ELPETRO_PHI", [galaxy.angle_deg for galaxy in galaxies]),
        numbers("NSA_ELPETRO_TH50_R", [g.re_px * SPAXEL_ARCSEC for g in galaxies]),
        numbers("LOG_MASS", [galaxy.log_mass for galaxy in galaxies]),
        numbers("SFR_TOT", [_star_formation_rate(galaxy) for galaxy in galaxies]),
        fits.Column("DRP3QUAL", "J", array=np.zeros(len(galaxies), dtype=np.int32)),
        fits.Column("DAPQUAL", "J", array=np.zeros(len(galaxies), dtype=np.int32)),
    ]
    primary = fits.PrimaryHDU()
    primary.header["VERSDRP3"], primary.header["VERSDAP"] = "v3_1_1", "3.1.0"
    primary.header["SYNTHETI"] = (True, "synthetic data, not an observation")
    primary.header["SIZE"] = (size_px, "spaxels on a side")
    table = fits.BinTableHDU.from_columns(columns, name=DEFAULT_DAPTYPE)
    with atomic_path(path) as partial:
        fits.HDUList([primary, table]).writeto(partial, overwrite=True)


def _star_formation_rate(galaxy: GalaxyParameters) -> float:
    """Solar masses per year, of the H-alpha luminosity (Kennicutt & Evans 2012, ARA&A 50, 531)."""
    # The integral of the exponential H-alpha disc with scale length re / 0.9.
    flux = 1e-17 * galaxy.ha_centre * 2 * np.pi * galaxy.axis_ratio * (galaxy.re_px / 0.9) ** 2
    distance_cm = galaxy.redshift * LIGHT_SPEED_KM_S / 70.0 * 3.0857e24
    return float(4 * np.pi * distance_cm**2 * flux * 10.0**-41.27)
