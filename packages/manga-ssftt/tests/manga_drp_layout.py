"""A DRP LOGCUBE in the layout of DR17, with the spectra of a mock's DAP LOGCUBE."""

from __future__ import annotations

import numpy as np
from astropy.io import fits
from astropy.table import Table

NOCOV, LOWCOV, DEADFIBER, FORESTAR, DONOTUSE = 1 << 0, 1 << 1, 1 << 2, 1 << 3, 1 << 10
_DAP_BAD = (1 << 0) | (1 << 2) | (1 << 3) | (1 << 4)


def write_drp_logcube(path, dap_logcube):
    """Write what the DRP would have made of a mock galaxy.

    Cubes, wavelengths and the celestial frame are those of the DAP file; flags that exclude a
    pixel become DONOTUSE with NOCOV, as in the DRP. The other HDUs have the shapes of DR17.
    """
    random = np.random.default_rng(17)
    with fits.open(dap_logcube) as dap:
        primary = dap[0].header.copy()
        for key in ("DAPTYPE", "DAPFRMT", "DAPQUAL", "VERSDAP", "SCINPVEL"):
            primary.remove(key, ignore_missing=True)
        cube_header = dap["FLUX"].header.copy()
        flux, ivar = dap["FLUX"].data.copy(), dap["IVAR"].data.copy()
        bad = (dap["MASK"].data & _DAP_BAD) != 0
        wave = dap["WAVE"].data.astype(np.float64)
    mask = np.where(bad, NOCOV | DONOTUSE, 0).astype(np.int32)
    plane = fits.Header({k: cube_header[k] for k in ("CRPIX1", "CRPIX2", "CRVAL1", "CRVAL2")})
    width = np.broadcast_to((wave / 4300.0)[:, None, None], flux.shape).astype(np.float32)
    resolution = np.full(len(wave), 1900.0)
    hdus = [
        fits.PrimaryHDU(header=primary),
        fits.ImageHDU(flux, cube_header, name="FLUX"),
        fits.ImageHDU(ivar, name="IVAR"),
        fits.ImageHDU(mask, name="MASK"),
        fits.ImageHDU(width, name="LSFPOST"),
        fits.ImageHDU(width, name="LSFPRE"),
        fits.ImageHDU(wave, name="WAVE"),
    ]
    names = ("SPECRES", "SPECRESD", "PRESPECRES", "PRESPECRESD")
    hdus.extend(fits.ImageHDU(resolution, name=name) for name in names)
    exposures = Table({"SLITFILE": ["slitmap-1.par"] * 3, "MJD": [57000] * 3, "EXPNUM": [1, 2, 3]})
    hdus.append(fits.BinTableHDU(exposures, name="OBSINFO"))
    for name in ("GIMG", "RIMG", "IIMG", "ZIMG", "GPSF", "RPSF", "IPSF", "ZPSF"):
        image = random.random(flux.shape[1:]).astype(np.float32)
        hdus.append(fits.ImageHDU(image, plane, name=name))
    pairs = Table({"INDXI_C1": [0, 1], "INDXI_C2": [0, 1], "RHOIJ": [1.0, 1.0]})
    names = ("GCORREL", "RCORREL", "ICORREL", "ZCORREL")
    hdus.extend(fits.BinTableHDU(pairs, name=name) for name in names)
    path.parent.mkdir(parents=True, exist_ok=True)
    fits.HDUList(hdus).writeto(path, overwrite=True)
    return path
