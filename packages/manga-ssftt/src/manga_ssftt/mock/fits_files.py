"""Mock galaxies as the files of DR17: DAP model LOGCUBE and dapall, and the truth beside them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from astropy.io import fits

from astro_common.atomic import atomic_path
from manga_ssftt.layout import DEFAULT_DAPTYPE
from manga_ssftt.mock.hdus import SPAXEL_ARCSEC, bin_ids, celestial, primary_hdu, write_packed
from manga_ssftt.mock.lines import LINES
from manga_ssftt.mock.population import GalaxyParameters
from manga_ssftt.mock.spectra import INSTRUMENT_SIGMA_KM_S, LIGHT_SPEED_KM_S, WAVE, Spectra
from manga_ssftt.mock.truth import Truth

__all__ = ["write_dapall", "write_logcube", "write_truth"]

_CUBE_UNIT = "1E-17 erg/s/cm^2/ang/spaxel"
_FLUX_UNIT = "1E-17 erg/s/cm^2/spaxel"
_OUTSIDE_BIT = 1


def write_logcube(path: Path, galaxy: GalaxyParameters, truth: Truth, spectra: Spectra) -> None:
    """Write a DAP model LOGCUBE with its 13 HDUs.

    Raises
    ------
    OutputError
        If the file exists or cannot be written.
    """
    shape = truth.inside.shape
    cube_wcs = celestial(galaxy, shape, spectral=True)

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
    write_packed(
        path,
        [
            primary_hdu(galaxy, "MODEL"),
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
                np.broadcast_to(bin_ids(truth), (5, *shape)).astype(np.int32), name="BINID"
            ),
        ],
    )


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
    wcs = celestial(galaxy, truth.inside.shape, spectral=False)
    primary = primary_hdu(galaxy, "TRUTH")
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
