from __future__ import annotations

import numpy as np
import pytest

from splus_hypercube.bands import BANDS, band
from splus_hypercube.mock.absorption import GROUPS, absorption_profiles
from splus_hypercube.mock.extinction import extinction_curve
from splus_hypercube.mock.galaxies import CONTINUA, EMISSION, galaxy_spectra
from splus_hypercube.mock.grid import OPTICAL, SPECTROSCOPIC, LogGrid, shift_rows
from splus_hypercube.mock.photometry import PASSBANDS, band_matrix, magnitude, noisy_magnitudes
from splus_hypercube.mock.population import GALAXY, QUASAR, STAR, Population
from splus_hypercube.mock.quasars import QUASAR_LINES, quasar_spectra
from splus_hypercube.mock.spectra import observed_spectra
from splus_hypercube.mock.stars import planck, star_spectra

NAMES = tuple(item.catalogue_name for item in BANDS)


def colours(teff, logg, feh, alpha_fe=0.1):
    """Magnitudes by band of stars."""
    values = np.broadcast_arrays(*map(np.atleast_1d, (teff, logg, feh, alpha_fe)))
    spectra = star_spectra(OPTICAL, *(np.asarray(item, dtype=float) for item in values))
    mags = magnitude(spectra @ band_matrix(OPTICAL, NAMES))
    return dict(zip(NAMES, mags.T, strict=True))


def line_flux(grid, spectrum, centre, half_width=40.0):
    """Flux above the straight continuum between both sides of a line."""
    wave = grid.wavelength
    inside = np.abs(wave - centre) < half_width
    edges = np.interp([centre - half_width, centre + half_width], wave, spectrum)
    continuum = np.interp(wave, [centre - half_width, centre + half_width], edges)
    return float(((spectrum - continuum) * np.gradient(wave))[inside].sum())


def test_planck_is_that_of_astropy():
    from astropy import units as u
    from astropy.modeling.physical_models import BlackBody

    wave = np.array([3000.0, 6000.0, 22000.0])
    model = BlackBody(5800 * u.K, scale=1 * u.erg / u.s / u.cm**2 / u.AA / u.sr)
    expected = (model(wave * u.AA) * np.pi * u.sr).to_value(u.erg / u.s / u.cm**2 / u.AA)
    np.testing.assert_allclose(planck(wave, np.array([5800.0]))[0], expected, rtol=1e-6)


def test_extinction_curve_has_the_published_values():
    # Cardelli, Clayton and Mathis 1989, table 3, R_V = 3.1.
    wave = 1e4 / np.array([2.78, 2.27, 1.82, 1.43, 1.11, 0.80, 0.63, 0.46])
    published = [1.569, 1.337, 1.000, 0.751, 0.479, 0.282, 0.190, 0.114]
    # The published polynomials and the published table differ by 0.014 in B.
    np.testing.assert_allclose(extinction_curve(wave), published, atol=0.016)


def test_a_flat_spectrum_has_the_same_ab_magnitude_in_all_bands():
    flux = 2.99792458e18 / OPTICAL.wavelength**2 * 10 ** (-0.4 * (17.0 + 48.6))
    mags = magnitude(flux[None] @ band_matrix(OPTICAL, NAMES))
    np.testing.assert_allclose(mags, 17.0, atol=1e-10)


def test_bands_have_the_published_centres_and_widths():
    wave = np.arange(2950.0, 11_100.0)
    for item in BANDS:
        transmission = PASSBANDS[item.catalogue_name].transmission(wave)
        above = wave[transmission > 0.5 * transmission.max()]
        assert above[-1] - above[0] == pytest.approx(item.width_angstrom, rel=0.02)
        middle = np.average(wave, weights=transmission)
        assert middle == pytest.approx(item.wavelength_angstrom, abs=0.02 * item.width_angstrom)


def test_synthetic_magnitudes_do_not_depend_on_the_grid():
    fine = LogGrid.covering(2950.0, 11_100.0, OPTICAL.step / 4)
    parameters = (np.array([4800.0]), np.array([4.5]), np.array([0.1]), np.array([0.0]))
    coarse = magnitude(star_spectra(OPTICAL, *parameters) @ band_matrix(OPTICAL, NAMES))
    exact = magnitude(star_spectra(fine, *parameters) @ band_matrix(fine, NAMES))
    np.testing.assert_allclose(coarse, exact, atol=2e-3)


def test_temperature_reddens():
    teff = np.array([3200.0, 4000.0, 5000.0, 6000.0, 7500.0, 9000.0])
    mags = colours(teff, 4.5, -0.2)
    assert (np.diff(mags["g"] - mags["i"]) < -0.1).all()


