from __future__ import annotations

import csv
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sdssfiles import write_spec

from sdss_spectra.bitmasks import bit_names, bits_value
from sdss_spectra.linelist import LINES, line_list_csv, nearest_line
from sdss_spectra.lines import find_lines
from sdss_spectra.mkclass import parse_type, type_from_parameters
from sdss_spectra.preprocessing.continuum import continuum
from sdss_spectra.preprocessing.extinction import extinction_curve
from sdss_spectra.preprocessing.resample import LogGrid, pixel_edges, resample
from sdss_spectra.preprocessing.steps import Preprocessing, array_hash, clean
from sdss_spectra.readers import read_spectrum
from sdss_spectra.wavelength import air_to_vacuum, vacuum_to_air


def test_air_and_vacuum_are_inverse_and_right():
    # NIST gives both for Na D2: 5889.951 in air, 5891.583 in vacuum.
    assert air_to_vacuum(5889.951) == pytest.approx(5891.583, abs=2e-3)
    wavelength = np.linspace(3000.0, 20000.0, 500)
    assert np.allclose(vacuum_to_air(air_to_vacuum(wavelength)), wavelength, atol=1e-8)
    assert air_to_vacuum(1500.0) == 1500.0


def brute_force(edges_in, flux, ivar, edges_out):
    out, weight_out = [], []
    for low, high in pairwise(edges_out):
        total = value = variance = 0.0
        for a, b, f, iv in zip(edges_in[:-1], edges_in[1:], flux, ivar, strict=True):
            overlap = max(0.0, min(b, high) - max(a, low))
            if overlap > 0 and iv > 0:
                total += overlap
                value += overlap * f
                variance += overlap**2 / iv
        out.append(value / total if total else 0.0)
        weight_out.append(total**2 / variance if total else 0.0)
    return np.array(out), np.array(weight_out)


@settings(max_examples=40, deadline=None)
@given(
    n_in=st.integers(2, 30),
    n_out=st.integers(1, 30),
    seed=st.integers(0, 2**20),
    bad=st.floats(0, 0.9),
)
def test_resampling_agrees_with_a_double_loop(n_in, n_out, seed, bad):
    random = np.random.default_rng(seed)
    edges_in = 4000.0 + np.cumsum(random.uniform(0.2, 3.0, n_in + 1))
    edges_out = 4000.0 + np.cumsum(random.uniform(0.2, 3.0, n_out + 1))
    flux = random.normal(size=n_in)
    ivar = random.uniform(0.1, 5.0, n_in) * (random.random(n_in) > bad)
    found, weight, mask = resample(edges_in, flux, ivar, edges_out)
    wanted, wanted_weight = brute_force(edges_in, flux, ivar, edges_out)
    sliver = (wanted_weight > 0) & mask
    assert not sliver.any() or np.abs(wanted[sliver]).max() < 10
    assert np.allclose(found[~mask], wanted[~mask], atol=1e-9)
    assert np.allclose(weight[~mask], wanted_weight[~mask], rtol=1e-9)
    assert ((wanted_weight > 0) | mask).all()


def test_resampling_keeps_the_integral():
    random = np.random.default_rng(1)
    edges_in = np.linspace(4000.0, 5000.0, 801)
    flux = random.uniform(1.0, 2.0, 800)
    edges_out = np.linspace(4000.0, 5000.0, 338)
    found, _, _ = resample(edges_in, flux, np.ones(800), edges_out)
    assert (found * np.diff(edges_out)).sum() == pytest.approx((flux * np.diff(edges_in)).sum())


