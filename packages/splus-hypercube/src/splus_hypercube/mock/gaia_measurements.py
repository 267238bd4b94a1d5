"""What Gaia measures of its sources: astrometry, photometry and astrophysical parameters."""

from __future__ import annotations

from typing import Any

import numpy as np
from astropy import units as u
from astropy.coordinates import SkyCoord
from numpy.typing import NDArray

from splus_hypercube.mock.extinction import TOTAL_TO_SELECTIVE
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
Columns = dict[str, NDArray[Any]]

GAIA_EPOCH = 2016.0
"""Reference epoch of Gaia DR3, Julian years (TCB)."""

_SOLUTION_ID = 1636148068921376768
_FAINT_TWO_PARAMETER_MAG = 20.7
_VELOCITY_LIMIT_MAG = 14.8
_PARAMETER_LIMIT_MAG = 18.6
# Magnitude of one electron per second: Riello et al. 2021, A&A 649, A3, table 5.
_ZERO_POINTS = {"gaia_g": 25.6874, "gaia_bp": 25.3385, "gaia_rp": 24.7479}
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
    """Position error in mas, after Lindegren et al. 2021, A&A 649, A2, table 4."""
    return np.asarray(np.hypot(0.018, 0.4 * 10.0 ** (0.31 * (g_mag - 20.0))))


def measure_astrometry(
    sky: Sky, entries: Entries, g_mag: Float, rng: np.random.Generator
) -> Columns:
    """Positions at 2016.0, proper motions, parallaxes and radial velocities.

    Parameters
    ----------
    sky : Sky
    entries : Entries
    g_mag : ndarray of float64, shape (n,)
        True G magnitudes.
    rng : numpy.random.Generator

    Returns
    -------
    dict of str to ndarray, shape (n,)
        Columns of ``gaia_source``; NaN where Gaia gives no value, such as the proper motions of
        two-parameter solutions.
    """
    count = len(entries)
    template = entries.template
    fast = (entries.owner >= 0) & (sky.population.fast[template] >= 0)
    known = rng.uniform(size=count) > np.where(g_mag > _FAINT_TWO_PARAMETER_MAG, 0.5, 0.03)
    known = (known & ~entries.planted) | fast
    error = astrometric_error(g_mag)
    farther = 10.0 ** (0.2 * entries.fainter)
    pmra, pmdec = sky.proper_motion_at(GAIA_EPOCH)
    columns: Columns = {}
    for name, truth, factor in (
        ("parallax", sky.parallax, 1.15),
        ("pmra", pmra, 1.05),
        ("pmdec", pmdec, 1.0),
    ):
        sigma = factor * error
        values = truth[template] / farther + sigma * rng.standard_normal(count)
        columns[name] = np.where(known, values, np.nan)
        columns[f"{name}_error"] = np.where(known, sigma, np.nan)
    for name in _CORRELATIONS:
        columns[f"{name}_corr"] = np.where(known, rng.uniform(-0.4, 0.4, count), np.nan)
    galactic = SkyCoord(entries.ra, entries.dec, unit="deg").galactic
    columns.update(
        ref_epoch=np.full(count, GAIA_EPOCH),
        ra=entries.ra,
        dec=entries.dec,
        l=galactic.l.to_value(u.deg),
        b=galactic.b.to_value(u.deg),
        ra_error=error * rng.uniform(0.9, 1.1, count),
        dec_error=error * rng.uniform(0.9, 1.1, count),
        ra_dec_corr=rng.uniform(-0.4, 0.4, count),
        parallax_over_error=columns["parallax"] / columns["parallax_error"],
        pm=np.hypot(columns["pmra"], columns["pmdec"]),
        astrometric_params_solved=np.where(known, 31, 3),
        astrometric_sigma5d_max=np.where(known, 1.6 * error, np.nan),
        ruwe=np.where(known, rng.gamma(400.0, 1.0 / 400.0, count), np.nan),
        nu_eff_used_in_astrometry=np.where(known, rng.uniform(1.3, 1.7, count), np.nan),
    )
    columns.update(_velocities(sky, entries, g_mag, fast, rng))
    return columns


