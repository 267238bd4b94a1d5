"""What the files of a mock galaxy share: headers, coordinates and how they are packed."""

from __future__ import annotations

import gzip
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from astropy.io import fits

from astro_common.atomic import atomic_path
from manga_ssftt.layout import DEFAULT_DAPTYPE
from manga_ssftt.mock.population import GalaxyParameters
from manga_ssftt.mock.spectra import LIGHT_SPEED_KM_S, WAVE
from manga_ssftt.mock.truth import Truth

__all__ = ["SPAXEL_ARCSEC", "bin_ids", "celestial", "primary_hdu", "write_packed"]

SPAXEL_ARCSEC: Final = 0.5


def primary_hdu(galaxy: GalaxyParameters, form: str) -> fits.PrimaryHDU:
    """Make the primary HDU; `form` is what the DAP calls the kind of file (DAPFRMT)."""
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


def celestial(galaxy: GalaxyParameters, shape: tuple[int, int], *, spectral: bool) -> fits.Header:
    """Make the keywords of the coordinates of maps, or with `spectral` of cubes."""
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


def write_packed(path: Path, hdus: Sequence[Any]) -> None:
    """Write HDUs as a gzip file; one that exists is an `OutputError`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with (
        atomic_path(path) as partial,
        partial.open("wb") as raw,
        # Without name and time in the gzip header, the same mock has the same bytes.
        gzip.GzipFile("", "wb", compresslevel=1, fileobj=raw, mtime=0) as packed,
    ):
        fits.HDUList(list(hdus)).writeto(packed)


def bin_ids(truth: Truth) -> npt.NDArray[np.int32]:
    """Every spaxel is a bin of its own; -1 outside."""
    numbers = np.cumsum(truth.inside.ravel()) - 1
    return np.where(truth.inside, numbers.reshape(truth.inside.shape), -1).astype(np.int32)