def test_resampling_agrees_with_specutils():
    pytest.importorskip("specutils")
    from astropy import units as u
    from astropy.nddata import InverseVariance
    from specutils import Spectrum
    from specutils.manipulation import FluxConservingResampler

    random = np.random.default_rng(2)
    wavelength = np.linspace(4000.0, 5000.0, 500)
    flux, ivar = random.uniform(1, 2, 500), np.full(500, 4.0)
    new = np.linspace(4100.0, 4900.0, 173)
    peer = FluxConservingResampler()(
        Spectrum(
            spectral_axis=wavelength * u.AA,
            flux=flux * u.Jy,
            uncertainty=InverseVariance(ivar / u.Jy**2),
        ),
        new * u.AA,
    )
    ours, weight, _ = resample(pixel_edges(wavelength, False), flux, ivar, pixel_edges(new, False))
    assert np.allclose(ours[1:-1], peer.flux.value[1:-1], rtol=1e-6)
    assert np.allclose(weight[1:-1], peer.uncertainty.array[1:-1], rtol=1e-6)


def test_extinction_agrees_with_dust_extinction():
    models = pytest.importorskip("dust_extinction.parameter_averages")
    from astropy import units as u

    wavelength = np.linspace(3600.0, 8900.0, 50)
    peer = models.O94(Rv=3.1)(wavelength * u.AA)
    assert np.allclose(extinction_curve(wavelength), peer, atol=2e-3)


def test_the_continuum_ignores_lines_and_bad_pixels():
    x = np.linspace(-1, 1, 2000)
    truth = 3.0 + 0.8 * x - 0.5 * x**2
    random = np.random.default_rng(3)
    flux = truth + random.normal(0, 0.02, 2000)
    for centre in (300, 800, 1200, 1700):
        flux -= truth * 0.6 * np.exp(-0.5 * ((np.arange(2000) - centre) / 6.0) ** 2)
    ivar = np.full(2000, 0.02**-2.0)
    flux[500], ivar[500] = 1e6, 0.0
    found = continuum(flux, ivar)
    assert np.abs(found / truth - 1).max() < 0.02


def test_crowded_balmer_lines_do_not_bend_the_continuum_away():
    """Towards the limit of the series there is no pixel of the continuum between the lines."""
    wavelength = 10.0 ** (3.5525 + 1e-4 * np.arange(4600))
    truth = 60.0 * (wavelength / 4500.0) ** -2.4
    depth = np.zeros(len(wavelength))
    for upper in range(3, 18):
        centre = 911.75 / (1.0 / 4.0 - 1.0 / upper**2)
        depth = np.maximum(depth, 0.75 / (1.0 + ((wavelength - centre) / 22.0) ** 2))
    noise = truth / 70.0
    flux = truth * (1.0 - depth) + noise * np.random.default_rng(5).normal(size=len(truth))
    found = continuum(flux, noise**-2.0)
    assert np.all(np.abs(found / truth - 1.0)[wavelength > 4000.0] < 0.25)
    assert np.all((found / truth > 0.5) & (found / truth < 1.5))


def test_no_continuum_without_pixels():
    assert continuum(np.ones(100), np.zeros(100)) is None


def test_cleaning_takes_out_the_redshift_and_not_the_heliocentric_velocity(tmp_path):
    path = write_spec(tmp_path / "a.fits", redshift=1e-3)
    grid = LogGrid(3.58, 1e-4, 3600)
    cleaned = clean(read_spectrum(path), Preprocessing(grid=grid), with_steps=True)
    near = (grid.wavelength > 6540) & (grid.wavelength < 6590)
    depth = (1 - cleaned.flux)[near].clip(0)
    centre = (grid.wavelength[near] * depth**2).sum() / (depth**2).sum()
    assert centre == pytest.approx(6564.61, abs=0.4)
    (step,) = [s for s in cleaned.steps if s.name == "velocity_frame"]
    assert step.params["velocity_kms"] == pytest.approx(299.792458, rel=1e-6)


def test_masked_pixels_have_no_weight(tmp_path):
    path = write_spec(tmp_path / "a.fits", redshift=0.0)
    grid = LogGrid(3.5, 1e-4, 1000)
    cleaned = clean(read_spectrum(path), Preprocessing(grid=grid))
    assert cleaned.mask[:798].all()  # the file begins at 3.58
    assert (cleaned.ivar[cleaned.mask] == 0).all()
    assert (cleaned.flux[cleaned.mask] == 0).all()