def _velocities(
    sky: Sky, entries: Entries, g_mag: Float, fast: NDArray[np.bool_], rng: np.random.Generator
) -> Columns:
    count = len(entries)
    template = entries.template
    measured = (sky.kind[template] == STAR) & ~entries.planted & (g_mag < _VELOCITY_LIMIT_MAG)
    measured &= rng.uniform(size=count) < 0.85
    # The two fastest stars have one, so that the change of their distance matters.
    measured |= fast & (sky.population.fast[template] < 2)
    error = 0.3 + 1.2 * 10.0 ** (0.4 * (g_mag - 14.0))
    velocity = sky.radial_velocity[template] + error * rng.standard_normal(count)
    teff = 250.0 * np.round(sky.population.teff[template] / 250.0)
    return {
        "radial_velocity": np.where(measured, velocity, np.nan),
        "radial_velocity_error": np.where(measured, error, np.nan),
        "rv_method_used": np.where(measured, 1.0, np.nan),
        "rv_nb_transits": np.where(measured, rng.integers(6, 30, count), np.nan),
        "rv_template_teff": np.where(measured, teff, np.nan),
        "has_rvs": measured & (g_mag < 13.5),
    }


def measure_photometry(sky: Sky, entries: Entries, rng: np.random.Generator) -> Columns:
    """Fluxes and Vega magnitudes in G, BP and RP."""
    columns: Columns = {}
    for name, (floor, at_20) in _FLUX_ERRORS.items():
        true = sky.mags[name][entries.template] - VEGA_OFFSETS[name] + entries.fainter
        error = np.hypot(floor, at_20 * 10.0 ** (0.36 * (true - 20.0)))
        mag, mag_error = noisy_magnitudes(true, error, rng)
        flux = 10.0 ** (-0.4 * (mag - _ZERO_POINTS[name]))
        short = f"phot_{name.removeprefix('gaia_')}"
        columns[f"{short}_mean_flux"] = flux
        columns[f"{short}_mean_flux_error"] = flux * mag_error * np.log(10.0) / 2.5
        columns[f"{short}_mean_flux_over_error"] = 2.5 / np.log(10.0) / mag_error
        columns[f"{short}_mean_mag"] = mag
        columns[f"{short}_n_obs"] = rng.integers(12, 420 if name == "gaia_g" else 48, len(entries))
    g, bp, rp = (columns[f"phot_{short}_mean_mag"] for short in ("g", "bp", "rp"))
    both = columns["phot_bp_mean_flux"] + columns["phot_rp_mean_flux"]
    columns.update(
        bp_rp=bp - rp,
        bp_g=bp - g,
        g_rp=g - rp,
        phot_bp_rp_excess_factor=both / columns["phot_g_mean_flux"],
    )
    return columns


def measure_parameters(
    sky: Sky, entries: Entries, g_mag: Float, rng: np.random.Generator
) -> Columns:
    """Parameters of stars as GSP-Phot gives them, classes and variability."""
    count = len(entries)
    population, template = sky.population, entries.template
    kind = sky.kind[template]
    given = (kind == STAR) & ~entries.planted & (g_mag < _PARAMETER_LIMIT_MAG)
    given &= rng.uniform(size=count) < 0.85
    noise = 10.0 ** (0.12 * np.clip(g_mag - 15.0, -2.0, 4.0))
    columns: Columns = {}
    for name, truth, error in (
        ("teff", population.teff, 0.014 * population.teff[template]),
        ("logg", population.logg, np.full(count, 0.14)),
        ("mh", population.feh, np.full(count, 0.18)),
    ):
        sigma = error * noise
        value = truth[template] + sigma * rng.standard_normal(count)
        for suffix, shift in (("", 0.0), ("_lower", -1.0), ("_upper", 1.0)):
            columns[f"{name}_gspphot{suffix}"] = np.where(given, value + shift * sigma, np.nan)
    absorption = TOTAL_TO_SELECTIVE * population.ebv[template]
    distance = population.distance_pc[template] * 10.0 ** (0.2 * entries.fainter)
    for name, values in (
        ("azero", absorption),
        ("ag", 0.85 * absorption),
        ("ebpminrp", 0.45 * absorption),
        ("distance", distance),
    ):
        columns[f"{name}_gspphot"] = np.where(given, values, np.nan)
    variability = sky.variability[template]
    variable = (variability == RR_LYRAE) | (variability == DAMPED_WALK)
    columns.update(
        libname_gspphot=np.where(given, "MARCS", ""),
        phot_variable_flag=np.where(variable, "VARIABLE", "NOT_AVAILABLE"),
        in_qso_candidates=kind == QUASAR,
        in_galaxy_candidates=kind == GALAXY,
        has_epoch_photometry=variability == RR_LYRAE,
    )
    certain = rng.uniform(0.9, 1.0, count)
    for name, which in (("quasar", QUASAR), ("galaxy", GALAXY), ("star", STAR)):
        probability = np.where(kind == which, certain, (1.0 - certain) / 2.0)
        columns[f"classprob_dsc_combmod_{name}"] = probability
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