@pytest.mark.parametrize("teff", [4600.0, 5300.0, 6000.0])
def test_metals_blanket_the_blue(teff):
    mags = colours(teff, 4.5, np.array([-1.0, 0.0]))
    blue = mags["u"] - mags["g"]
    red = mags["i"] - mags["z"]
    assert blue[1] - blue[0] > 0.1
    assert abs(red[1] - red[0]) < 0.03
    calcium = mags["j0395"] - mags["g"]
    assert calcium[1] - calcium[0] > 0.12


def test_gravity_changes_the_balmer_jump_of_hot_stars_and_magnesium_of_cool_ones():
    hot = colours(8500.0, np.array([3.0, 4.3]), -0.5)
    jump = hot["u"] - hot["g"]
    assert jump[0] - jump[1] > 0.08
    cool = colours(4300.0, np.array([1.5, 4.6]), -0.3)
    magnesium = cool["j0515"] - cool["r"]
    assert magnesium[1] - magnesium[0] > 0.04


def test_alpha_elements_have_lines_of_their_own():
    mags = colours(4500.0, 4.6, -0.3, np.array([0.0, 0.4]))
    assert (mags["j0515"] - mags["r"])[1] - (mags["j0515"] - mags["r"])[0] > 0.01


def test_blurring_lines_keeps_their_equivalent_widths():
    wave = SPECTROSCOPIC.wavelength
    step = np.gradient(wave)
    sharp, blurred = absorption_profiles(wave), absorption_profiles(wave, 200.0)
    for name in ("magnesium_b", "sodium", "iron", "calcium_triplet"):
        row = GROUPS.index(name)
        assert (blurred[row] * step).sum() == pytest.approx((sharp[row] * step).sum(), rel=1e-3)
        assert blurred[row].max() < sharp[row].max()


def test_galaxies_emit_lines_of_the_given_width_at_their_redshift():
    light = np.zeros((1, len(CONTINUA)))
    light[0, CONTINUA.index("young")] = 1.0
    ratios = np.zeros((1, len(EMISSION)))
    ratios[0, EMISSION.index("balmer")] = 1.0
    grid = LogGrid.covering(3000.0, 9000.0, 1e-4)
    lines = galaxy_spectra(grid, light, np.array([50.0]), ratios, np.zeros(1))[0]
    bare = galaxy_spectra(grid, light, np.array([0.0]), ratios, np.zeros(1))[0]
    continuum = np.interp(6564.61, grid.wavelength, bare)
    alpha = line_flux(grid, lines - bare, 6564.61)
    assert alpha / continuum == pytest.approx(50.0, rel=0.25)
    assert alpha / line_flux(grid, lines - bare, 4862.68) == pytest.approx(2.86, rel=0.01)
    below, size = 8000, SPECTROSCOPIC.size
    padded = SPECTROSCOPIC.padded(below, 1)
    rest = galaxy_spectra(padded, light, np.array([50.0]), ratios, np.zeros(1))
    shifted = shift_rows(rest, np.log1p([0.2]) / SPECTROSCOPIC.step, below, size)[0]
    at = SPECTROSCOPIC.wavelength[np.argmax(shifted * (SPECTROSCOPIC.wavelength > 7500.0))]
    assert at == pytest.approx(6564.61 * 1.2, abs=0.6)


def test_old_galaxies_have_a_break_at_4000_angstrom():
    grid = LogGrid.covering(3500.0, 6000.0, 1e-4)
    light = np.eye(len(CONTINUA))
    zero = np.zeros(len(CONTINUA))
    spectra = galaxy_spectra(grid, light, zero, np.zeros((len(CONTINUA), len(EMISSION))), zero)
    wave = grid.wavelength
    red = spectra[:, (wave > 4000) & (wave < 4100)].mean(axis=1)
    blue = spectra[:, (wave > 3850) & (wave < 3950)].mean(axis=1)
    strength = dict(zip(CONTINUA, red / blue, strict=True))
    assert strength["old_rich"] > 1.3
    assert strength["young"] < 1.2
    assert strength["old_rich"] > strength["old_poor"] > strength["young"]