def test_a_spectrum_beyond_the_grid_is_masked_as_a_whole(tmp_path):
    path = write_spec(tmp_path / "a.fits")
    cleaned = clean(read_spectrum(path), Preprocessing(grid=LogGrid(4.2, 1e-4, 500)))
    assert cleaned.mask.all()


def test_hashes_tell_type_and_shape_apart():
    values = np.arange(6.0)
    hashes = {
        array_hash(values),
        array_hash(values.reshape(2, 3)),
        array_hash(values.astype(np.float32)),
        array_hash(np.frombuffer(values.tobytes(), np.int64)),
    }
    assert len(hashes) == 4
    assert array_hash(values) == array_hash(values.astype(">f8"))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("G2V", "G2V"),
        ("F3/F5V (30743)", "F4V"),
        ("M4.5:III (123657)", "M4.5III"),
        ("K3", "K3"),
        ("F5 (G_13-35)", "F5"),
        ("A0p", "A0"),
        ("O9.5Iae", "O9.5Ia"),
        ("B9.5V+... (37269)", "B9.5V"),
        ("G8/K0IIIw.", "G9III"),
        ("sd:F0 (G_84-29)", "F0VI"),
        ("WDhotter", "WD"),
        ("DA:", "WD"),
        ("CV", "CV"),
        ("Carbon", "Carbon"),
        ("OB", "O"),
        ("Ldwarf", "LV"),
        ("T2", "T2"),
        ("B2Iaevar", "B2Ia"),
        ("K 3 III", "K3III"),
        ("", None),
        ("STARFORMING", None),
        ("BROADLINE", None),
        ("AGN", None),
        ("INDEF", None),
        ("M67", None),
        ("spec", None),
        ("CarbonWD", "WD"),
        ("CalciumWD", "WD"),
        ("Carbon_lines", "Carbon"),
        ("C-R5", "Carbon"),
        ("C5,4", "Carbon"),
        ("WN5h", "WR"),
        ("WC+abs", "WR"),
        ("WNL", "WR"),
        ("DBA3.5", "WD"),
        # Names that folders have, and that begin as special classes do.
        ("work", None),
        ("world", None),
        ("wcs", None),
        ("chandra", None),
        ("crossmatch", None),
        ("db", None),
        ("doc", None),
        ("dox", None),
    ],
)
def test_types_are_parsed(text, expected):
    found = parse_type(text)
    assert (None if found is None else found.mk) == expected


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=20))
def test_any_text_is_a_type_or_none(text):
    found = parse_type(text)
    assert found is None or found.mk


@pytest.mark.parametrize(
    ("teff", "logg", "expected"),
    [
        (5770, 4.44, "G2V"),
        (9700, 4.0, "A0V"),
        (3850, 4.7, "M0V"),
        (4750, 2.5, "K0III"),
        (31400, None, "B0"),
        (-999.0, 4.0, None),
        (float("nan"), None, None),
    ],
)
def test_types_of_temperatures(teff, logg, expected):
    found = type_from_parameters(teff, logg)
    assert (None if found is None else found.mk) == expected


def test_bits_have_names_and_back():
    value = bits_value(["nodata", "BRIGHTSKY"])
    assert value == (1 << 24) | (1 << 23)
    assert bit_names(value) == ["BRIGHTSKY", "NODATA"]


def test_the_line_list_of_the_supplement_is_what_the_code_makes():
    path = Path(__file__).parents[1] / "supplement" / "line_list.csv"
    assert path.read_text(encoding="utf-8") == line_list_csv()
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert {"H I", "He I", "He II", "Ca II", "Fe I", "Fe II", "Mg I", "Na I", "TiO"} <= {
        row["elem"] for row in rows
    }
    for row in rows:
        shift = float(row["lambda_rest_A"]) / float(row["lambda_air_A"]) - 1
        assert 2.7e-4 < shift < 2.9e-4


