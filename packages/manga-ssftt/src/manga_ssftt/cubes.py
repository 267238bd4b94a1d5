"""LOGCUBE files: the DAP's model cubes and the DRP's, read by HDU name."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt
from astropy.io.fits import Header
from astropy.wcs import WCS

from astro_common.errors import InputError
from astro_common.fits import FitsFile, open_fits
from astro_common.fits.celestial import celestial_wcs
from manga_ssftt.bitmask import bad_cube_pixels
from manga_ssftt.extinction import galactic_correction
from manga_ssftt.layout import plateifu_of_name
from manga_ssftt.resample import channel_range, log_edges

__all__ = ["FLUX_UNIT", "Cube", "celestial_header", "read_cube", "spaxel_coordinates"]

FLUX_UNIT: Final = "1e-17 erg / (s cm2 Angstrom spaxel)"


@dataclass(frozen=True, eq=False)
class Cube:
    """The part of a LOGCUBE that a wavelength window needs.

    Attributes
    ----------
    path : Path
    plateifu, mangaid : str
        Empty where the header does not tell.
    product : {"dap", "drp"}
    wave : ndarray of float64, shape (n_wave,)
        Observed vacuum wavelength, angstrom.
    flux, ivar : ndarray of float32, shape (n_wave, n_y, n_x)
        1e-17 erg/s/cm2/angstrom/spaxel and its inverse variance.
    bad : ndarray of bool, shape (n_wave, n_y, n_x)
    wcs : astropy.io.fits.Header
        Celestial coordinates of the spaxels.
    synthetic : bool
        Whether the file says that it is simulated.
    """

    path: Path
    plateifu: str
    mangaid: str
    product: Literal["dap", "drp"]
    wave: npt.NDArray[np.float64]
    flux: npt.NDArray[np.float32]
    ivar: npt.NDArray[np.float32]
    bad: npt.NDArray[np.bool_]
    wcs: Header
    synthetic: bool

    @property
    def shape(self) -> tuple[int, int]:
        """``(n_y, n_x)``."""
        return (self.flux.shape[1], self.flux.shape[2])


def read_cube(
    path: Path, observed_window: tuple[float, float] | None = None, *, deredden: bool = False
) -> Cube:
    """Read a DAP model LOGCUBE or a DRP LOGCUBE.

    Parameters
    ----------
    path : Path
        ``.fits`` or ``.fits.gz``.
    observed_window : (float, float), optional
        Only the channels that overlap this range of observed wavelength, angstrom; all by default.
    deredden : bool, optional
        Undo the Milky Way's extinction: by REDCORR, or by EBVGAL where there is no REDCORR.

    Returns
    -------
    Cube

    Raises
    ------
    InputError
        If the file is missing, cut short or damaged, an HDU is missing or has another shape than
        the flux, WAVE does not increase, or the window lies outside the cube.
    """
    with open_fits(path) as file:
        product: Literal["dap", "drp"] = "dap" if file.has("BINID") or file.has("MODEL") else "drp"
        wave = np.asarray(file.image("WAVE").read(), dtype=np.float64)
        try:
            edges = log_edges(wave)
        except ValueError as error:
            raise InputError(path, f"HDU WAVE: {error}", "increasing wavelengths") from error
        channels = slice(0, len(wave))
        if observed_window is not None:
            channels = channel_range(edges, np.asarray(observed_window))
            if observed_window[1] <= edges[0] or observed_window[0] >= edges[-1]:
                raise InputError(
                    path,
                    f"wavelengths from {wave[0]:.1f} to {wave[-1]:.1f} angstrom",
                    f"some within {observed_window[0]:.1f} to {observed_window[1]:.1f} angstrom",
                )
        flux = _read(file, "FLUX", len(wave), channels).astype(np.float32, copy=False)
        ivar = _read(file, "IVAR", len(wave), channels, flux.shape).astype(np.float32, copy=False)
        mask = _read(file, "MASK", len(wave), channels, flux.shape)
        if mask.dtype.kind not in "iu":
            raise InputError(path, f"HDU MASK holds {mask.dtype}", "integers")
        primary, header = file.header(0), file.header("FLUX")
        if deredden:
            factor = _correction(file, primary, wave)[channels, np.newaxis, np.newaxis]
            flux = flux * factor
            ivar = ivar / factor**2
        return Cube(
            path=path,
            plateifu=str(primary.get("PLATEIFU") or plateifu_of_name(path) or "").strip(),
            mangaid=str(primary.get("MANGAID", "")).strip(),
            product=product,
            wave=wave[channels],
            flux=flux,
            ivar=ivar,
            bad=bad_cube_pixels(mask, product=product),
            wcs=celestial_header(header, path),
            synthetic=bool(primary.get("SYNTHETI", False)),
        )


def _read(
    file: FitsFile, name: str, n_wave: int, channels: slice, shape: tuple[int, ...] | None = None
) -> npt.NDArray[Any]:
    image = file.image(name)
    if len(image.shape) != 3 or image.shape[0] != n_wave:
        raise InputError(
            file.path,
            f"HDU {name} has shape {image.shape}",
            f"({n_wave}, n_y, n_x), as WAVE has {n_wave} wavelengths",
        )
    if shape is not None and image.shape[1:] != shape[1:]:
        raise InputError(
            file.path, f"HDU {name} has {image.shape[1:]} spaxels", f"{shape[1:]}, as FLUX has"
        )
    return image.read(channels)


def _correction(
    file: FitsFile, primary: Header, wave: npt.NDArray[np.float64]
) -> npt.NDArray[np.float32]:
    if file.has("REDCORR"):
        factor = np.asarray(file.image("REDCORR").read(), dtype=np.float32)
        if factor.shape != wave.shape or not np.all(np.isfinite(factor) & (factor > 0)):
            raise InputError(
                file.path, f"HDU REDCORR of shape {factor.shape}", f"{len(wave)} positive factors"
            )
        return factor
    ebv = primary.get("EBVGAL")
    if not isinstance(ebv, (int, float)) or not 0 <= ebv < math.inf:
        raise InputError(file.path, "neither an HDU REDCORR nor a keyword EBVGAL", "one of the two")
    try:
        return galactic_correction(wave, float(ebv)).astype(np.float32)
    except ValueError as error:
        raise InputError(
            file.path, f"HDU WAVE: {error}", "wavelengths that the extinction law covers"
        ) from error


def celestial_header(header: Header, path: Path) -> Header:
    """The two celestial axes of a header as a header of their own.

    Raises
    ------
    InputError
        If the header holds no valid celestial coordinates.
    """
    return celestial_wcs(header, path).to_header()


def spaxel_coordinates(
    wcs: Header, shape: tuple[int, int]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Right ascension and declination of the centre of each spaxel.

    Returns
    -------
    ra, dec : ndarray of float64, shape (n_y, n_x)
        Degrees, in the system that the header names.
    """
    y, x = np.indices(shape)
    ra, dec = WCS(wcs).wcs_pix2world(x, y, 0)
    return np.asarray(ra), np.asarray(dec)
