from __future__ import annotations

import astropy.units as u
import numpy as np
import pytest
import spectres
from hypothesis import given, settings
from hypothesis import strategies as st

from manga_ssftt.resample import (
    channel_range,
    log_edges,
    log_grid,
    overlaps,
    resample,
    resample_shifted,
)

WAVE = 10.0 ** (np.log10(3621.596) + 1e-4 * np.arange(4563))


def one_by_one(flux, ivar, bad, edges_in, edges_out):
    """Every output pixel by a loop over the input pixels, independent of the sparse sum."""
    n_out = len(edges_out) - 1
    mean, weight, cover = np.zeros(n_out), np.zeros(n_out), np.zeros(n_out)
    for j in range(n_out):
        total = variance = width = 0.0
        for i in range(len(flux)):
            common = min(edges_in[i + 1], edges_out[j + 1]) - max(edges_in[i], edges_out[j])
            if common <= 0 or bad[i] or not ivar[i] > 0 or not np.isfinite(flux[i]):
                continue
            total += common * flux[i]
            variance += common**2 / ivar[i]
            width += common
        if width > 0:
            mean[j], weight[j] = total / width, width**2 / variance
            cover[j] = width / (edges_out[j + 1] - edges_out[j])
    return mean, weight, cover


def spectra(n, seed=0, n_in=4563):
    random = np.random.default_rng(seed)
    flux = 1.0 + random.normal(0, 0.3, (n_in, n))
    ivar = random.uniform(1, 50, (n_in, n))
    return flux, ivar, np.zeros((n_in, n), bool)


def test_the_default_grid_is_that_of_the_documentation():
    grid = log_grid(5000.0, 8000.0, 2040)
    assert len(grid) == 2040
    np.testing.assert_allclose(grid[[0, -1]], [5000.0, 8000.0], rtol=1e-14)
    np.testing.assert_allclose(np.diff(np.log10(grid)), 1.00108e-4, rtol=1e-5)


def test_edges_are_half_way_in_the_logarithm():
    edges = log_edges(WAVE)
    np.testing.assert_allclose(edges[1:-1] ** 2, WAVE[1:] * WAVE[:-1], rtol=1e-14)
    np.testing.assert_allclose(np.diff(np.log10(edges)), 1e-4, rtol=1e-7)


@pytest.mark.parametrize("bad", [[1.0], [1.0, 1.0], [2.0, 1.0], [0.0, 1.0], [np.nan, 1.0]])
def test_edges_of_no_grid_are_refused(bad):
    with pytest.raises(ValueError, match="increasing"):
        log_edges(np.asarray(bad))


def test_agrees_with_spectres_at_equal_edges():
    flux, ivar, bad = spectra(3)
    grid = log_grid(5000.0, 8000.0, 2040)
    z = 0.0345
    edges_in, _ = spectres.spectral_resampling.make_bins(WAVE / (1 + z))
    edges_out, _ = spectres.spectral_resampling.make_bins(grid)
    found = resample(flux, ivar, bad, edges_in, edges_out)
    for number in range(3):
        wanted, error = spectres.spectres(
            grid, WAVE / (1 + z), flux[:, number], ivar[:, number] ** -0.5, verbose=False
        )
        np.testing.assert_allclose(found.flux[number], wanted, rtol=1e-6)
        np.testing.assert_allclose(found.ivar[number], error**-2, rtol=1e-6)
    assert not found.mask.any()
    np.testing.assert_allclose(found.coverage, 1.0, rtol=1e-6)


def test_agrees_with_spectres_at_the_edges_of_logarithmic_grids():
    # Arithmetic and geometric middles differ by 1e-5 of a pixel on such grids.
    flux, ivar, bad = spectra(2, seed=4)
    grid = log_grid(5000.0, 8000.0, 2040)
    found = resample(flux, ivar, bad, log_edges(WAVE / 1.021), log_edges(grid))
    wanted = spectres.spectres(grid, WAVE / 1.021, flux.T, verbose=False)
    # The outermost edges of an axis have no neighbour to be in the middle of.
    np.testing.assert_allclose(found.flux[:, 1:-1], wanted[:, 1:-1], rtol=2e-6)