def test_known_vacuum_wavelengths():
    by_name = {line.transition: line.vacuum_A for line in LINES}
    assert by_name["H\u03b1"] == pytest.approx(6564.60, abs=0.02)
    assert by_name["Ca II K"] == pytest.approx(3934.78, abs=0.02)
    assert by_name["Mg b1"] == pytest.approx(5185.05, abs=0.02)
    assert nearest_line(6564.7, 2.0).transition == "H\u03b1"
    assert nearest_line(7000.0, 2.0) is None


def test_a_gaussian_line_has_its_equivalent_width():
    grid = LogGrid(3.75, 1e-4, 1500)
    wavelength = grid.wavelength
    sigma, depth = 4.0, 0.6
    random = np.random.default_rng(5)
    widths, errors = [], []
    for _ in range(30):
        flux = 1 - depth * np.exp(-0.5 * ((wavelength - 6564.603) / sigma) ** 2)
        flux = flux + random.normal(0, 0.01, len(flux))
        rows = find_lines(wavelength, flux, np.full(1500, 1e4), np.zeros(1500, bool))
        (row,) = [r for r in rows if r["transition"] == "H\u03b1"]
        assert row["kind"] == "absorption"
        assert row["wavelength_A"] == pytest.approx(6564.6, abs=0.3)
        widths.append(row["ew_A"])
        errors.append(row["ew_err_A"])
    truth = depth * sigma * np.sqrt(2 * np.pi)
    assert np.mean(widths) == pytest.approx(truth, rel=0.05)
    assert 0.4 < np.std(widths) / np.mean(errors) < 2.5


def test_emission_has_negative_width_and_noise_has_no_lines():
    wavelength = LogGrid(3.75, 1e-4, 1500).wavelength
    random = np.random.default_rng(6)
    flux = 1 + random.normal(0, 0.02, 1500)
    ivar = np.full(1500, 0.02**-2.0)
    assert len(find_lines(wavelength, flux, ivar, np.zeros(1500, bool))) <= 1
    flux += np.exp(-0.5 * ((wavelength - 6564.6) / 3.0) ** 2)
    rows = find_lines(wavelength, flux, ivar, np.zeros(1500, bool))
    assert any(row["kind"] == "emission" and row["ew_A"] < -5 for row in rows)


def test_gaps_are_no_lines():
    wavelength = LogGrid(3.75, 1e-4, 1500).wavelength
    mask = np.zeros(1500, bool)
    mask[600:700] = True
    flux = np.where(mask, 0.0, 1.0)
    assert find_lines(wavelength, flux, np.where(mask, 0.0, 1e4), mask) == []


def test_a_hump_of_the_continuum_is_no_emission_line_and_a_line_on_it_is():
    wavelength = 10.0 ** (3.6 + 1e-4 * np.arange(3000))
    x = np.arange(3000)
    hump = 1.0 + 0.06 * np.exp(-0.5 * ((x - 1500) / 150.0) ** 2)
    hump -= 0.4 * np.exp(-0.5 * ((x - 1250) / 20.0) ** 2)
    hump -= 0.4 * np.exp(-0.5 * ((x - 1750) / 20.0) ** 2)
    flux = hump + np.random.default_rng(5).normal(0, 0.005, 3000)
    ivar, mask = np.full(3000, 0.005**-2), np.zeros(3000, bool)
    kinds = [row["kind"] for row in find_lines(wavelength, flux, ivar, mask)]
    assert kinds == ["absorption", "absorption"]
    rows = find_lines(wavelength, flux + 0.3 * np.exp(-0.5 * ((x - 1500) / 4.0) ** 2), ivar, mask)
    assert [row["kind"] for row in rows] == ["absorption", "emission", "absorption"]
    assert rows[1]["wavelength_A"] == pytest.approx(wavelength[1500], abs=0.3)
