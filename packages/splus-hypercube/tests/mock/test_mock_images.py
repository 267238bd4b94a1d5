from __future__ import annotations

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table
from astropy.wcs import WCS

from splus_hypercube.bands import BANDS
from splus_hypercube.mock.camera import CAMERA
from splus_hypercube.mock.fields import mock_fields
from splus_hypercube.mock.images import write_images
from splus_hypercube.mock.population import GALAXY
from splus_hypercube.mock.profiles import aperture_weights, galaxy_components, galaxy_stamp
from splus_hypercube.mock.sky import make_sky
from splus_hypercube.mock.splus import NOT_DETECTED, make_catalogue, write_catalogue

RADIUS_PX = 1.5 / 0.55


@pytest.fixture(scope="module")
def mock_sky():
    return make_sky(mock_fields(1, size_px=560, seed=6)[0], 650)


@pytest.fixture(scope="module")
def observed(mock_sky, tmp_path_factory):
    """Folder of the images of a field, and the true aperture fluxes."""
    folder = tmp_path_factory.mktemp("images")
    return folder, write_images(folder, mock_sky)


def aperture_sum(image, x, y, radius):
    """Flux in a circle, by counting points of a fine grid: slow and without any shared code."""
    steps = (np.arange(-200, 200) + 0.5) / 200.0 * (radius + 1.0)
    dx, dy = np.meshgrid(steps, steps)
    inside = dx**2 + dy**2 <= radius**2
    columns = np.floor(x + dx[inside] + 0.5).astype(int)
    rows = np.floor(y + dy[inside] + 0.5).astype(int)
    return image[rows, columns].sum() * (steps[1] - steps[0]) ** 2


def interior(sky, margin=8.0):
    size = sky.field.size_px
    return np.minimum(np.minimum(sky.x, sky.y), size - 1 - np.maximum(sky.x, sky.y)) > margin


@pytest.mark.parametrize("name", ["R", "U", "F861"])
def test_apertures_recover_the_true_fluxes(mock_sky, observed, name):
    folder, apertures = observed
    exposure = CAMERA[name]
    rows = np.flatnonzero(interior(mock_sky) & (mock_sky.mags["r"] < 20.0))[:250]
    with fits.open(folder / f"{mock_sky.field.name}_{name}.fits.fz") as hdus:
        image = np.asarray(hdus[1].data, dtype=np.float64)
    measured = np.array(
        [aperture_sum(image, mock_sky.x[row], mock_sky.y[row], RADIUS_PX) for row in rows]
    )
    assert len(rows) > 150
    true = apertures.blended[name][rows]
    area = np.pi * RADIUS_PX**2
    noise = np.sqrt(area * exposure.sky_noise**2 + true / exposure.gain + (0.002 * true) ** 2)
    pulls = (measured - true) / noise
    assert abs(np.median(pulls)) < 0.2
    assert 0.8 < np.percentile(np.abs(pulls), 68.3) < 1.25
    bright = mock_sky.mags["r"][rows] < 19.0
    if name == "R":
        assert np.abs(measured / true - 1.0)[bright].max() < 0.1
        assert np.median(np.abs(measured / true - 1.0)[bright]) < 0.02


def test_the_sky_has_the_noise_of_its_header(mock_sky, observed):
    folder, _ = observed
    with fits.open(folder / f"{mock_sky.field.name}_F378.fits.fz") as hdus:
        image, header = hdus[1].data, hdus[1].header
        spread = 1.4826 * np.median(np.abs(image - np.median(image)))
    assert spread == pytest.approx(header["SKYNOISE"], rel=0.1)
    assert header["SYNTHET"] is True


def test_isolated_stars_have_the_stated_fraction_in_the_aperture(mock_sky, observed):
    _, apertures = observed
    stars = mock_sky.kind != GALAXY
    for band in BANDS:
        exposure = CAMERA[band.name]
        total = 10 ** (-0.4 * (mock_sky.mags[band.catalogue_name] - exposure.zero_point))
        fraction = (apertures.own[band.name] / total)[stars]
        assert fraction.mean() == pytest.approx(exposure.aperture_fraction, abs=2e-3)
        assert fraction.std() < 0.01
        galaxies = (apertures.own[band.name] / total)[~stars]
        assert (galaxies < exposure.aperture_fraction + 0.01).all()


def test_the_images_position_is_that_of_their_wcs(mock_sky, observed):
    folder, _ = observed
    brightest = [
        row
        for row in np.argsort(mock_sky.mags["r"])
        if interior(mock_sky, 20)[row] and mock_sky.kind[row] != GALAXY
    ][:20]
    with fits.open(folder / f"{mock_sky.field.name}_R.fits.fz") as hdus:
        wcs, image = WCS(hdus[1].header), hdus[1].data
    x, y = wcs.all_world2pix(mock_sky.ra, mock_sky.dec, 0)
    np.testing.assert_allclose(x, mock_sky.x, atol=1e-6)
    np.testing.assert_allclose(y, mock_sky.y, atol=1e-6)
    for row in brightest:
        column, line = round(x[row]), round(y[row])
        window = image[line - 2 : line + 3, column - 2 : column + 3]
        weights = window / window.sum()
        steps = np.arange(-2, 3)
        assert column + (weights.sum(axis=0) * steps).sum() == pytest.approx(x[row], abs=0.25)
        assert line + (weights.sum(axis=1) * steps).sum() == pytest.approx(y[row], abs=0.25)