def test_agrees_with_specutils():
    specutils = pytest.importorskip("specutils")
    from specutils.manipulation import FluxConservingResampler

    flux, ivar, bad = spectra(1, seed=2)
    grid = log_grid(5000.0, 8000.0, 1000)
    wave = WAVE / 1.03
    spectrum = specutils.Spectrum(spectral_axis=wave * u.AA, flux=flux[:, 0] * u.Jy)
    wanted = FluxConservingResampler()(spectrum, grid * u.AA).flux.value
    edges_in = specutils.SpectralAxis(wave * u.AA).bin_edges.value
    edges_out = specutils.SpectralAxis(grid * u.AA).bin_edges.value
    found = resample(flux, ivar, bad, edges_in, edges_out)
    np.testing.assert_allclose(found.flux[0], wanted, rtol=1e-6)


def test_conserves_the_integrated_flux():
    flux, ivar, bad = spectra(4, seed=1)
    edges_in = log_edges(WAVE / 1.05)
    edges_out = np.geomspace(edges_in[700], edges_in[3900], 2000)  # both ends on input edges
    found = resample(flux, ivar, bad, edges_in, edges_out)
    wanted = (flux[700:3900] * np.diff(edges_in)[700:3900, None]).sum(axis=0)
    total = (found.flux.astype(float) * np.diff(edges_out)).sum(axis=1)
    np.testing.assert_allclose(total, wanted, rtol=1e-7)


def test_bad_pixels_are_left_out_and_not_counted_as_zero():
    flux, ivar, bad = spectra(1)
    flux[:] = 5.0
    bad[1800:1805] = True
    flux[1800:1805] = 1e30
    flux[1900], ivar[1901], ivar[1902] = np.nan, 0.0, -3.0
    flux[1903], ivar[1904] = np.inf, np.nan
    edges_out = log_edges(log_grid(5000.0, 8000.0, 2040))
    found = resample(flux, ivar, bad, log_edges(WAVE), edges_out)
    good = ~found.mask[0]
    np.testing.assert_allclose(found.flux[0, good], 5.0, rtol=1e-6)
    assert 0 < found.mask.sum() < 12
    assert np.all(found.ivar[found.mask] == 0)
    assert np.all(found.flux[found.mask] == 0)
    assert np.all(found.coverage[found.mask] == 0)
    partly = good & (found.coverage[0] < 0.999)
    assert partly.any()


def test_pixels_beyond_the_input_are_masked():
    flux, ivar, bad = spectra(1)
    edges_out = log_edges(log_grid(3000.0, 12000.0, 500))
    found = resample(flux, ivar, bad, log_edges(WAVE), edges_out)
    outside = (edges_out[1:] <= log_edges(WAVE)[0]) | (edges_out[:-1] >= log_edges(WAVE)[-1])
    np.testing.assert_array_equal(found.mask[0], outside)


def test_many_spectra_are_as_one_by_one():
    flux, ivar, bad = spectra(300, n_in=300)
    bad |= np.random.default_rng(8).random(bad.shape) < 0.1
    edges_in, edges_out = log_edges(WAVE[:300]), log_edges(log_grid(3650.0, 3850.0, 90))
    together = resample(flux, ivar, bad, edges_in, edges_out)
    for number in (0, 255, 256, 299):
        pick = slice(number, number + 1)
        alone = resample(flux[:, pick], ivar[:, pick], bad[:, pick], edges_in, edges_out)
        for name in ("flux", "ivar", "mask", "coverage"):
            np.testing.assert_array_equal(getattr(together, name)[number], getattr(alone, name)[0])


def test_own_redshifts_are_as_one_redshift_after_the_other():
    flux, ivar, bad = spectra(5)
    edges_in, edges_out = log_edges(WAVE), log_edges(log_grid(5000.0, 8000.0, 400))
    stretch = np.asarray([1.02, 1.021, 1.02, 1.0195, 1.0])
    found = resample_shifted(flux, ivar, bad, edges_in, edges_out, stretch)
    for number, value in enumerate(stretch):
        pick = slice(number, number + 1)
        alone = resample(flux[:, pick], ivar[:, pick], bad[:, pick], edges_in / value, edges_out)
        np.testing.assert_allclose(found.flux[number], alone.flux[0], rtol=1e-6)
        np.testing.assert_allclose(found.ivar[number], alone.ivar[0], rtol=1e-6)


