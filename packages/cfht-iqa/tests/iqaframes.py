"""Small frames made by hand, independent of the package's own mock."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from astropy.io import fits

PRIMARY = {"EXPTIME": 120.5, "FILTER": "r.MP9601", "RUNID": "03BQ99", "PIXSCAL1": 0.187}


def star_field(seed, shape=(300, 260), n=60, fwhm=4.0, sky=300.0, bright=()):
    """Gaussian stars on a noisy sky; `bright` are (x, y, peak), 0-based."""
    rng = np.random.default_rng(seed)
    image = rng.normal(sky, np.sqrt(sky / 1.6), shape)
    y, x = np.mgrid[: shape[0], : shape[1]]
    places = [
        (rng.uniform(3, shape[1] - 4), rng.uniform(3, shape[0] - 4), 10 ** rng.uniform(2.2, 4.0))
        for _ in range(n)
    ]
    sigma = fwhm / 2.3548
    for px, py, peak in [*places, *bright]:
        image += peak * np.exp(-((x - px) ** 2 + (y - py) ** 2) / (2 * sigma**2))
    return image


def write_mef(path, ccds, primary=None, *, overscan=32, compressed=False, datasec=True):
    """Write images by name as a raw MegaCam-like file; overscan on either side and above."""
    units = [fits.PrimaryHDU()]
    for key, value in (PRIMARY if primary is None else primary).items():
        units[0].header[key] = value
    rng = np.random.default_rng(99)
    for name, image in ccds.items():
        n_y, n_x = image.shape
        raw = rng.normal(1000.0, 3.0, (n_y + overscan, n_x + 2 * overscan))
        raw[:n_y, overscan : overscan + n_x] = image + 1000.0
        pixels = np.clip(np.rint(raw), 0, 65535).astype(np.uint16)
        kind = fits.CompImageHDU if compressed else fits.ImageHDU
        hdu = kind(pixels)
        hdu.header["EXTNAME"] = name
        if datasec:
            hdu.header["DATASEC"] = f"[{overscan + 1}:{overscan + n_x},1:{n_y}]"
        units.append(hdu)
    fits.HDUList(units).writeto(Path(path))
    return Path(path)