def test_rice_tiles_are_rows_and_cfitsio_reads_them(mock_sky, observed):
    fitsio = pytest.importorskip("fitsio")
    folder, _ = observed
    path = folder / f"{mock_sky.field.name}_R.fits.fz"
    size = mock_sky.field.size_px
    with fits.open(path, disable_image_compression=True) as hdus:
        header = hdus[1].header
        assert header["ZCMPTYPE"] == "RICE_1"
        assert (header["ZTILE1"], header["ZTILE2"]) == (size, 1)
        assert header["ZBITPIX"] == -32
    with fits.open(path) as hdus:
        ours = np.array(hdus[1].data)
    with fitsio.FITS(str(path)) as file:
        theirs = file[1].read()
    np.testing.assert_allclose(ours, theirs, rtol=1e-6, atol=1e-6)


def test_aperture_weights_are_areas():
    dx, dy = np.array([0.0, 0.3, -0.5]), np.array([0.0, -0.4, 0.49])
    weights = aperture_weights(dx, dy, RADIUS_PX, 4)
    np.testing.assert_allclose(weights.sum(axis=(1, 2)), np.pi * RADIUS_PX**2, rtol=1.5e-3)
    assert weights.max() == 1.0
    assert weights[:, 4, 4].min() == 1.0
    assert weights[:, 0, 0].max() == 0.0


@pytest.mark.parametrize("bulge", [0.0, 1.0])
def test_half_the_light_lies_within_the_half_light_radius(bulge):
    weights, covariances = galaxy_components(6.0, 1.0, 0.0, bulge)
    assert weights.sum() == pytest.approx(1.0)
    # Without a point-spread function to speak of.
    stamp = galaxy_stamp(weights, covariances, ((1.0, 0.3),), 0.0, 0.0, 20)
    half = len(stamp) // 2
    y, x = np.mgrid[-half : half + 1, -half : half + 1]
    assert stamp[np.hypot(x, y) <= 6.0].sum() == pytest.approx(0.5, abs=0.03)
    assert stamp.sum() == pytest.approx(1.0, abs=0.02)


def test_galaxies_point_along_their_position_angle():
    weights, covariances = galaxy_components(5.0, 0.3, 30.0, 0.0)
    stamp = galaxy_stamp(weights, covariances, ((1.0, 0.8),), 0.2, -0.3, 12)
    half = len(stamp) // 2
    y, x = np.mgrid[-half : half + 1, -half : half + 1].astype(float)
    x, y = x - 0.2, y + 0.3
    xx, yy, xy = ((stamp * item).sum() for item in (x * x, y * y, x * y))
    assert np.rad2deg(0.5 * np.arctan2(2 * xy, xx - yy)) == pytest.approx(30.0, abs=1.0)


@pytest.fixture(scope="module")
def catalogue(mock_sky, observed, tmp_path_factory):
    made = make_catalogue(mock_sky, observed[1])
    path = tmp_path_factory.mktemp("catalogue") / "dual.fits"
    write_catalogue(path, made)
    return made, path


def test_the_catalogue_reads_alike_in_astropy_and_cfitsio(mock_sky, catalogue):
    fitsio = pytest.importorskip("fitsio")
    made, path = catalogue
    table = Table.read(path, hdu=1)
    rows = fitsio.read(str(path), ext=1)
    assert len(table) == len(rows) == len(mock_sky)
    assert table["id"].astype(str).tolist() == made.ids.tolist()
    assert [item.decode().strip() for item in rows["id"].astype("S40")] == made.ids.tolist()
    np.testing.assert_array_equal(np.asarray(table["ra"]), rows["ra"])
    assert table["ra"].unit == "deg"
    assert np.ma.is_masked(table["n_exposures_det"])
    assert (rows["n_exposures_det"] == -99).sum() == table["n_exposures_det"].mask.sum()
    assert len(set(made.ids)) == len(made.ids)


def test_rows_are_in_scan_order(mock_sky, catalogue):
    table = Table.read(catalogue[1])
    y = np.asarray(table["y"])
    assert np.corrcoef(y, np.arange(len(y)))[0, 1] > 0.999
    assert (np.diff(y) < 0).any()
    x, y = np.asarray(table["x"]), np.asarray(table["y"])
    gap = np.hypot(x - mock_sky.x - 1.0, y - mock_sky.y - 1.0)
    assert np.median(gap) < 0.3


def test_catalogue_errors_state_the_noise(mock_sky, observed, catalogue):
    table = Table.read(catalogue[1])
    for band in BANDS:
        exposure = CAMERA[band.name]
        flux = observed[1].own[band.name] / exposure.aperture_fraction
        mag = np.asarray(table[f"mag_pstotal_{band.catalogue_name}"], dtype=float)
        error = np.asarray(table[f"err_mag_pstotal_{band.catalogue_name}"], dtype=float)
        missing = mag == NOT_DETECTED
        assert (error[missing] == NOT_DETECTED).all()
        # In flux the noise is Gaussian, and fluxes below zero are what is missing.
        measured = 10 ** (-0.4 * (mag - exposure.zero_point))
        noise = error * measured * np.log(10.0) / 2.5
        sure = ~missing & (flux > 6.0 * noise)
        assert sure.sum() > 60
        pulls = ((measured - flux) / noise)[sure]
        assert abs(np.mean(pulls)) < 4.0 / np.sqrt(len(pulls))
        assert np.std(pulls) == pytest.approx(1.0, abs=4.0 / np.sqrt(2.0 * len(pulls)))
        stars = sure & (mock_sky.kind != GALAXY) & (error < 0.02)
        residual = mag[stars] - mock_sky.mags[band.catalogue_name][stars]
        assert abs(np.median(residual)) < 0.01


def test_depths_are_those_of_the_camera():
    for exposure in CAMERA.values():
        flux = exposure.counts(exposure.depth) * exposure.aperture_fraction
        area = np.pi * exposure.aperture_radius_px**2
        noise = np.sqrt(area * exposure.sky_noise**2 + flux / exposure.gain)
        assert flux / noise == pytest.approx(5.0)
