"""The columns of Gaia DR3 ``gaia_source`` that the mock fills.

Names, datatypes and units are those of the archive's data model (Gaia Collaboration 2022,
gaia_source), in its order.
"""

from __future__ import annotations

from splus_hypercube.mock.ecsv import EcsvColumn

__all__ = ["GAIA_COLUMNS"]

_FLUX = "'electron'.s**-1"
_MOTION = "mas.yr**-1"
_GRAVITY = "log(cm.s**-2)"

# Name, datatype, unit, UCD.
_TABLE = (
    ("solution_id", "int64", "", "meta.version"),
    ("designation", "string", "", "meta.id;meta.main"),
    ("source_id", "int64", "", "meta.id"),
    ("random_index", "int64", "", "meta.code"),
    ("ref_epoch", "float64", "yr", "meta.ref;time.epoch"),
    ("ra", "float64", "deg", "pos.eq.ra;meta.main"),
    ("ra_error", "float32", "mas", "stat.error;pos.eq.ra"),
    ("dec", "float64", "deg", "pos.eq.dec;meta.main"),
    ("dec_error", "float32", "mas", "stat.error;pos.eq.dec"),
    ("parallax", "float64", "mas", "pos.parallax.trig"),
    ("parallax_error", "float32", "mas", "stat.error;pos.parallax.trig"),
    ("parallax_over_error", "float32", "", "stat.snr;pos.parallax.trig"),
    ("pm", "float32", _MOTION, "pos.pm"),
    ("pmra", "float64", _MOTION, "pos.pm;pos.eq.ra"),
    ("pmra_error", "float32", _MOTION, "stat.error;pos.pm;pos.eq.ra"),
    ("pmdec", "float64", _MOTION, "pos.pm;pos.eq.dec"),
    ("pmdec_error", "float32", _MOTION, "stat.error;pos.pm;pos.eq.dec"),
    ("ra_dec_corr", "float32", "", "stat.correlation;pos.eq.ra;pos.eq.dec"),
    ("ra_parallax_corr", "float32", "", "stat.correlation;pos.eq.ra;pos.parallax"),
    ("ra_pmra_corr", "float32", "", "stat.correlation;pos.eq.ra;pos.pm"),
    ("ra_pmdec_corr", "float32", "", "stat.correlation;pos.eq.ra;pos.pm"),
    ("dec_parallax_corr", "float32", "", "stat.correlation;pos.eq.dec;pos.parallax"),
    ("dec_pmra_corr", "float32", "", "stat.correlation;pos.eq.dec;pos.pm"),
    ("dec_pmdec_corr", "float32", "", "stat.correlation;pos.eq.dec;pos.pm"),
    ("parallax_pmra_corr", "float32", "", "stat.correlation;pos.parallax;pos.pm"),
    ("parallax_pmdec_corr", "float32", "", "stat.correlation;pos.parallax;pos.pm"),
    ("pmra_pmdec_corr", "float32", "", "stat.correlation;pos.pm;pos.pm"),
    ("astrometric_n_obs_al", "int16", "", "meta.number"),
    ("astrometric_n_good_obs_al", "int16", "", "meta.number"),
    ("astrometric_gof_al", "float32", "", "stat.fit.goodness"),
    ("astrometric_chi2_al", "float32", "", "stat.fit.chi2"),
    ("astrometric_excess_noise", "float32", "mas", "stat.value"),
    ("astrometric_excess_noise_sig", "float32", "", "stat.value"),
    ("astrometric_params_solved", "int16", "", "meta.number"),
    ("astrometric_primary_flag", "bool", "", "meta.code"),
    ("nu_eff_used_in_astrometry", "float32", "um**-1", "em.wavenumber"),
    ("astrometric_matched_transits", "int16", "", "meta.number"),
    ("visibility_periods_used", "int16", "", "meta.number"),
    ("astrometric_sigma5d_max", "float32", "mas", "stat.max"),
    ("matched_transits", "int16", "", "meta.number"),
    ("ipd_frac_multi_peak", "int16", "", "instr.det.psf"),
    ("ruwe", "float32", "", "stat.error"),
    ("duplicated_source", "bool", "", "meta.code.status"),
    ("phot_g_n_obs", "int16", "", "meta.number"),
    ("phot_g_mean_flux", "float64", _FLUX, "phot.flux;em.opt"),
    ("phot_g_mean_flux_error", "float32", _FLUX, "stat.error;phot.flux;em.opt"),
    ("phot_g_mean_flux_over_error", "float32", "", "stat.snr;phot.flux;em.opt"),
    ("phot_g_mean_mag", "float32", "mag", "phot.mag;em.opt"),
    ("phot_bp_n_obs", "int16", "", "meta.number"),
    ("phot_bp_mean_flux", "float64", _FLUX, "phot.flux;em.opt.B"),
    ("phot_bp_mean_flux_error", "float32", _FLUX, "stat.error;phot.flux;em.opt.B"),
    ("phot_bp_mean_flux_over_error", "float32", "", "stat.snr;phot.flux;em.opt.B"),
    ("phot_bp_mean_mag", "float32", "mag", "phot.mag;em.opt.B"),
    ("phot_rp_n_obs", "int16", "", "meta.number"),
    ("phot_rp_mean_flux", "float64", _FLUX, "phot.flux;em.opt.R"),
    ("phot_rp_mean_flux_error", "float32", _FLUX, "stat.error;phot.flux;em.opt.R"),
    ("phot_rp_mean_flux_over_error", "float32", "", "stat.snr;phot.flux;em.opt.R"),
    ("phot_rp_mean_mag", "float32", "mag", "phot.mag;em.opt.R"),
    ("phot_bp_rp_excess_factor", "float32", "", "arith.factor;phot.flux;em.opt"),
    ("phot_proc_mode", "int16", "", "meta.code"),
    ("bp_rp", "float32", "mag", "phot.color;em.opt.B;em.opt.R"),
    ("bp_g", "float32", "mag", "phot.color;em.opt.B;em.opt"),
    ("g_rp", "float32", "mag", "phot.color;em.opt;em.opt.R"),
    ("radial_velocity", "float32", "km.s**-1", "spect.dopplerVeloc.opt;em.opt.I"),
    ("radial_velocity_error", "float32", "km.s**-1", "stat.error;spect.dopplerVeloc.opt"),
    ("rv_method_used", "int16", "", "meta.code.class"),
    ("rv_nb_transits", "int16", "", "meta.number"),
    ("rv_template_teff", "float32", "K", "phys.temperature.effective"),
    ("phot_variable_flag", "string", "", "meta.code;src.var"),
    ("l", "float64", "deg", "pos.galactic.lon"),
    ("b", "float64", "deg", "pos.galactic.lat"),
    ("in_qso_candidates", "bool", "", "meta.code"),
    ("in_galaxy_candidates", "bool", "", "meta.code"),
    ("non_single_star", "int16", "", "meta.code.multip"),
    ("has_xp_continuous", "bool", "", "meta.code"),
    ("has_xp_sampled", "bool", "", "meta.code"),
    ("has_rvs", "bool", "", "meta.code"),
    ("has_epoch_photometry", "bool", "", "meta.code"),
    ("classprob_dsc_combmod_quasar", "float32", "", "stat.probability"),
    ("classprob_dsc_combmod_galaxy", "float32", "", "stat.probability"),
    ("classprob_dsc_combmod_star", "float32", "", "stat.probability"),
    ("teff_gspphot", "float32", "K", "phys.temperature.effective"),
    ("teff_gspphot_lower", "float32", "K", "phys.temperature.effective;stat.min"),
    ("teff_gspphot_upper", "float32", "K", "phys.temperature.effective;stat.max"),
    ("logg_gspphot", "float32", _GRAVITY, "phys.gravity"),
    ("logg_gspphot_lower", "float32", _GRAVITY, "phys.gravity;stat.min"),
    ("logg_gspphot_upper", "float32", _GRAVITY, "phys.gravity;stat.max"),
    ("mh_gspphot", "float32", "'dex'", "phys.abund.Z"),
    ("mh_gspphot_lower", "float32", "'dex'", "phys.abund.Z;stat.min"),
    ("mh_gspphot_upper", "float32", "'dex'", "phys.abund.Z;stat.max"),
    ("distance_gspphot", "float32", "pc", "pos.distance;pos.eq"),
    ("azero_gspphot", "float32", "mag", "phys.absorption;em.opt"),
    ("ag_gspphot", "float32", "mag", "phys.absorption;em.opt"),
    ("ebpminrp_gspphot", "float32", "mag", "phot.color.excess"),
    ("libname_gspphot", "string", "", "meta.note"),
)

GAIA_COLUMNS = [
    EcsvColumn(name, datatype, unit, name.replace("_", " ").capitalize(), ucd)
    for name, datatype, unit, ucd in _TABLE
]