@settings(max_examples=60, deadline=None)
@given(
    n_in=st.integers(2, 40),
    n_out=st.integers(1, 30),
    low=st.floats(0.5, 1.5),
    span=st.floats(0.05, 3.0),
    seed=st.integers(0, 2**32 - 1),
)
def test_any_grids_agree_with_a_loop(n_in, n_out, low, span, seed):
    random = np.random.default_rng(seed)
    edges_in = np.cumsum(random.uniform(0.01, 0.1, n_in + 1)) + 0.9
    edges_out = low + np.linspace(0.0, span, n_out + 1)
    flux, ivar = random.normal(size=n_in), random.uniform(0.1, 4.0, n_in)
    bad = random.random(n_in) < 0.2
    columns = (flux[:, None], ivar[:, None], bad[:, None])
    found = resample(*columns, edges_in, edges_out)
    mean, weight, cover = one_by_one(flux, ivar, bad, edges_in, edges_out)
    np.testing.assert_allclose(found.coverage[0], cover, rtol=1e-5, atol=1e-7)
    sure = cover > 1e-6  # less is rounding of the edges
    np.testing.assert_allclose(found.flux[0, sure], mean[sure], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(found.ivar[0, sure], weight[sure], rtol=1e-5)
    np.testing.assert_array_equal(found.mask[0, sure], np.zeros(sure.sum(), bool))


def test_overlaps_of_equal_grids_are_the_pixels_themselves():
    edges = log_edges(WAVE[:50])
    found = overlaps(edges, edges)
    np.testing.assert_array_equal(found.first, np.arange(50))
    np.testing.assert_array_equal(found.bounds, np.arange(51))
    np.testing.assert_allclose(found.width, np.diff(edges))
    np.testing.assert_allclose(found.pixel_width, np.diff(edges))


def test_overlaps_fill_their_output_pixels():
    edges_in, edges_out = np.linspace(0.0, 10.0, 37), np.asarray([-1.0, 0.5, 0.6, 4.0, 9.9, 12.0])
    found = overlaps(edges_in, edges_out)
    filled = np.add.reduceat(found.width, found.bounds[:-1])
    np.testing.assert_allclose(filled, [0.5, 0.1, 3.4, 5.9, 0.1], rtol=1e-12)
    far = overlaps(edges_in, np.asarray([20.0, 21.0, 22.0]))
    assert (far.bounds == 0).all()
    assert len(far.width) == 0


def test_channel_range_holds_all_that_overlaps():
    edges = np.arange(11.0)
    assert channel_range(edges, np.asarray([2.5, 4.5])) == slice(2, 5)
    assert channel_range(edges, np.asarray([2.0, 4.0])) == slice(2, 4)
    assert channel_range(edges, np.asarray([-5.0, 50.0])) == slice(0, 10)
    far = channel_range(edges, np.asarray([50.0, 60.0]))
    assert far.stop - far.start == 1


@pytest.mark.real
def test_real_spectra_agree_with_spectres(real_data):
    from astropy.io import fits

    with fits.open(real_data / "manga" / "MaNGA_test_spectra.fits.gz") as hdus:
        wave = hdus["WAVE"].data.astype(float)
        flux, ivar = hdus["FLUX"].data.T.astype(float), hdus["IVAR"].data.T.astype(float)
        mask, redshifts = hdus["MASK"].data.T, hdus["Z"].data
    grid = log_grid(5000.0, 8000.0, 2040)
    edges_out, _ = spectres.spectral_resampling.make_bins(grid)
    for number, z in enumerate(redshifts):
        edges_in, _ = spectres.spectral_resampling.make_bins(wave / (1 + z))
        pick = slice(number, number + 1)
        bad = (mask[:, pick] & (1 << 10)) != 0
        found = resample(flux[:, pick], ivar[:, pick], bad, edges_in, edges_out)
        usable = ~bad[:, 0] & (ivar[:, number] > 0)
        error = np.where(usable, np.where(usable, ivar[:, number], 1.0) ** -0.5, 0.0)
        wanted, wanted_error = spectres.spectres(
            grid, wave / (1 + z), flux[:, number], error, fill=np.nan, verbose=False
        )
        # Pixels that only good input pixels overlap: spectres knows no masks.
        whole = ~found.mask[0] & (found.coverage[0] > 1 - 1e-5) & np.isfinite(wanted)
        assert whole.sum() > 1500 or bad.all()
        np.testing.assert_allclose(found.flux[0, whole], wanted[whole], rtol=1e-6, atol=1e-9)
        np.testing.assert_allclose(found.ivar[0, whole], wanted_error[whole] ** -2, rtol=1e-6)
