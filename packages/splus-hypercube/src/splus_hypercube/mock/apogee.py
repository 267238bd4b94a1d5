"""APOGEE DR17: parameters and abundances of bright stars in one allStar file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from astropy.io import fits
from numpy.typing import NDArray

from splus_hypercube.mock.fits_files import primary, table_column, write_fits
from splus_hypercube.mock.objects import assemble_entries
from splus_hypercube.mock.photometry import VEGA_OFFSETS
from splus_hypercube.mock.population import STAR
from splus_hypercube.mock.sky import Sky
from splus_hypercube.mock.splus import SplusCatalogue

__all__ = ["APOGEE_RADIUS_ARCSEC", "DUPLICATE_BIT", "ApogeeRows", "make_apogee", "write_apogee"]

Float = NDArray[np.float64]
Int = NDArray[np.int64]

APOGEE_RADIUS_ARCSEC = 1.0
DUPLICATE_BIT = 16
"""EXTRATARG bit 4: another row of this star has a better signal-to-noise ratio."""

_EPOCH_JYEAR = 1999.6  # 2MASS, whose positions APOGEE keeps
_H_LIMIT_MAG = 14.8
_ELEMENTS = 26

_FORMATS = {
    "APOGEE_ID": "18A",
    "TELESCOPE": "8A",
    "FIELD": "16A",
    "RA": "D",
    "DEC": "D",
    "J": "E",
    "H": "E",
    "K": "E",
    "SNR": "E",
    "NVISITS": "J",
    "EXTRATARG": "J",
    "STARFLAG": "K",
    "ASPCAPFLAG": "K",
    "VHELIO_AVG": "E",
    "VSCATTER": "E",
    "TEFF": "E",
    "TEFF_ERR": "E",
    "LOGG": "E",
    "LOGG_ERR": "E",
    "M_H": "E",
    "M_H_ERR": "E",
    "ALPHA_M": "E",
    "ALPHA_M_ERR": "E",
    "FE_H": "E",
    "FE_H_ERR": "E",
    "MG_FE": "E",
    "CA_FE": "E",
    "FPARAM": "9E",
    "PARAM": "9E",
    "PARAM_COV": "81E",
    "X_H": "26E",
    "X_H_ERR": "26E",
    "GAIAEDR3_PARALLAX": "E",
    "GAIAEDR3_SOURCE_ID": "K",
}
_UNITS = {
    "RA": "deg",
    "DEC": "deg",
    "J": "mag",
    "H": "mag",
    "K": "mag",
    "VHELIO_AVG": "km/s",
    "VSCATTER": "km/s",
    "TEFF": "K",
    "TEFF_ERR": "K",
    "GAIAEDR3_PARALLAX": "mas",
}


@dataclass(slots=True)
class ApogeeRows:
    """Rows of one field.

    Attributes
    ----------
    owner : ndarray of int64, shape (n,)
        Source observed, or -1.
    values : dict of str to ndarray
        Columns of the table.
    """

    owner: Int
    values: dict[str, NDArray[np.generic]]


def make_apogee(sky: Sky, catalogue: SplusCatalogue, gaia_ids: Int) -> ApogeeRows:
    """Let APOGEE observe the bright stars of a field.

    Parameters
    ----------
    sky : Sky
    catalogue : SplusCatalogue
    gaia_ids : ndarray of int64, shape (n,)
        Gaia identifier of each source, or 0.

    Returns
    -------
    ApogeeRows
    """
    rng = sky.field.random("apogee")
    h_mag = sky.mags["vista_h"] - VEGA_OFFSETS["vista_h"]
    bright = (sky.kind == STAR) & (h_mag < _H_LIMIT_MAG) & (rng.uniform(size=len(sky)) < 0.75)
    bright &= sky.population.teff < 7500.0
    if sky.field.bare:
        bright[:] = False
    seen = np.flatnonzero(bright)
    entries = assemble_entries(
        sky,
        catalogue,
        rng,
        seen=seen,
        epoch_jyear=_EPOCH_JYEAR,
        scatter_arcsec=0.06,
        radius_arcsec=APOGEE_RADIUS_ARCSEC,
        strangers_per_seen=0.1,
    )
    # The worse of two observations of a star carries the bit.
    twice = np.flatnonzero(rng.uniform(size=len(entries)) < 0.12)
    if len(entries) and not len(twice):
        twice = np.zeros(1, dtype=np.int64)
    row = np.concatenate([np.arange(len(entries)), twice])
    worse = np.concatenate([np.zeros(len(entries), bool), np.ones(len(twice), bool)])
    order = np.argsort(row, kind="stable")
    row, worse = row[order], worse[order]
    part = entries.take(row)
    values = _values(sky, part.template, part.fainter, worse, rng)
    values["RA"], values["DEC"] = part.ra, part.dec
    values["APOGEE_ID"] = np.array(
        [_name(a, d) for a, d in zip(part.ra.tolist(), part.dec.tolist(), strict=True)], dtype="U18"
    )
    values["FIELD"] = np.full(len(row), sky.field.name)
    values["GAIAEDR3_SOURCE_ID"] = np.where(part.owner >= 0, gaia_ids[part.owner], 0)
    return ApogeeRows(owner=part.owner, values=values)


def write_apogee(path: Path, fields: list[ApogeeRows]) -> None:
    """Write the rows of all fields as one allStar file."""
    columns = []
    for name, code in _FORMATS.items():
        data = np.concatenate([rows.values[name] for rows in fields])
        columns.append(table_column(name, code, data, unit=_UNITS.get(name, "")))
    table = fits.BinTableHDU.from_columns(columns, name="ALLSTAR")
    write_fits(path, [primary(SURVEY="APOGEE", RELEASE="DR17"), table])


def _name(ra: float, dec: float) -> str:
    """2MASS designation: hours and degrees in sexagesimal digits."""
    hundredths = round(ra / 15.0 * 360_000.0) % 8_640_000
    tenths = round(abs(dec) * 36_000.0)
    hours, left = divmod(hundredths, 360_000)
    minutes, seconds = divmod(left, 6_000)
    degrees, rest = divmod(tenths, 36_000)
    arcminutes, arcseconds = divmod(rest, 600)
    sign = "-" if dec < 0 else "+"
    east = f"{hours:02d}{minutes:02d}{seconds:04d}"
    return f"2M{east}{sign}{degrees:02d}{arcminutes:02d}{arcseconds:03d}"


def _values(
    sky: Sky, template: Int, fainter: Float, worse: NDArray[np.bool_], rng: np.random.Generator
) -> dict[str, NDArray[np.generic]]:
    count = len(template)
    population = sky.population
    h_mag = sky.mags["vista_h"][template] - VEGA_OFFSETS["vista_h"] + fainter
    snr = 160.0 * 10.0 ** (-0.2 * (h_mag - 12.0)) * np.where(worse, 0.45, 1.0)
    snr = snr * rng.uniform(0.8, 1.2, count)
    scale = np.clip(90.0 / snr, 0.6, 6.0)

    def measured(truth: Float, sigma: float) -> tuple[Float, Float]:
        error = sigma * scale
        return truth[template] + error * rng.standard_normal(count), error

    teff, teff_error = measured(population.teff, 35.0)
    logg, logg_error = measured(population.logg, 0.05)
    metals, metals_error = measured(population.feh, 0.03)
    alpha, alpha_error = measured(population.alpha_fe, 0.025)
    iron, iron_error = measured(population.feh, 0.025)
    velocity, _ = measured(np.nan_to_num(sky.radial_velocity), 0.08)
    abundances = population.feh[template][:, None] + np.where(
        np.arange(_ELEMENTS) % 2 == 0, population.alpha_fe[template][:, None], 0.0
    )
    abundance_error = 0.05 * scale[:, None] * np.ones(_ELEMENTS)
    abundances = abundances + abundance_error * rng.standard_normal((count, _ELEMENTS))
    parameters = np.stack(
        [
            teff,
            logg,
            np.full(count, 1.2),
            metals,
            np.zeros(count),
            np.zeros(count),
            alpha,
            np.full(count, 2.5),
            np.zeros(count),
        ],
        axis=1,
    )
    covariance = np.zeros((count, 9, 9))
    for place, error in ((0, teff_error), (1, logg_error), (3, metals_error), (6, alpha_error)):
        covariance[:, place, place] = error**2
    near_infrared = {
        label: sky.mags[band][template] - VEGA_OFFSETS[band] + fainter
        for label, band in (("J", "vista_j"), ("H", "vista_h"), ("K", "vista_ks"))
    }
    return {
        **near_infrared,
        "TELESCOPE": np.full(count, "lco25m"),
        "SNR": snr,
        "NVISITS": np.where(worse, 1, rng.integers(1, 9, count)),
        "EXTRATARG": np.where(worse, DUPLICATE_BIT, 0),
        "STARFLAG": np.zeros(count, dtype=np.int64),
        "ASPCAPFLAG": np.where(snr < 40, 1 << 27, 0),
        "VHELIO_AVG": velocity,
        "VSCATTER": rng.exponential(0.1, count),
        "TEFF": teff,
        "TEFF_ERR": teff_error,
        "LOGG": logg,
        "LOGG_ERR": logg_error,
        "M_H": metals,
        "M_H_ERR": metals_error,
        "ALPHA_M": alpha,
        "ALPHA_M_ERR": alpha_error,
        "FE_H": iron,
        "FE_H_ERR": iron_error,
        "MG_FE": alpha + 0.02 * rng.standard_normal(count),
        "CA_FE": alpha + 0.03 * rng.standard_normal(count),
        "FPARAM": parameters * (1.0 + 0.002 * rng.standard_normal((count, 9))),
        "PARAM": parameters,
        "PARAM_COV": covariance.reshape(count, 81),
        "X_H": abundances,
        "X_H_ERR": abundance_error,
        "GAIAEDR3_PARALLAX": sky.parallax[template],
    }
