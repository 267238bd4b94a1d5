"""The mock's MAPS files: layout beside a real one, and figures that follow from its spectra."""

from __future__ import annotations

import numpy as np
import pytest
from astropy.io import fits


@pytest.fixture(scope="module")
def maps(mock_raw, plateifus):
    """The MAPS file of a mock galaxy, by HDU name."""
    path = next((mock_raw / "raw").glob(f"*/*/manga-{plateifus[1]}-MAPS-*"))
    with fits.open(path) as hdus:
        return {hdu.name: (None if hdu.data is None else hdu.data.copy(), hdu.header.copy())
                for hdu in hdus}  # fmt: skip


def channel(maps, hdu, name):
    values, header = maps[hdu]
    number = next(n for n in range(1, 36) if header[f"C{n:02d}"] == name)
    return values[number - 1]


def test_every_group_names_its_errors_and_masks(maps):
    for name, (values, header) in maps.items():
        for key in ("ERRDATA", "QUALDATA"):
            if key in header:
                assert maps[header[key]][0].shape == values.shape, name
        if name.startswith(("EMLINE_G", "EMLINE_S", "EMLINE_L", "EMLINE_I", "EMLINE_T")):
            assert sum(key[0] == "C" and key[1:].isdigit() for key in header) == 35


def test_the_model_fits_within_the_errors(maps):
    inside = maps["BINID"][0][0] >= 0
    assert np.median(maps["EMLINE_FOM"][0][2][inside]) == pytest.approx(1.0, abs=0.05)
    assert np.median(maps["STELLAR_FOM"][0][2][inside]) == pytest.approx(1.0, abs=0.05)
    # 68 per cent of normal residuals lie within one error, 99 within 2.58.
    assert np.median(maps["EMLINE_FOM"][0][6][inside]) == pytest.approx(0.994, abs=0.05)
    assert np.median(maps["EMLINE_FOM"][0][7][inside]) == pytest.approx(2.58, abs=0.15)
    assert np.median(channel(maps, "EMLINE_LFOM", "Ha-6564")[inside]) == pytest.approx(1, abs=0.15)
    assert np.all(maps["EMLINE_FOM"][0][:, ~inside] == 0)


def test_amplitudes_belong_to_the_fluxes(maps):
    inside = maps["BINID"][0][0] >= 0
    flux = channel(maps, "EMLINE_GFLUX", "Ha-6564")[inside]
    amplitude = channel(maps, "EMLINE_GA", "Ha-6564")[inside]
    sigma_km_s = channel(maps, "EMLINE_GSIGMA", "Ha-6564")[inside]
    speed = 299792.458
    redshift = maps["PRIMARY"][1]["SCINPVEL"] / speed
    velocity = maps["STELLAR_VEL"][0][inside]
    centre = 6564.632 * (1 + redshift) * (1 + velocity / speed)
    wanted = flux / (np.sqrt(2 * np.pi) * sigma_km_s / speed * centre)
    np.testing.assert_allclose(amplitude, wanted, rtol=1e-4)
    ratio = channel(maps, "EMLINE_GANR", "Ha-6564")[inside]
    strong = flux > np.median(flux)
    assert np.all(ratio[strong] > 3)


def test_lines_in_one_passband_are_summed(maps):
    strong, weak = (channel(maps, "EMLINE_GFLUX", name) for name in ("OII-3727", "OII-3729"))
    both = maps["EMLINE_GFLUX_MASK"][0][:2].sum(axis=0) == 0
    assert both.any()
    summed = channel(maps, "EMLINE_SFLUX", "OIId-3728")
    np.testing.assert_allclose(summed[both], (strong + weak)[both], rtol=1e-5)
    assert np.all(channel(maps, "EMLINE_SFLUX", "OII-3729") == 0)


@pytest.mark.real
def test_hdus_are_those_of_a_real_file(maps, real_data):
    path = real_data / "manga" / "manga-8080-12701-MAPS-VOR10-GAU-MILESHC.fits.gz"
    with fits.open(path) as hdus:
        real = {hdu.name: (len(hdu.shape), hdu.header) for hdu in hdus}
        real = {name: value for name, value in real.items() if name in maps}
        order = [hdu.name for hdu in hdus if hdu.name in maps]
    assert [name for name in maps if name in real] == order
    assert len(real) > 35
    for name, (n_axes, header) in real.items():
        values, ours = maps[name]
        if values is not None and name != "STELLAR_SIGMACORR":  # two channels since DR16
            assert values.ndim == n_axes, name
        for key in ("ERRDATA", "QUALDATA"):
            if key in ours:
                assert ours[key] == header.get(key, ours[key]), name
