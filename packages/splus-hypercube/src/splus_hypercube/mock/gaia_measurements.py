"""What Gaia measures of its sources: astrometry, photometry and astrophysical parameters."""

from __future__ import annotations

import numpy as np
from astropy import units as u
from astropy.coordinates import SkyCoord
from numpy.typing import NDArray

from splus_hypercube.mock.objects import Entries
from splus_hypercube.mock.photometry import VEGA_OFFSETS, noisy_magnitudes
from splus_hypercube.mock.population import GALAXY, QUASAR, STAR
from splus_hypercube.mock.sky import DAMPED_WALK, RR_LYRAE, Sky

__all__ = [
    "GAIA_EPOCH",
    "Columns",
    "astrometric_error",
    "measure_astrometry",
    "measure_parameters",
    "measure_photometry",
    "other_columns",
]

Float = NDArray[np.float64]
Columns = dict[str, NDArray[np.generic]]

GAIA_EPOCH = 2016.0

_SOLUTION_ID = 1636148068921376768
_FLUX_ZERO_POINTS = {"gaia_g": 25.6874, "gaia_bp": 25.3385, "gaia_rp": 24.7479}
# Smallest error and error at magnitude 20, as fractions of the flux.
_FLUX_ERRORS = {"gaia_g": (0.0006, 0.0045), "gaia_bp": (0.0025, 0.055), "gaia_rp": (0.002, 0.045)}
_CORRELATIONS = (
    "ra_parallax",
    "ra_pmra",
    "ra_pmdec",
    "dec_parallax",
    "dec_pmra",
    "dec_pmdec",
    "parallax_pmra",
    "parallax_pmdec",
    "pmra_pmdec",
)


def astrometric_error(g_mag: Float) -> Float:
    """Position error in mas after Lindegren et al. 2021, A&A 649, A2, table 4."""
    return np.asarray(np.hypot(0.018, 0.4 * 10.0 ** (0.31 * (g_mag - 20.0))))


def measure_astrometry(sky: Sky, entries: Entries, rng: np.random.Generator) -> Columns:
    count = len(entries)
    template = entries.template
    g_mag = sky.mags["gaia_g"][template] - VEGA_OFFSETS["gaia_g"] + entries.fainter
    error = astrometric_error(g_mag)
    known = rng.uniform(size=count) > np.where(g_mag > 20.7, 0.5, 0.03)
    known &= ~entries.planted
    fast = (entries.owner >= 0) & (sky.population.fast[template] >= 0)
    known |= fast
    farther = 10.0 ** (0.2 * entries.fainter)
    columns: Columns = {"ref_epoch": np.full(count, GAIA_EPOCH)}
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


def measure_photometry(sky: Sky, entries: Entries, rng: np.random.Generator) -> Columns:
    columns: Columns = {}
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


def measure_parameters(
    sky: Sky, entries: Entries, g_mag: Float, rng: np.random.Generator
) -> Columns:
    count = len(entries)
    population, template = sky.population, entries.template
    given = (sky.kind[template] == STAR) & ~entries.planted & (g_mag < 18.6)
    given &= rng.uniform(size=count) < 0.85
    noise = 10.0 ** (0.12 * np.clip(g_mag - 15.0, -2.0, 4.0))
    columns: Columns = {}
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


def other_columns(count: int, rng: np.random.Generator) -> Columns:
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