def test_quasars_have_broad_lines_and_a_forest():
    grid = LogGrid.covering(900.0, 8000.0, 2e-4)
    scale = np.ones((1, len(QUASAR_LINES)))
    spectrum = quasar_spectra(grid, np.array([-1.5]), scale, np.array([3.0]))[0]
    bare = quasar_spectra(grid, np.array([-1.5]), 0 * scale, np.array([3.0]))[0]
    wave = grid.wavelength
    excess = np.where(bare > 0, spectrum / np.where(bare > 0, bare, 1.0) - 1.0, 0.0)
    carbon = (excess * np.gradient(wave))[(wave > 1500) & (wave < 1600)].sum()
    assert carbon == pytest.approx(24.0, rel=0.1)
    assert bare[(wave < 911)].max() == 0.0
    # Mean transmission of Lyman-alpha at redshift 3: exp(-0.36), Madau 1995.
    near = np.interp([1210.0, 1220.0], wave, bare)
    assert near[0] / near[1] == pytest.approx(np.exp(-0.0036 * 4.0**3.46), rel=0.04)


def test_a_radial_velocity_shifts_the_lines():
    population = Population.empty(np.array([STAR, STAR]))
    population.teff[:], population.logg[:], population.feh[:] = 9000.0, 4.0, -0.5
    population.alpha_fe[:], population.ebv[:], population.scale[:] = 0.1, 0.0, 1.0
    population.redshift[:] = [0.0, 0.001]
    spectra = observed_spectra(population, np.array([0, 1]), SPECTROSCOPIC)
    wave = SPECTROSCOPIC.wavelength
    window = (wave > 6400) & (wave < 6700)
    lowest = wave[window][np.argmin(spectra[:, window], axis=1)]
    np.testing.assert_allclose(lowest, 6564.61 * np.array([1.0, 1.001]), atol=0.7)


def test_a_source_has_the_same_spectrum_alone_and_among_others(mock_sky):
    population = mock_sky.population
    rows = np.concatenate([np.flatnonzero(population.kind == k)[:3] for k in (0, 1, 2)])
    together = observed_spectra(population, rows, OPTICAL)
    for place, row in enumerate(rows.tolist()):
        alone = observed_spectra(population, np.array([row]), OPTICAL)[0]
        np.testing.assert_allclose(alone, together[place], rtol=2e-3)


def test_errors_state_the_noise_drawn():
    rng = np.random.default_rng(3)
    true = np.full(20_000, 18.0)
    mag, error = noisy_magnitudes(true, np.full(20_000, 0.05), rng)
    pulls = (mag - true) / error
    assert pulls.std() == pytest.approx(1.0, abs=0.03)
    assert abs(pulls.mean()) < 0.05
    mag, error = noisy_magnitudes(np.full(1000, 24.0), np.full(1000, 2.0), rng)
    assert np.isnan(mag).any()
    assert (np.isnan(mag) == np.isnan(error)).all()


def fit_error(features, target):
    """Standard deviation of a linear fit, judged on the half that it has not seen."""
    design = np.column_stack([features, features**2, np.ones(len(features))])
    half = len(target) // 2
    solution, *_ = np.linalg.lstsq(design[:half], target[:half], rcond=None)
    return float(np.std(design[half:] @ solution - target[half:]))


def test_colours_tell_the_parameters_of_stars(mock_sky):
    population = mock_sky.population
    good = (population.kind == STAR) & (mock_sky.mags["r"] < 20.0) & (population.fast < 0)
    mags = np.column_stack([mock_sky.mags[name] for name in NAMES])[good]
    # A first fit of the temperature, then of the rest about it.
    features = mags[:, 1:] - mags[:, :1]
    theta = 5040.0 / population.teff[good]
    assert fit_error(features, theta) < 0.08 * theta.std()
    warm = (population.teff[good] > 4300.0) & (population.teff[good] < 6600.0)
    products = np.column_stack([features, features * theta[:, None]])[warm]
    for name, share in (("feh", 0.6), ("logg", 0.6)):
        target = getattr(population, name)[good][warm]
        assert fit_error(products, target) < share * target.std(), name


def test_colours_tell_the_redshifts_of_galaxies(mock_sky):
    good = (mock_sky.kind == GALAXY) & (mock_sky.mags["r"] < 21.0)
    mags = np.column_stack([mock_sky.mags[name] for name in NAMES])[good]
    features = mags[:, 1:] - mags[:, :1]
    redshift = mock_sky.population.redshift[good]
    assert fit_error(features, redshift) < 0.5 * redshift.std()


def test_band_lookup():
    assert band("F378") is band("j0378")
    assert band("r").name == "R"
    with pytest.raises(KeyError, match="F378"):
        band("F999")


def test_every_class_has_spectra_without_gaps(mock_sky):
    for kind in (STAR, GALAXY, QUASAR):
        rows = np.flatnonzero(mock_sky.kind == kind)[:50]
        spectra = observed_spectra(mock_sky.population, rows, SPECTROSCOPIC)
        assert np.isfinite(spectra).all()
        assert (spectra >= 0).all()
        assert (spectra > 0).mean() > 0.99
