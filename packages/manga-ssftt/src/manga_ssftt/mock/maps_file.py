"""Mock galaxies as MAPS files of DR17."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from astropy.io import fits

from manga_ssftt.mock.goodness import figures_of_merit, line_models
from manga_ssftt.mock.hdus import SPAXEL_ARCSEC, bin_ids, celestial, primary_hdu, write_packed
from manga_ssftt.mock.lines import LINES
from manga_ssftt.mock.measurement import Measured
from manga_ssftt.mock.population import GalaxyParameters
from manga_ssftt.mock.spectra import (
    GAS_SIGMA_KM_S,
    INSTRUMENT_SIGMA_KM_S,
    LIGHT_SPEED_KM_S,
    WAVE,
    Spectra,
)
from manga_ssftt.mock.truth import Truth

__all__ = ["write_maps"]

_FLUX_UNIT: Final = "1E-17 erg/s/cm^2/spaxel"
_DENSITY_UNIT: Final = "1E-17 erg/s/cm^2/ang/spaxel"
_OUTSIDE_BIT, _DO_NOT_USE = 1, 1 << 30
# The weaker line of a passband, and the channel in which both are measured.
_BLENDS: Final = {
    "OII-3729": "OII-3727",
    "HeI-3889": "Hzet-3890",
    "NeIII-3968": "Heps-3971",
    "NI-5201": "NI-5199",
}
_MERITS: Final = (
    *("rms", "frms", "rchi2"),
    *("68th perc frac resid", "99th perc frac resid", "max frac resid"),
    *("68th perc chi", "99th perc chi", "max chi"),
)

_Add = Callable[..., None]


def write_maps(
    path: Path, galaxy: GalaxyParameters, truth: Truth, spectra: Spectra, measured: Measured
) -> None:
    """Write a MAPS file with HDUs 0 to 48 of DR17, in their order.

    The spectral indices (SPECINDEX and what belongs to it, 49 to 63) are left out: nothing in this
    package reads them, and the mock's stars are no template of their absorption bands.

    Raises
    ------
    OutputError
        If the file exists or cannot be written.
    """
    shape = truth.inside.shape
    wcs = celestial(galaxy, shape, spectral=False)
    hdus: list[Any] = [primary_hdu(galaxy, "MAPS")]

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
    ell_unit = "arcsec,,kpc/h,deg"

    add("SPX_SKYCOO", sky, "arcsec", **sky_names)
    add("SPX_ELLCOO", elliptical, ell_unit, **ell_names)
    add("SPX_MFLUX", level, _DENSITY_UNIT, ERRDATA="SPX_MFLUX_IVAR")
    add("SPX_MFLUX_IVAR", level_ivar)
    add("SPX_SNR", snr)
    add("BINID", np.broadcast_to(bin_ids(truth), (5, *shape)))
    add("BIN_LWSKYCOO", sky, "arcsec", **sky_names)
    add("BIN_LWELLCOO", elliptical, ell_unit, **ell_names)
    add("BIN_AREA", np.where(truth.inside, SPAXEL_ARCSEC**2, 0.0), "arcsec^2")
    add("BIN_FAREA", np.where(truth.inside, 1.0, 0.0))
    add("BIN_MFLUX", level, _DENSITY_UNIT)
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
    merit = figures_of_merit(spectra, with_lines=False).reshape(9, *shape)
    add("STELLAR_FOM", merit, **_channels(_MERITS))
    _add_lines(add, galaxy, truth, spectra, measured)
    write_packed(path, hdus)


def _add_lines(
    add: _Add, galaxy: GalaxyParameters, truth: Truth, spectra: Spectra, measured: Measured
) -> None:
    shape = truth.inside.shape
    names = [name for name, _ in LINES]

    def group(
        name: str,
        values: npt.NDArray[Any],
        ivar: npt.NDArray[Any],
        unit: str,
        continuum: npt.NDArray[Any] | None = None,
        channels: list[str] = names,
    ) -> None:
        references = {"ERRDATA": f"{name}_IVAR", "QUALDATA": f"{name}_MASK"}
        add(name, values, unit, **references, **_channels(channels))
        if continuum is not None:
            add(f"{name}_CNT", continuum, _DENSITY_UNIT, **_channels(channels))
        add(f"{name}_IVAR", ivar, **_channels(channels))
        add(f"{name}_MASK", measured.mask, **_channels(channels))

    summed = ["OIId-3728" if name == "OII-3727" else name for name in names]
    group("EMLINE_SFLUX", *_blended(measured.flux, measured.flux_ivar), _FLUX_UNIT, None, summed)
    group(
        *("EMLINE_SEW", *_blended(measured.ew, measured.ew_ivar), "ang"),
        *(measured.continuum, summed),
    )
    group("EMLINE_GFLUX", measured.flux, measured.flux_ivar, _FLUX_UNIT)
    group("EMLINE_GEW", measured.ew, measured.ew_ivar, "ang", measured.continuum)
    group("EMLINE_GVEL", measured.velocity, measured.velocity_ivar, "km/s")
    sigma = np.full_like(measured.velocity, np.hypot(INSTRUMENT_SIGMA_KM_S, GAS_SIGMA_KM_S))
    group("EMLINE_GSIGMA", sigma, measured.velocity_ivar, "km/s")
    instrument = np.full_like(measured.velocity, INSTRUMENT_SIGMA_KM_S)
    stretch = (1.0 + galaxy.redshift) * (1.0 + truth.velocity_km_s.ravel() / LIGHT_SPEED_KM_S)
    model = line_models(spectra, measured.flux.reshape(len(names), -1), stretch)
    whole = figures_of_merit(spectra, with_lines=True).reshape(9, *shape)
    add("EMLINE_INSTSIGMA", instrument, "km/s", **_channels(names))
    add("EMLINE_TPLSIGMA", instrument, "km/s", **_channels(names))
    cube = (len(names), *shape)
    add("EMLINE_GA", model.amplitude.reshape(cube), _DENSITY_UNIT, **_channels(names))
    add("EMLINE_GANR", model.amplitude_to_noise.reshape(cube), **_channels(names))
    add("EMLINE_FOM", whole, **_channels(_MERITS))
    add("EMLINE_LFOM", model.reduced_chi2.reshape(cube), **_channels(names))


def _channels(names: Sequence[str]) -> dict[str, str]:
    digits = 2 if len(names) > 9 else 1
    return {f"C{number:0{digits}d}": name for number, name in enumerate(names, start=1)}


def _blended(
    values: npt.NDArray[np.float64], ivar: npt.NDArray[np.float64]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Sums over passbands: lines that share one are measured together, and one channel is empty."""
    names = [name for name, _ in LINES]
    values, ivar = values.copy(), ivar.copy()
    for weak, strong in _BLENDS.items():
        empty, filled = names.index(weak), names.index(strong)
        both = (ivar[empty] > 0) & (ivar[filled] > 0)
        values[filled] += np.where(both, values[empty], 0.0)
        with np.errstate(divide="ignore"):
            variance = 1.0 / ivar[filled] + np.where(both, 1.0 / ivar[empty], 0.0)
        ivar[filled] = np.where(ivar[filled] > 0, 1.0 / variance, 0.0)
        values[empty], ivar[empty] = 0.0, 0.0
    return values, ivar
