"""Synthetic light curves in SNANA's HEAD and PHOT files."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits

from astro_common.atomic import atomic_path, output_error
from scone_io.extinction import ccm89
from scone_io.mock.population import MockSupernova, draw_population, surface_flux

__all__ = ["write_mock_light_curves"]

# Bands of the synthetic survey: name, mean wavelength (angstrom), noise (FLUXCAL).
_BANDS = (("g", 4826.85, 6.0), ("r", 6223.24, 5.0), ("i", 7545.98, 7.0), ("z", 8590.90, 12.0))
_SEPARATOR_MJD = -777.0


def write_mock_light_curves(
    folder: str | os.PathLike[str], *, num_events: int = 100, seed: int = 0, overwrite: bool = False
) -> Path:
    """Write ``MOCK_HEAD.FITS`` and ``MOCK_PHOT.FITS``.

    Parameters
    ----------
    folder : path-like
        Made if it does not exist.
    num_events : int
    seed : int
    overwrite : bool
        Replace files that exist.

    Returns
    -------
    Path
        The HEAD file.

    Raises
    ------
    OutputError
        If a file exists or cannot be written.
    """
    folder = Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise output_error(folder, error) from error
    rng = np.random.default_rng(seed)
    population = draw_population(num_events, rng)
    curves = [_light_curve(event, rng) for event in population]
    head, phot = folder / "MOCK_HEAD.FITS", folder / "MOCK_PHOT.FITS"
    _write(phot, _phot_table(curves), overwrite)
    _write(head, _head_table(population, curves), overwrite)
    return head


def _light_curve(event: MockSupernova, rng: np.random.Generator) -> dict[str, Any]:
    visits = np.sort(rng.uniform(-60.0, 130.0, size=int(rng.integers(18, 32))))
    days = np.repeat(visits, len(_BANDS)) + np.tile(0.01 * np.arange(len(_BANDS)), len(visits))
    wavelengths = np.tile([band[1] for band in _BANDS], len(visits))
    sky = np.tile([band[2] for band in _BANDS], len(visits)) * rng.lognormal(0.0, 0.2, len(days))
    flux = surface_flux(event, days, wavelengths)
    # What a telescope sees lies behind the dust of the Milky Way.
    dimmed = flux * 10.0 ** (-0.4 * 3.1 * event.mwebv * ccm89(wavelengths))
    error = np.hypot(sky, 0.01 * np.abs(dimmed))
    seen = rng.random(len(days)) < 0.85
    return {
        "mjd": (event.peak_mjd + days)[seen],
        "band": np.tile([band[0] for band in _BANDS], len(visits))[seen],
        "flux": (dimmed + rng.normal(size=len(days)) * error)[seen],
        "error": error[seen],
    }


def _phot_table(curves: list[dict[str, Any]]) -> fits.BinTableHDU:
    ends: dict[str, list[Any]] = {
        "mjd": [_SEPARATOR_MJD],
        "band": ["-"],
        "flux": [-777.0],
        "error": [-777.0],
    }
    parts = {
        key: np.concatenate([np.append(curve[key], ends[key]) for curve in curves])
        if curves
        else np.array(ends[key])[:0]
        for key in ends
    }
    return fits.BinTableHDU.from_columns(
        [
            fits.Column("MJD", "D", array=parts["mjd"]),
            fits.Column("BAND", "8A", array=[f"MOCK-{band}" for band in parts["band"]]),
            fits.Column("FLUXCAL", "E", array=parts["flux"]),
            fits.Column("FLUXCALERR", "E", array=parts["error"]),
        ]
    )


def _head_table(population: list[MockSupernova], curves: list[dict[str, Any]]) -> fits.BinTableHDU:
    counts = np.array([len(curve["mjd"]) for curve in curves], dtype=np.int64)
    starts = 1 + np.concatenate([[0], np.cumsum(counts + 1)[:-1]]) if len(counts) else counts
    columns: dict[str, tuple[str, Any]] = {
        "SNID": ("J", [event.snid for event in population]),
        "NOBS": ("J", counts),
        "PTROBS_MIN": ("J", starts),
        "PTROBS_MAX": ("J", starts + counts - 1),
        "PEAKMJD": ("E", [event.peak_mjd for event in population]),
        "REDSHIFT_FINAL": ("E", [event.z for event in population]),
        "REDSHIFT_FINAL_ERR": ("E", [event.z_err for event in population]),
        "MWEBV": ("E", [event.mwebv for event in population]),
        "SIM_TYPE_INDEX": ("I", [event.type_code for event in population]),
    }
    return fits.BinTableHDU.from_columns(
        [fits.Column(name, kind, array=values) for name, (kind, values) in columns.items()]
    )


def _write(path: Path, table: fits.BinTableHDU, overwrite: bool) -> None:
    primary = fits.PrimaryHDU()
    primary.header["SURVEY"] = "LSST"
    primary.header["FILTERS"] = "griz"
    primary.header["DATATYPE"] = "SIM_MOCK"
    primary.header["SYNTHET"] = (True, "synthetic light curves of no real supernova")
    with atomic_path(path, overwrite=overwrite) as partial:
        fits.HDUList([primary, table]).writeto(partial, overwrite=True)
