"""Gaia DR3: positions at 2016.0, motions, photometry and parameters, in files by HEALPix range."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from astropy import units as u
from astropy_healpix import HEALPix
from numpy.typing import NDArray

from splus_hypercube.mock.ecsv import EcsvColumn, write_ecsv
from splus_hypercube.mock.fields import MockField
from splus_hypercube.mock.gaia_columns import GAIA_COLUMNS
from splus_hypercube.mock.objects import Entries, assemble_entries
from splus_hypercube.mock.photometry import VEGA_OFFSETS, noisy_magnitudes
from splus_hypercube.mock.population import GALAXY, QUASAR, STAR
from splus_hypercube.mock.sky import DAMPED_WALK, RR_LYRAE, Sky
from splus_hypercube.mock.splus import SplusCatalogue
from splus_hypercube.mock.sphere import offset, space_motion

__all__ = ["GAIA_EPOCH", "GAIA_RADIUS_ARCSEC", "GaiaCatalogue", "make_gaia", "write_by_range"]

Float = NDArray[np.float64]
Int = NDArray[np.int64]
Bool = NDArray[np.bool_]

GAIA_EPOCH = 2016.0
GAIA_RADIUS_ARCSEC = 1.2
XP_LIMIT_MAG = 17.65

_SOLUTION_ID = 1636148068921376768
_FAINT_LIMIT_MAG = 21.0
_LEVEL_12 = HEALPix(1 << 12, order="nested")
_LEVEL_8 = HEALPix(1 << 8, order="nested")
# A file of the archive holds a run of level-8 pixels; here 16, which is one pixel of level 6.
_PIXELS_PER_FILE = 16
_FLUX_ZERO_POINTS = {"gaia_g": 25.6874, "gaia_bp": 25.3385, "gaia_rp": 24.7479}
_ARROW_TYPES = {
    "int64": pa.int64(),
    "int16": pa.int16(),
    "float64": pa.float64(),
    "float32": pa.float32(),
    "bool": pa.bool_(),
    "string": pa.string(),
}


@dataclass(slots=True)
class GaiaCatalogue:
    """What Gaia says of one field.

    Attributes
    ----------
    entries : Entries
        Positions at 2016.0.
    source_id : ndarray of int64, shape (n,)
    pmra, pmdec, parallax, radial_velocity : ndarray of float64, shape (n,)
        As written; NaN for null.
    g_mag : ndarray of float64, shape (n,)
        True G magnitude, Vega.
    has_xp : ndarray of bool, shape (n,)
    table : pyarrow.Table
        All columns.
    """

    entries: Entries
    source_id: Int
    pmra: Float
    pmdec: Float
    parallax: Float
    radial_velocity: Float
    g_mag: Float
    has_xp: Bool
    table: pa.Table

    def at_epoch(self, jyear: float) -> tuple[Float, Float]:
        """Positions that the written columns give at another epoch."""
        return space_motion(
            self.entries.ra,
            self.entries.dec,
            self.pmra,
            self.pmdec,
            self.parallax,
            np.nan_to_num(self.radial_velocity),
            jyear - GAIA_EPOCH,
        )


def make_gaia(sky: Sky, catalogue: SplusCatalogue) -> GaiaCatalogue:
    """Let Gaia observe a field.

    Parameters
    ----------
    sky : Sky
    catalogue : SplusCatalogue

    Returns
    -------
    GaiaCatalogue
    """
    rng = sky.field.random("gaia")
    g_true = sky.mags["gaia_g"] - VEGA_OFFSETS["gaia_g"]
    compact = (sky.kind != GALAXY) | (
        (np.nan_to_num(sky.population.half_light_arcsec) < 0.7) & (rng.uniform(size=len(sky)) < 0.5)
    )
    found = (g_true < _FAINT_LIMIT_MAG) & compact & (rng.uniform(size=len(sky)) < 0.985)
    found |= sky.population.fast >= 0
    seen = np.flatnonzero(found)
    ra, dec = (values[seen] for values in sky.at_epoch(GAIA_EPOCH))
    spread = _astrometric_error(g_true[seen]) / 1000.0
    ra, dec = offset(ra, dec, spread * rng.normal(size=len(seen)), spread * rng.normal(size=len(seen)))
    lenders = seen[sky.kind[seen] == STAR]
    entries = assemble_entries(
        sky.field,
        rng,
        seen=seen,
        seen_ra=ra,
        seen_dec=dec,
        catalogue_ra=catalogue.ra,
        catalogue_dec=catalogue.dec,
        radius_arcsec=GAIA_RADIUS_ARCSEC,
        lenders=lenders[sky.population.fast[lenders] < 0],
        strangers_per_seen=0.12,
    )
    columns = _astrometry(sky, entries, rng)
    g_mag = g_true[entries.template] + entries.fainter
    columns.update(_photometry(sky, entries, rng))
    columns.update(_parameters(sky, entries, g_mag, rng))
    columns.update(_fillers(len(entries), rng))
    source_id = _source_ids(entries)
    has_xp = (g_mag < XP_LIMIT_MAG) & (sky.kind[entries.template] != GALAXY)
    has_xp &= rng.uniform(size=len(entries)) < 0.97
    columns["source_id"] = source_id
    columns["designation"] = np.array([f"Gaia DR3 {number}" for number in source_id.tolist()])
    columns["has_xp_continuous"] = has_xp
    columns["has_xp_sampled"] = has_xp & (g_mag < 15.0)
    return GaiaCatalogue(
        entries=entries,
        source_id=source_id,
        pmra=columns["pmra"],
        pmdec=columns["pmdec"],
        parallax=columns["parallax"],
        radial_velocity=columns["radial_velocity"].astype(np.float32).astype(np.float64),
        g_mag=g_mag,
        has_xp=has_xp,
        table=_to_arrow(columns),
    )


def write_by_range(
    folder: Path,
    prefix: str,
    field: MockField,
    columns: list[EcsvColumn],
    table: pa.Table,
) -> None:
    """Write rows into files named by their inclusive ranges of level-8 pixels.

    Parameters
    ----------
    folder : Path
    prefix : str
        ``GaiaSource`` or ``XpContinuousMeanSpectrum``.
    field : MockField
        Every range that the field touches gets its file, even one without rows.
    columns : list of EcsvColumn
    table : pyarrow.Table
        With ``source_id``.
    """
    centre = (field.ra * u.deg, field.dec * u.deg)
    reach = (1.5 * field.half_size_arcsec + 150.0) * u.arcsec
    touched = _LEVEL_8.cone_search_lonlat(*centre, radius=reach) // _PIXELS_PER_FILE
    source_id = np.asarray(table.column("source_id").to_numpy())
    block = (source_id >> 43) // _PIXELS_PER_FILE
    for number in np.union1d(touched, block).tolist():
        first = number * _PIXELS_PER_FILE
        name = f"{prefix}_{first:06d}-{first + _PIXELS_PER_FILE - 1:06d}.csv.gz"
        rows = np.flatnonzero(block == number)
        rows = rows[np.argsort(source_id[rows], kind="stable")]
        write_ecsv(folder / name, columns, table.take(pa.array(rows)))


def _source_ids(entries: Entries) -> Int:
    pixel = np.asarray(_LEVEL_12.lonlat_to_healpix(entries.ra * u.deg, entries.dec * u.deg))
    number = np.arange(1, len(entries) + 1, dtype=np.int64)
    return (pixel.astype(np.int64) << 35) | (number << 7)


def _astrometric_error(g_mag: Float) -> Float:
    """Position error in mas after Lindegren et al. 2021, A&A 649, A2, table 4."""
    return np.asarray(np.hypot(0.018, 0.4 * 10.0 ** (0.31 * (g_mag - 20.0))))


def _astrometry(sky: Sky, entries: Entries, rng: np.random.Generator) -> dict[str, NDArray[np.generic]]:
    count = len(entries)
    template = entries.template
    g_mag = sky.mags["gaia_g"][template] - VEGA_OFFSETS["gaia_g"] + entries.fainter
    error = _astrometric_error(g_mag)
    known = rng.uniform(size=count) > np.where(g_mag > 20.7, 0.5, 0.03)
    known &= ~entries.planted
    fast = (entries.owner >= 0) & (sky.population.fast[template] >= 0)
    known |= fast
    farther = 10.0 ** (0.2 * entries.fainter)
    columns: dict[str, NDArray[np.generic]] = {"ref_epoch": np.full(count, GAIA_EPOCH)}
    for name, truth, factor in (
        ("parallax", sky.parallax, 1.15),
        ("pmra", sky.pmra, 1.05),
        ("pmdec", sky.pmdec, 1.0),
    ):
        sigma = factor * error
        values = truth[template] / farther + sigma * rng.standard_normal(count)
        columns[name] = np.where(known, np.round(values, 12), np.nan)
        columns[f"{name}_error"] = np.where(known, sigma, np.nan)
    columns["parallax_over_error"] = columns["parallax"] / columns["parallax_error"]
    columns["pm"] = np.hypot(columns["pmra"], columns["pmdec"])
    columns["astrometric_params_solved"] = np.where(known, 31, 3)
    columns["ra"], columns["dec"] = entries.ra, entries.dec
    columns["ra_error"] = error * rng.uniform(0.9, 1.1, count)
    columns["dec_error"] = error * rng.uniform(0.9, 1.1, count)
    columns["astrometric_sigma5d_max"] = np.where(known, 1.6 * error, np.nan)
    for name in (
        "ra_parallax",
        "ra_pmra",
        "ra_pmdec",
        "dec_parallax",
        "dec_pmra",
        "dec_pmdec",
        "parallax_pmra",
        "parallax_pmdec",
        "pmra_pmdec",
    ):
        columns[f"{name}_corr"] = np.where(known, rng.uniform(-0.4, 0.4, count), np.nan)
    columns["ra_dec_corr"] = rng.uniform(-0.4, 0.4, count)
    columns["ruwe"] = np.where(known, rng.gamma(400.0, 1.0 / 400.0, count) + 0.01, np.nan)
    columns["nu_eff_used_in_astrometry"] = np.where(known, rng.uniform(1.3, 1.7, count), np.nan)
    spectrum = (sky.kind[template] == STAR) & ~entries.planted & (g_mag < 14.8)
    has_velocity = (spectrum & (rng.uniform(size=count) < 0.85)) | fast & (
        sky.population.fast[template] < 2
    )
    velocity_error = 0.3 + 1.2 * 10.0 ** (0.4 * (g_mag - 14.0))
    velocity = np.nan_to_num(sky.radial_velocity)[template]
    velocity = velocity + velocity_error * rng.standard_normal(count)
    columns["radial_velocity"] = np.where(has_velocity, velocity, np.nan)
    columns["radial_velocity_error"] = np.where(has_velocity, velocity_error, np.nan)
    columns["rv_method_used"] = np.where(has_velocity, 1.0, np.nan)
    columns["rv_nb_transits"] = np.where(has_velocity, rng.integers(6, 30, count), np.nan)
    rounded = 250.0 * np.round(np.nan_to_num(sky.population.teff)[template] / 250.0)
    columns["rv_template_teff"] = np.where(has_velocity, rounded, np.nan)
    columns["has_rvs"] = has_velocity & (g_mag < 13.5)
    galactic = _galactic(entries)
    columns["l"], columns["b"] = galactic
    return columns


def _galactic(entries: Entries) -> tuple[Float, Float]:
    from astropy.coordinates import SkyCoord

    position = SkyCoord(entries.ra, entries.dec, unit="deg").galactic
    return position.l.to_value(u.deg), position.b.to_value(u.deg)


def _photometry(sky: Sky, entries: Entries, rng: np.random.Generator) -> dict[str, NDArray[np.generic]]:
    columns: dict[str, NDArray[np.generic]] = {}
    floors = {"gaia_g": (0.0006, 0.0045), "gaia_bp": (0.0025, 0.055), "gaia_rp": (0.002, 0.045)}
    mags = {}
    for name, (floor, at_20) in floors.items():
        true = sky.mags[name][entries.template] - VEGA_OFFSETS[name] + entries.fainter
        error = np.hypot(floor, at_20 * 10.0 ** (0.36 * (true - 20.0)))
        mag, mag_error = noisy_magnitudes(true, error, rng)
        flux = 10.0 ** (-0.4 * (mag - _FLUX_ZERO_POINTS[name]))
        short = f"phot_{name[5:]}"
        columns[f"{short}_mean_flux"] = flux
        columns[f"{short}_mean_flux_error"] = flux * mag_error * np.log(10.0) / 2.5
        columns[f"{short}_mean_flux_over_error"] = 2.5 / np.log(10.0) / mag_error
        columns[f"{short}_mean_mag"] = mag
        columns[f"{short}_n_obs"] = rng.integers(12, 420 if name == "gaia_g" else 48, len(entries))
        mags[name] = mag
    columns["bp_rp"] = mags["gaia_bp"] - mags["gaia_rp"]
    columns["bp_g"] = mags["gaia_bp"] - mags["gaia_g"]
    columns["g_rp"] = mags["gaia_g"] - mags["gaia_rp"]
    columns["phot_bp_rp_excess_factor"] = (
        np.asarray(columns["phot_bp_mean_flux"]) + np.asarray(columns["phot_rp_mean_flux"])
    ) / np.asarray(columns["phot_g_mean_flux"])
    return columns


def _parameters(
    sky: Sky, entries: Entries, g_mag: Float, rng: np.random.Generator
) -> dict[str, NDArray[np.generic]]:
    count = len(entries)
    population, template = sky.population, entries.template
    given = (sky.kind[template] == STAR) & ~entries.planted & (g_mag < 18.6)
    given &= rng.uniform(size=count) < 0.85
    noise = 10.0 ** (0.12 * np.clip(g_mag - 15.0, -2.0, 4.0))
    columns: dict[str, NDArray[np.generic]] = {}
    for name, truth, sigma in (
        ("teff", population.teff, 0.014 * np.nan_to_num(population.teff)[template]),
        ("logg", population.logg, np.full(count, 0.14)),
        ("mh", population.feh, np.full(count, 0.18)),
    ):
        sigma = sigma * noise
        value = truth[template] + sigma * rng.standard_normal(count)
        for suffix, shift in (("", 0.0), ("_lower", -1.0), ("_upper", 1.0)):
            columns[f"{name}_gspphot{suffix}"] = np.where(given, value + shift * sigma, np.nan)
    reddening = 3.1 * population.ebv[template]
    columns["azero_gspphot"] = np.where(given, reddening, np.nan)
    columns["ag_gspphot"] = np.where(given, 0.85 * reddening, np.nan)
    columns["ebpminrp_gspphot"] = np.where(given, 0.45 * reddening, np.nan)
    distance = population.distance_pc[template] * 10.0 ** (0.2 * entries.fainter)
    columns["distance_gspphot"] = np.where(given, distance, np.nan)
    columns["libname_gspphot"] = np.where(given, "MARCS", "")
    variable = sky.variability[template]
    columns["phot_variable_flag"] = np.where(
        (variable == RR_LYRAE) | (variable == DAMPED_WALK), "VARIABLE", "NOT_AVAILABLE"
    )
    kind = sky.kind[template]
    columns["in_qso_candidates"] = kind == QUASAR
    columns["in_galaxy_candidates"] = kind == GALAXY
    for name, which in (("quasar", QUASAR), ("galaxy", GALAXY), ("star", STAR)):
        certain = rng.uniform(0.9, 1.0, count)
        columns[f"classprob_dsc_combmod_{name}"] = np.where(
            kind == which, certain, (1.0 - certain) / 2.0
        )
    columns["has_epoch_photometry"] = variable == RR_LYRAE
    return columns


def _fillers(count: int, rng: np.random.Generator) -> dict[str, NDArray[np.generic]]:
    """Columns of the archive that nothing else depends on."""
    observations = rng.integers(150, 420, count)
    return {
        "solution_id": np.full(count, _SOLUTION_ID),
        "random_index": rng.permutation(count) + 1,
        "astrometric_n_obs_al": observations,
        "astrometric_n_good_obs_al": observations - rng.integers(0, 9, count),
        "astrometric_gof_al": rng.normal(0.0, 1.5, count),
        "astrometric_chi2_al": observations * rng.gamma(200.0, 1.0 / 200.0, count),
        "astrometric_excess_noise": np.maximum(rng.normal(0.0, 0.2, count), 0.0),
        "astrometric_excess_noise_sig": rng.exponential(0.5, count),
        "astrometric_primary_flag": np.zeros(count, dtype=bool),
        "astrometric_matched_transits": observations // 9,
        "visibility_periods_used": rng.integers(10, 25, count),
        "matched_transits": observations // 9 + 1,
        "ipd_frac_multi_peak": np.zeros(count, dtype=np.int64),
        "duplicated_source": np.zeros(count, dtype=bool),
        "phot_proc_mode": np.zeros(count, dtype=np.int64),
        "non_single_star": np.zeros(count, dtype=np.int64),
    }


def _to_arrow(columns: dict[str, NDArray[np.generic]]) -> pa.Table:
    arrays = []
    for column in GAIA_COLUMNS:
        values = pa.array(columns[column.name], from_pandas=True)
        if column.datatype == "string":
            text = np.asarray(columns[column.name])
            values = pa.array([item or None for item in text.tolist()], pa.string())
        arrays.append(values.cast(_ARROW_TYPES[column.datatype]))
    return pa.table(arrays, names=[column.name for column in GAIA_COLUMNS])
