"""DAP MAPS files: emission lines and kinematics, by HDU and channel name.

The order of the channels has changed between data releases, so that a channel is always found by
the name that the header gives it (C01, C02, ...).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from astropy.io.fits import Header

from astro_common.errors import InputError
from astro_common.fits import FitsFile, open_fits
from manga_ssftt.bitmask import MapMask, bad_map_pixels
from manga_ssftt.cubes import celestial_header
from manga_ssftt.layout import plateifu_of_name

__all__ = ["CHANNELS", "Line", "Maps", "read_maps", "read_velocity"]

# What this package calls a line, and the channel that holds it.
CHANNELS: Final[Mapping[str, str]] = {
    "Hb": "Hb-4862",
    "OIII": "OIII-5008",
    "OI": "OI-6302",
    "Ha": "Ha-6564",
    "NII": "NII-6585",
    "SII-6718": "SII-6718",
    "SII-6732": "SII-6732",
}

# Channels of SPX_ELLCOO: arcsec, and effective radii.
_RADII: Final = ("Elliptical radius", "R/Re")
_LIGHT_SPEED_KM_S: Final = 299792.458

_CHANNEL_KEYWORD = re.compile(r"C(\d{1,3})")


@dataclass(frozen=True, eq=False)
class Line:
    """Maps of one emission line.

    Attributes
    ----------
    flux : ndarray of float64, shape (n_y, n_x)
        1e-17 erg/s/cm2/spaxel.
    ivar : ndarray of float64, shape (n_y, n_x)
    bad : ndarray of bool, shape (n_y, n_x)
        Masked, not positive, or without a finite positive inverse variance.
    """

    flux: npt.NDArray[np.float64]
    ivar: npt.NDArray[np.float64]
    bad: npt.NDArray[np.bool_]

    def passes(self, snr_min: float) -> npt.NDArray[np.bool_]:
        """Where the line is good and its signal-to-noise ratio is at least `snr_min`."""
        return ~self.bad & (self.flux * np.sqrt(np.where(self.bad, 0.0, self.ivar)) >= snr_min)


@dataclass(frozen=True, eq=False)
class Maps:
    """What the labels need of a MAPS file.

    Attributes
    ----------
    path : Path
    plateifu : str
        Empty where neither header nor name tells.
    lines : dict of str to Line
        By the names of `CHANNELS`.
    ew_ha : ndarray of float64, shape (n_y, n_x), or None
        Equivalent width of H-alpha in emission, angstrom, NaN where masked.
    radius_arcsec, radius_re : ndarray of float64, shape (n_y, n_x), or None
        Elliptical radius, in arcsec and in effective radii.
    wcs : astropy.io.fits.Header
    synthetic : bool
        Whether the file says that it is simulated.
    """

    path: Path
    plateifu: str
    lines: dict[str, Line]
    ew_ha: npt.NDArray[np.float64] | None
    radius_arcsec: npt.NDArray[np.float64] | None
    radius_re: npt.NDArray[np.float64] | None
    wcs: Header
    synthetic: bool

    @property
    def shape(self) -> tuple[int, int]:
        """``(n_y, n_x)``."""
        shape = next(iter(self.lines.values())).flux.shape
        return (shape[0], shape[1])


def read_maps(
    path: Path, lines: Sequence[str], *, rule: MapMask = "donotuse", with_ew: bool = False
) -> Maps:
    """Read the Gaussian line fluxes (EMLINE_GFLUX) of some lines.

    Parameters
    ----------
    path : Path
        ``.fits`` or ``.fits.gz``.
    lines : sequence of str
        Names of `CHANNELS`; at least one.
    rule : {"donotuse", "any"}, optional
        Which mask bits exclude a spaxel.
    with_ew : bool, optional
        Also read the equivalent width of H-alpha (EMLINE_GEW).

    Returns
    -------
    Maps

    Raises
    ------
    InputError
        If the file is missing, cut short or damaged, or lacks an HDU or channel.
    """
    with open_fits(path) as file:
        names = [CHANNELS[line] for line in lines]
        flux, ivar, bad, header = _read_group(file, "EMLINE_GFLUX", names, rule)
        bad |= ~(np.isfinite(flux) & (flux > 0) & np.isfinite(ivar) & (ivar > 0))
        ew = None
        if with_ew:
            width, _, masked, _ = _read_group(file, "EMLINE_GEW", [CHANNELS["Ha"]], rule)
            ew = np.where(masked[0], np.nan, width[0])
        primary = file.header(0)
        radius_arcsec, radius_re = _read_radius(file, flux.shape[1:])
        return Maps(
            path=path,
            plateifu=str(primary.get("PLATEIFU") or plateifu_of_name(path) or "").strip(),
            lines={line: Line(flux[i], ivar[i], bad[i]) for i, line in enumerate(lines)},
            ew_ha=ew,
            radius_arcsec=radius_arcsec,
            radius_re=radius_re,
            wcs=celestial_header(header, path),
            synthetic=bool(primary.get("SYNTHETI", False)),
        )


def read_velocity(path: Path, redshift: float | None = None) -> npt.NDArray[np.float64]:
    """Line-of-sight velocity of each spaxel, relative to a redshift of the galaxy.

    The DAP measures velocities from the redshift that its fits start from (SCINPVEL), which is
    another than NSA_Z for some galaxies.

    Parameters
    ----------
    path : Path
        A MAPS file.
    redshift : float, optional
        The velocities are relative to this one; by default to that of the DAP.

    Returns
    -------
    ndarray of float64, shape (n_y, n_x)
        km/s: of H-alpha; where that is masked, of the stars; where that is masked too, NaN.

    Raises
    ------
    InputError
        As for `read_maps`.
    """
    with open_fits(path) as file:
        gas, _, bad_gas, _ = _read_group(file, "EMLINE_GVEL", [CHANNELS["Ha"]], "donotuse")
        velocity = np.where(bad_gas[0], np.nan, gas[0])
        if file.has("STELLAR_VEL") and file.has("STELLAR_VEL_MASK"):
            stars = _plane(file, "STELLAR_VEL")
            mask = _as_bits(file, "STELLAR_VEL_MASK", _plane(file, "STELLAR_VEL_MASK"))
            masked = bad_map_pixels(mask, "donotuse")
            velocity = np.where(np.isnan(velocity) & ~masked, stars, velocity)
        start = file.header(0).get("SCINPVEL")
        if redshift is None or start is None:
            return np.asarray(velocity, dtype=np.float64)
        if isinstance(start, bool) or not isinstance(start, (int, float)) or not np.isfinite(start):
            raise InputError(path, f"SCINPVEL = {start!r}", "a velocity in km/s")
        stretch = (1.0 + start / _LIGHT_SPEED_KM_S) * (1.0 + velocity / _LIGHT_SPEED_KM_S)
        return np.asarray((stretch / (1.0 + redshift) - 1.0) * _LIGHT_SPEED_KM_S)


def _plane(file: FitsFile, name: str) -> npt.NDArray[Any]:
    values = file.image(name).read()
    if values.ndim != 2:
        raise InputError(file.path, f"HDU {name} has shape {values.shape}", "(n_y, n_x)")
    return values


def _read_group(
    file: FitsFile, name: str, channels: Sequence[str], rule: MapMask
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64], npt.NDArray[np.bool_], Header]:
    image = file.image(name)
    if len(image.shape) != 3:
        raise InputError(file.path, f"HDU {name} has shape {image.shape}", "(n_channel, n_y, n_x)")
    numbers = _channel_numbers(file, name, image.shape[0])
    rows = []
    for channel in channels:
        if channel not in numbers:
            raise InputError(
                file.path,
                f"HDU {name} has no channel {channel}",
                f"one of its channels {', '.join(numbers)}"
                if numbers
                else "keywords C01, C02, ...",
            )
        rows.append(numbers[channel])
    error_name = str(image.header.get("ERRDATA", f"{name}_IVAR"))
    mask_name = str(image.header.get("QUALDATA", f"{name}_MASK"))
    chosen = np.asarray(rows)
    values = np.asarray(image.read(chosen), dtype=np.float64)
    found = []
    for other in (error_name, mask_name):
        companion = file.image(other)
        if companion.shape != image.shape:
            raise InputError(
                file.path, f"HDU {other} has shape {companion.shape}", f"{image.shape}, as {name}"
            )
        found.append(companion.read(chosen))
    ivar, mask = found[0], _as_bits(file, mask_name, found[1])
    return values, np.asarray(ivar, dtype=np.float64), bad_map_pixels(mask, rule), image.header


def _as_bits(file: FitsFile, name: str, values: npt.NDArray[Any]) -> npt.NDArray[np.integer]:
    if values.dtype.kind not in "iu":
        raise InputError(file.path, f"HDU {name} holds {values.dtype}", "integers")
    return values


def _channel_numbers(file: FitsFile, name: str, n_channels: int) -> dict[str, int]:
    header = file.header(name)
    numbers = {}
    for keyword in header:
        match = _CHANNEL_KEYWORD.fullmatch(keyword)
        if match is not None and 1 <= int(match[1]) <= n_channels:
            numbers[str(header[keyword]).strip()] = int(match[1]) - 1
    return numbers


def _read_radius(file: FitsFile, shape: tuple[int, ...]) -> list[npt.NDArray[np.float64] | None]:
    """Elliptical radius in arcsec and in effective radii; None where the file has none."""
    if not file.has("SPX_ELLCOO"):
        return [None, None]
    image = file.image("SPX_ELLCOO")
    if len(image.shape) != 3 or image.shape[1:] != shape:
        raise InputError(
            file.path, f"HDU SPX_ELLCOO has shape {image.shape}", f"(n_channel, *{shape})"
        )
    # Early releases have the azimuth where later ones have R/Re.
    numbers = _channel_numbers(file, "SPX_ELLCOO", image.shape[0])
    return [
        np.asarray(image.read([numbers[name]])[0], dtype=np.float64) if name in numbers else None
        for name in _RADII
    ]
